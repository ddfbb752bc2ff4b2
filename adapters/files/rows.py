"""A dump's row as an Avro record: texts, and the types that the configuration declares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from adapters.files.engine import quoted
from bus.spi import SourceDataset

if TYPE_CHECKING:
    from adapters.files.config import DatasetConfig, FieldType

AVRO: Final[dict[str, Any]] = {
    "string": "string",
    "long": "long",
    "double": "double",
    "boolean": "boolean",
    "date": {"type": "int", "logicalType": "date"},
}

_FORMS: Final = {
    "long": r"[+-]?[0-9]{1,19}",
    "double": r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?",
    "boolean": "(?i)true|false|1|0",
    "date": "[0-9]{4}-[0-9]{2}-[0-9]{2}",
}

_ENGINE_TYPES: Final = {"long": "bigint", "double": "double", "boolean": "boolean", "date": "date"}


def dataset_of(name: str, config: DatasetConfig) -> SourceDataset:
    """The dataset as the adapter offers it."""
    columns = {field: column for column, field in config.columns.items()}
    fields = [_avro_field(field, columns[field], config) for field in config.fields]
    return SourceDataset(
        name=name,
        schema={"type": "record", "name": "Row", "fields": fields},
        primary_key=config.key,
        before_image=frozenset(config.fields),
        unique=(frozenset(config.key),),
    )


def _avro_field(field: str, column: str, config: DatasetConfig) -> dict[str, Any]:
    kind = AVRO[config.kind_of(field)]
    if field in config.key:
        return {"name": field, "type": kind, "doc": column}
    return {"name": field, "type": ["null", kind], "default": None, "doc": column}


def fault_of(field: str, kind: FieldType) -> str:
    """SQL that is true where a text is not of a type."""
    name = quoted(field)
    if kind == "string":
        return "false"
    cast = f"try_cast({name} as {_ENGINE_TYPES[kind]})"
    # What the engine takes and Python or Avro does not: infinity, and the year 0.
    beyond = {"double": f" or not isfinite({cast})", "date": f" or {name} < '0001'"}.get(kind, "")
    return f"({name} is not null and (not regexp_full_match({name}, '{_FORMS[kind]}') or {cast} is null{beyond}))"


def value_of(name: str, kind: FieldType) -> str:
    """SQL for a text's value of a type, where `fault_of` found nothing.

    Args:
        name: of the column.
        kind: the type.
    """
    match kind:
        case "string":
            return quoted(name)
        case "boolean":
            return f"lower({quoted(name)}) in ('true', '1')"
    return f"cast({quoted(name)} as {_ENGINE_TYPES[kind]})"
