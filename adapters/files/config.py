"""What a department says about the folder where its dumps land."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from bus.spi import AdapterConfig

Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
FieldType = Literal["string", "long", "double", "boolean", "date"]


def _same_names(columns: Any) -> Any:
    """A list of columns stands for a mapping of each to itself."""
    if isinstance(columns, Sequence) and not isinstance(columns, str):
        return {column: column for column in columns}
    return columns


class DatasetConfig(BaseModel):
    """One dataset: which files are its dumps, and how they are written."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    files: str = Field(min_length=1, description="pattern of its dumps' file names: population_*.csv")
    columns: Annotated[dict[str, Name], BeforeValidator(_same_names)] = Field(
        min_length=1, description="column in the file: field; a list where both have one name. Others are not read"
    )
    key: tuple[Name, ...] = Field(min_length=1, description="fields that make the key, as in the Dataset")
    types: dict[Name, FieldType] = Field(default_factory=dict, description="field: type; string where nothing is said")
    encoding: Literal["auto", "utf-8", "gb18030", "gbk", "gb2312", "big5"] = "auto"
    delimiter: str = Field(default=",", min_length=1, max_length=1, pattern=r'^[^\r\n"\x1a]$')
    quote: str = Field(default='"', max_length=1, pattern=r"^[^\r\n\x1a]?$", description="empty: nothing is quoted")
    order: Literal["name", "time"] = Field(
        default="name", description="which of two dumps is the newer: by file name (numbers as numbers), or by time"
    )
    max_deletion_share: float = Field(default=0.3, ge=0, le=1, description="of the known rows; beyond it, it asks")
    max_rejected_share: float = Field(
        default=0.05, ge=0, le=1, description="of a dump's rows; beyond it, and beyond 10 rows, it is refused"
    )

    @model_validator(mode="after")
    def _fields_are_there(self) -> Self:
        fields = list(self.columns.values())
        if len(set(fields)) < len(fields):
            raise ValueError("two columns are mapped to one field")
        if len({name.lower() for name in fields}) < len(fields):
            raise ValueError("two fields differ in nothing but upper and lower case")
        if missing := [name for name in (*self.key, *self.types) if name not in fields]:
            raise ValueError(f"columns map to no field called {', '.join(missing)}")
        if loose := [name for name in self.key if self.types.get(name, "string") not in {"string", "date"}]:
            raise ValueError(f"a key must have one text form: {', '.join(loose)} must be a string or a date")
        if self.quote == self.delimiter:
            raise ValueError("delimiter and quote are the same")
        return self

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of a row."""
        return tuple(self.columns.values())

    @property
    def codec(self) -> str:
        """Python's codec; empty if it is to be detected. GB 18030 holds GBK and GB 2312 whole."""
        return {"auto": "", "gbk": "gb18030", "gb2312": "gb18030"}.get(self.encoding, self.encoding)

    def kind_of(self, field: str) -> FieldType:
        """A field's type."""
        return self.types.get(field, "string")

    @property
    def fingerprint(self) -> str:
        """What the rows that are kept depend on: another key or other types, and they cannot be compared."""
        return f"{','.join(self.key)};{','.join(f'{name}:{kind}' for name, kind in sorted(self.types.items()))}"


class FilesConfig(AdapterConfig):
    """A folder, and the datasets whose dumps land there. A dump moves to `done/`, or refused to `failed/`."""

    folder: Path = Field(description="where the dumps land; the adapter must be able to write there")
    state: Path | None = Field(
        default=None, description="folder for the adapter's own state; <folder>/.shuniu/<adapter> if it is not given"
    )
    ready: Literal["settle", "marker", "rename"] = Field(
        default="settle",
        description="a dump is whole when its size and time stay (settle), when NAME.ok lies beside it (marker),"
        " or as soon as it has its name, which its writer gives it at the end (rename)",
    )
    settle_seconds: float = Field(default=10.0, ge=0.1)
    marker_suffix: str = Field(default=".ok", pattern=r"^\.[A-Za-z0-9_.-]+$")
    poll_seconds: float = Field(default=2.0, ge=0.05)
    memory_limit_mb: int = Field(default=300, ge=100, description="of the engine that compares dumps")
    datasets: Mapping[str, DatasetConfig] = Field(min_length=1)

    def state_folder(self, adapter: str) -> Path:
        """Where an adapter instance keeps its state."""
        return self.state or self.folder / ".shuniu" / adapter
