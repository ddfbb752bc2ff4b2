"""One YAML document to one resource: files beside it taken in, every mistake with its line."""

from __future__ import annotations

import csv
import difflib
import io
import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from bus.catalogue import duration
from bus.catalogue.file_text import HALF_A_CHARACTER, TOO_DEEP, UnusableFileError, is_too_deep, is_whole, read_text
from bus.catalogue.kinds import KINDS
from bus.errors import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pydantic_core import ErrorDetails

    from bus.catalogue.model import Resource
    from bus.catalogue.yaml_document import Document

_NAME_PART = re.compile(r"[a-z0-9][a-z0-9_-]*")
LONGEST_WORD = 128
"""Characters of a name that is one word; topics, logins and files are called by it, with more around it."""

_CODE_COLUMNS = ("code", "name", "valid_from", "valid_to")


def load_resource(document: Document) -> tuple[Resource | None, list[Finding]]:
    """The resource of a document, or None and why not."""
    value = document.value
    kind = value.get("kind") if isinstance(value, dict) else None
    if not isinstance(kind, str) or kind not in KINDS:
        return None, [_unknown_kind(document, kind)]
    model = KINDS[kind]
    inlined, findings = _take_in_files(kind, value, document)
    try:
        resource = model.model_validate(inlined)
    except ValidationError as error:
        details = error.errors(include_url=False)
        return None, [*findings, *(model_finding(document, model, detail) for detail in details if not findings)]
    findings += _name_findings(document, resource)
    return (None if findings else resource), findings


def identity_of(document: Document) -> tuple[str, str] | None:
    """Kind and name of a document, as far as it tells them, whatever else is wrong with it."""
    try:
        kind, name = document.value["kind"], document.value["metadata"]["name"]
    except (KeyError, TypeError):
        return None
    return (kind, name) if isinstance(kind, str) and isinstance(name, str) else None


def _unknown_kind(document: Document, kind: Any) -> Finding:
    if kind is None:
        return Finding("a resource says `kind`, `metadata` and `spec`; this has no kind", document.where())
    return Finding(
        f"there is no kind {kind!r}", document.where(("kind",)), did_you_mean(str(kind), KINDS) or _one_of(KINDS)
    )


def _name_findings(document: Document, resource: Resource) -> list[Finding]:
    if resource.name_parts == 1 and len(resource.name) > LONGEST_WORD:
        message = f"the name has {len(resource.name)} characters; {LONGEST_WORD} are allowed"
        return [Finding(message, document.where(("metadata", "name")))]
    parts = resource.name.split(".")
    if len(parts) == resource.name_parts and all(_NAME_PART.fullmatch(part) for part in parts):
        return []
    form = ".".join(["<word>"] * resource.name_parts)
    return [
        Finding(
            f"the name {resource.name!r} cannot stand in a topic name",
            document.where(("metadata", "name")),
            f"a {resource.kind}'s name is {form}; a word has ASCII lower-case letters, digits, '_' and '-'",
        )
    ]


def _take_in_files(kind: str, value: Any, document: Document) -> tuple[Any, list[Finding]]:
    """The document with the content of the file that `spec.schema` or `spec.codes` names in its place."""
    attribute, read = {"Entity": ("schema", _read_avsc), "CodeList": ("codes", _read_codes)}.get(kind, ("", None))
    spec = value.get("spec")
    if read is None or not isinstance(spec, dict) or not isinstance(spec.get(attribute), str):
        return value, []
    where = document.where(("spec", attribute))
    try:
        content = read(read_text(document.folder / spec[attribute]))
    except OSError as error:
        return value, [Finding(f"the file {spec[attribute]} cannot be read: {error.strerror}", where)]
    except UnusableFileError as error:
        return value, [Finding(f"the file {spec[attribute]} cannot be read: {error}", where)]
    except UnicodeDecodeError:
        return value, [Finding(f"the file {spec[attribute]} is not UTF-8", where, "save it as UTF-8")]
    except _BadFileError as error:
        shown = document.file.parent / spec[attribute]
        return value, [Finding(error.message, f"{shown}:{error.line}")]
    return {**value, "spec": {**spec, attribute: content}}, []


class _BadFileError(Exception):
    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


