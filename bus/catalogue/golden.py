"""Golden examples of a mapping: rows, and the records or rejects that they must become.

A file beside the mapping, `*.golden.yaml`:

    types: {id: long, gxsj: timestamp}     # of source fields that are not texts
    base: {sfzh: …, xm: …}                 # a row that each example changes
    examples:
      - name: a good row
        record: {id_number: …}             # the whole record
      - name: a name with spaces around it
        row: {xm: " 王芳 "}
        has: {full_name: 王芳}              # some of its fields
      - name: the check digit is wrong
        row: {sfzh: …}
        reject: {rule: gb11643, field: id_number}
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, replace
from io import BytesIO
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self

from fastavro import parse_schema, schemaless_writer
from pydantic import Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator, model_validator

from bus.catalogue.avro_type import AvroType, field_types, literal
from bus.catalogue.codelist import CodeList
from bus.catalogue.dataset import Dataset
from bus.catalogue.entity import Entity
from bus.catalogue.load import model_finding
from bus.catalogue.mapping import Mapping
from bus.catalogue.model import Model
from bus.catalogue.workspace import shown_path
from bus.catalogue.yaml_document import read_documents
from bus.errors import Finding, Severity
from bus.pipeline.mapping.compiled import CompiledMapping, compile_mapping
from bus.pipeline.reject import Reject

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bus.catalogue.workspace import Workspace
    from bus.catalogue.yaml_document import Document

_DECIMAL: Final = re.compile(r"decimal\(([1-9][0-9]{0,2}), ?([0-9]{1,3})\)")


def _type_name(given: Any, others: ValidatorFunctionWrapHandler) -> str:
    found = _DECIMAL.fullmatch(given) if isinstance(given, str) else None
    if found is None and str(given).startswith("decimal"):
        raise ValueError("a decimal has a precision and a scale: decimal(10, 2)")
    if found is None:
        return str(others(given))
    if int(found[2]) > int(found[1]):
        raise ValueError("the scale of a decimal is greater than its precision")
    return found.string


TypeName = Annotated[
    Literal[
        "string", "int", "long", "double", "boolean", "bytes", "date", "timestamp", "local-timestamp", "time", "uuid"
    ],
    WrapValidator(_type_name),
]
"""One of these, or `decimal(precision, scale)`."""

_AVRO: dict[str, Any] = {
    "date": {"type": "int", "logicalType": "date"},
    "timestamp": {"type": "long", "logicalType": "timestamp-micros"},
    "local-timestamp": {"type": "long", "logicalType": "local-timestamp-micros"},
    "time": {"type": "long", "logicalType": "time-micros"},
    "uuid": {"type": "string", "logicalType": "uuid"},
}


class ExpectedReject(Model):
    """The verdict that is expected."""

    rule: str
    field: str = ""


class Example(Model):
    """One row, and exactly one of: the record, some fields of it, the reject."""

    name: str
    row: dict[str, Any] = Field(default_factory=dict)
    record: dict[str, Any] | None = None
    has: dict[str, Any] | None = None
    reject: ExpectedReject | None = None

    @model_validator(mode="after")
    def _expects_one_thing(self) -> Self:
        if sum(value is not None for value in (self.record, self.has, self.reject)) != 1:
            raise ValueError("an example expects exactly one of record, has, reject")
        return self


class Examples(Model):
    """A golden file."""

    types: dict[str, TypeName] = Field(default_factory=dict)
    base: dict[str, Any] = Field(default_factory=dict)
    examples: tuple[Example, ...] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class GoldenRun:
    """How a mapping's examples came out.

    Attributes:
        mapping: its name.
        examples: how many were run.
        findings: what differs, and what is wrong with the file.
    """

    mapping: str
    examples: int
    findings: tuple[Finding, ...]


def run_golden(workspace: Workspace) -> list[GoldenRun]:
    """The examples of all mappings of a workspace that has no errors."""
    return [_run(workspace, mapping) for mapping in workspace.all(Mapping) if mapping.spec.golden]


def with_golden_warnings(workspace: Workspace) -> Workspace:
    """The workspace, which has no errors, with a warning for each golden example that comes out otherwise."""
    warnings = [
        replace(finding, severity=Severity.WARNING, fix=finding.fix or "see `bus mapping test`")
        for run in run_golden(workspace)
        for finding in run.findings
    ]
    return replace(workspace, findings=(*workspace.findings, *warnings))


def golden_file_faults(workspace: Workspace) -> list[Finding]:
    """What is wrong with the golden files of a workspace that has no errors, whatever their examples come to."""
    return [
        finding for mapping in workspace.all(Mapping) if mapping.spec.golden for finding in _read(workspace, mapping)[1]
    ]


def _run(workspace: Workspace, mapping: Mapping) -> GoldenRun:
    read, findings = _read(workspace, mapping)
    if read is None:
        return GoldenRun(mapping.name, 0, tuple(findings))
    document, examples = read
    differences = tuple(_Runner(workspace, mapping, document, examples).differences())
    return GoldenRun(mapping.name, len(examples.examples), differences)


def _read(workspace: Workspace, mapping: Mapping) -> tuple[tuple[Document, Examples] | None, list[Finding]]:
    """A mapping's golden file, or what is wrong with it."""
    file = workspace.documents[mapping.key].folder / mapping.spec.golden
    documents, findings = read_documents(file, shown_path(file))
    if findings or len(documents) != 1:
        return None, findings or [Finding("a golden file is one YAML document", f"{shown_path(file)}:1")]
    [document] = documents
    try:
        return (document, Examples.model_validate(document.value)), []
    except ValidationError as error:
        details = error.errors(include_url=False)
        return None, [model_finding(document, Examples, detail) for detail in details]