def _read_avsc(text: str) -> Any:
    try:
        schema = json.loads(text)
    except json.JSONDecodeError as error:
        raise _BadFileError(f"not JSON: {error.msg}", error.lineno) from None
    except RecursionError:
        raise _BadFileError(TOO_DEEP, 1) from None
    if is_too_deep(schema):
        raise _BadFileError(TOO_DEEP, 1)
    if not is_whole(json.dumps(schema, ensure_ascii=False)):
        raise _BadFileError(f"a text {HALF_A_CHARACTER}", 1)
    if not isinstance(schema, dict):
        raise _BadFileError("an entity's schema is an Avro record", 1)
    return schema


def _read_codes(text: str) -> list[dict[str, str]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        columns = next(reader, [])
        if columns[:2] != ["code", "name"] or not set(columns) <= set(_CODE_COLUMNS):
            raise _BadFileError(f"the first line must name the columns {','.join(_CODE_COLUMNS)}", 1)
        return list(_code_rows(reader, columns))
    except csv.Error as error:
        raise _BadFileError(f"not CSV: {error}", reader.line_num) from None


def _code_rows(reader: Any, columns: Sequence[str]) -> Iterator[dict[str, str]]:
    seen: dict[str, int] = {}
    for row in reader:
        if not row:
            continue
        if len(row) != len(columns) or not row[0] or not row[1]:
            raise _BadFileError(f"a line needs {len(columns)} columns, code and name not empty", reader.line_num)
        if row[0] in seen:
            raise _BadFileError(f"code {row[0]} is there twice, first in line {seen[row[0]]}", reader.line_num)
        seen[row[0]] = reader.line_num
        yield dict(zip(columns, row, strict=True))


def model_finding(document: Document, model: type[BaseModel], detail: ErrorDetails) -> Finding:
    """What pydantic has against a document, at its line, with the way out where it can be told."""
    path = detail["loc"]
    name = ".".join(str(part) for part in path)
    if detail["type"] == "extra_forbidden":
        known = keys_at(model, path[:-1])
        fix = did_you_mean(str(path[-1]), known) or _one_of(known)
        return Finding(f"unknown key {name!r}", document.where(path), fix)
    if detail["type"] == "missing":
        return Finding(f"{name!r} is missing", document.where(path))
    message = detail["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:] if detail["type"] != "value_error" else message
    message = "not a duration" if _is_duration(detail) else message.replace("a valid tuple", "a list")
    return Finding(f"{name}: {message}" if name else message, document.where(path), _way_out(detail))


def _is_duration(detail: ErrorDetails) -> bool:
    return detail.get("ctx", {}).get("pattern") == duration.PATTERN


def _way_out(detail: ErrorDetails) -> str:
    """What to write in the place of a value that has another type, or is none of those that there are."""
    given, kind = detail["input"], detail["type"]
    is_scalar = isinstance(given, str | int | float)
    fix = ""
    if kind == "literal_error":
        fix = did_you_mean(str(given), re.findall("'([^']*)'", detail["ctx"]["expected"]))
    elif kind == "string_type" and is_scalar:
        fix = "put it in quotes"
    elif kind == "tuple_type" and is_scalar:
        fix = f"a list: [{given}]"
    elif kind == "int_type":
        fix = f"without quotes: {given}" if str(given).isdecimal() else "a whole number: 200"
    elif kind in {"bool_type", "bool_parsing"}:
        fix = "true or false"
    elif _is_duration(detail):
        fix = "a number and one letter for the unit: 30s, 5m, 12h, 7d"
    return fix


def keys_at(model: type[BaseModel], path: Sequence[str | int]) -> list[str]:
    """The keys that a mapping at a path of the model may have."""
    current: list[Any] = [model]
    for part in path:
        current = [inner for annotation in current for inner in _step(annotation, part)]
    models = [kind for annotation in current for kind in _models(annotation)]
    return sorted({field.alias or name for kind in models for name, field in kind.model_fields.items()})


def _step(annotation: Any, part: str | int) -> Iterator[Any]:
    for model in _models(annotation):
        for name, field in model.model_fields.items():
            if part in {name, field.alias}:
                yield field.annotation
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in {dict, Mapping}:
        yield arguments[1]
    elif origin is tuple:
        yield arguments[0]
    elif origin is not None:
        for argument in arguments:
            yield from _step(argument, part)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) not in {dict, Mapping, tuple}:
        for argument in get_args(annotation):
            yield from _models(argument)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The known word that is like another one, as a question; empty if none is."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else ""


def _one_of(known: Any) -> str:
    return f"there are {', '.join(known)}"