class _Runner:
    """One mapping and its golden file."""

    def __init__(self, workspace: Workspace, mapping: Mapping, document: Document, examples: Examples) -> None:
        entity = workspace.named(Entity)[mapping.spec.entity]
        dataset = workspace.named(Dataset)[mapping.spec.dataset]
        row_schema = _row_schema(mapping, dataset, examples)
        self._document = document
        self._reads = {
            source: workspace.where(mapping, "spec", "fields", name, "from")
            for name, rule in mapping.spec.fields.items()
            for source in rule.sources
        }
        self._examples = examples
        self._source_types = field_types(row_schema)
        self._target_types = field_types(entity.spec.avro)
        self._parsed = parse_schema(entity.spec.avro)
        self._compiled: CompiledMapping = compile_mapping(
            mapping, entity, dataset, workspace.named(CodeList), row_schema
        )

    def differences(self) -> Iterator[Finding]:
        """A finding for each example that came out otherwise."""
        for index, example in enumerate(self._examples.examples):
            where = self._document.where(("examples", index))
            try:
                lines = list(self._compare(example))
            except (ValueError, TypeError, ArithmeticError) as error:  # fastavro's, of a record that does not fit, too
                lines = [str(error)]
            if lines:
                yield Finding("\n".join([f"example {example.name!r} came out otherwise", *lines]), where)

    def _compare(self, example: Example) -> Iterator[str]:
        result = self._compiled.apply(self._row(example))
        expected = example.reject
        if isinstance(result, Reject):
            if expected is None:
                yield f"    + rejected: rule {result.rule}, field {result.field}: {result.reason}"
            elif (expected.rule, expected.field or result.field) != (result.rule, result.field):
                yield f"    - reject: rule {expected.rule}, field {expected.field or '(any)'}"
                yield f"    + reject: rule {result.rule}, field {result.field}"
            return
        if expected is not None:
            yield f"    - reject: rule {expected.rule}, field {expected.field or '(any)'}"
            yield "    + accepted"
            return
        yield from self._record_differences(example, result)
        schemaless_writer(BytesIO(), self._parsed, result)

    def _record_differences(self, example: Example, result: dict[str, Any]) -> Iterator[str]:
        given = example.record if example.record is not None else example.has or {}
        wanted = {name: _value(name, value, self._target_types) for name, value in given.items()}
        names = wanted if example.record is None else {**wanted, **result}
        for name in names:
            if name not in wanted:
                yield f"    + {name}: {result[name]}"
            elif name not in result:
                yield f"    - {name}: {wanted[name]}"
            elif wanted[name] != result[name]:
                yield f"    - {name}: {wanted[name]}"
                yield f"    + {name}: {result[name]}"

    def _row(self, example: Example) -> dict[str, Any]:
        given = {**dict.fromkeys(self._source_types), **self._examples.base, **example.row}
        for name in given:
            if name not in self._source_types:
                raise ValueError(f"    {self._unknown(name)}")
        return {name: _value(name, value, self._source_types) for name, value in given.items()}

    def _unknown(self, name: str) -> str:
        """What to say of a field of a row that nobody reads.

        Which side is misspelt is not known where only the mapping has a name like it.
        """
        close = difflib.get_close_matches(name, self._source_types, n=1)
        if not close:
            return f"there is no field {name!r}; the mapping reads {', '.join(self._reads)}"
        [known] = close
        if known in self._reads and known not in {*self._examples.base, *self._examples.types}:
            return f"the mapping reads {known!r} ({self._reads[known]}), the example has {name!r}"
        return f"there is no field {name!r}; did you mean {known!r}?"


def _row_schema(mapping: Mapping, dataset: Dataset, examples: Examples) -> dict[str, Any]:
    names = set(dataset.spec.fields) | set(examples.types) | set(dataset.spec.key)
    names |= {source for rule in mapping.spec.fields.values() for source in rule.sources}
    fields = [{"name": name, "type": ["null", _avro(examples.types.get(name, "string"))]} for name in sorted(names)]
    return {"type": "record", "name": "row", "fields": fields}


def _avro(name: str) -> Any:
    """The Avro type of a name in `types`."""
    if found := _DECIMAL.fullmatch(name):
        return {"type": "bytes", "logicalType": "decimal", "precision": int(found[1]), "scale": int(found[2])}
    return _AVRO.get(name, name)


def _value(name: str, value: Any, types: dict[str, AvroType]) -> Any:
    if name not in types:
        close = difflib.get_close_matches(name, types, n=1)
        raise ValueError(f"    there is no field {name!r}" + (f"; did you mean {close[0]!r}?" if close else ""))
    if value is None:
        return None
    try:
        return value.encode() if types[name].name == "bytes" else literal(value, types[name])
    except ValueError as error:
        raise ValueError(f"    {name}: {error}") from None
