"""YAML with the line of every node, so that each finding says file:line.

Values are JSON values: texts, numbers, booleans, null, lists, mappings. Dates stay texts. Tags, anchors and merge keys
are refused: a catalogue is read by people.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from bus.catalogue.file_text import (
    DEEPEST,
    HALF_A_CHARACTER,
    TOO_DEEP,
    WRITE_WHOLE,
    UnusableFileError,
    is_whole,
    read_text,
)
from bus.errors import Finding

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

YamlPath = tuple[str | int, ...]

_PREFIX = "tag:yaml.org,2002:"


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document.

    Attributes:
        file: as it is to be named in findings.
        folder: where the files beside it lie.
        value: what it says.
        lines: path of a node → its line, from 1.
    """

    file: Path
    folder: Path
    value: Any
    lines: dict[YamlPath, int] = field(repr=False)

    def where(self, path: YamlPath = ()) -> str:
        """file:line of the node, or of the nearest node around it that there is."""
        found: YamlPath = ()
        for part in path:
            if (*found, part) in self.lines:
                found = (*found, part)
        return f"{self.file}:{self.lines.get(found, 1)}"


def read_documents(file: Path, shown: Path) -> tuple[list[Document], list[Finding]]:
    """The documents of a file, and what is wrong with it; empty documents are left out.

    Args:
        file: where it is.
        shown: the path that findings name.
    """
    try:
        text = read_text(file)
    except UnicodeDecodeError as error:
        line = file.read_bytes()[: error.start].count(b"\n") + 1
        return [], [Finding("the file is not UTF-8", f"{shown}:{line}", "save it as UTF-8")]
    except OSError as error:
        return [], [Finding(f"cannot be read: {error.strerror}", str(shown))]
    except UnusableFileError as error:
        return [], [Finding(f"cannot be read: {error}", str(shown))]
    findings: list[Finding] = []
    documents: list[Document] = []
    try:
        for node in YAML(typ="safe", pure=True).compose_all(text):
            lines: dict[YamlPath, int] = {}
            value = _Values(shown, lines, findings).of(node, ()) if node is not None else None
            if value is not None:
                documents.append(Document(shown, file.parent, value, lines))
    except RecursionError:
        findings.append(Finding(TOO_DEEP, f"{shown}:1"))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        findings.append(Finding(f"not YAML: {error.problem}", f"{shown}:{mark.line + 1 if mark else 1}"))
    except YAMLError as error:
        findings.append(Finding(f"not YAML: {str(error).splitlines()[0]}", f"{shown}:1"))
    return documents, findings


class _Values:
    """Turns nodes into values, and writes down their lines."""

    def __init__(self, shown: Path, lines: dict[YamlPath, int], findings: list[Finding]) -> None:
        self._shown = shown
        self._lines = lines
        self._findings = findings
        self._seen: set[int] = set()

    def of(self, node: Node, path: YamlPath) -> Any:
        """The value of a node at a path."""
        self._lines.setdefault(path, node.start_mark.line + 1)
        if id(node) in self._seen:
            return self._wrong(node, "anchors and aliases are not used here", "write it out")
        self._seen.add(id(node))
        if len(path) > DEEPEST:
            return self._wrong(node, TOO_DEEP, "")
        if isinstance(node, MappingNode):
            return self._mapping(node, path)
        if isinstance(node, SequenceNode):
            return [self.of(item, (*path, index)) for index, item in enumerate(node.value)]
        assert isinstance(node, ScalarNode)
        return self._scalar(node)

    def _mapping(self, node: MappingNode, path: YamlPath) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            if not is_whole(key):
                self._wrong(key_node, f"the key {HALF_A_CHARACTER}", WRITE_WHOLE)
                continue
            if key in result:
                self._wrong(key_node, f"key {key!r} is given twice", "keep one of them")
                continue
            self._lines[(*path, key)] = key_node.start_mark.line + 1
            result[key] = self.of(value_node, (*path, key))
        return result

    def _scalar(self, node: ScalarNode) -> Any:
        read = _SCALARS.get(str(node.tag).removeprefix(_PREFIX))
        if read is None:
            return self._wrong(node, f"tag {node.tag} is not known here", "remove it")
        if not is_whole(node.value):
            self._wrong(node, f"the text {HALF_A_CHARACTER}", WRITE_WHOLE)
            return ""
        try:
            return read(node.value)
        except ValueError:
            return self._wrong(node, "not a number that can be read", "put it in quotes if it is a text")

    def _wrong(self, node: Node, message: str, fix: str) -> None:
        self._findings.append(Finding(message, f"{self._shown}:{node.start_mark.line + 1}", fix))


def _number(text: str) -> int:
    return int(text.replace("_", ""), 0 if text.lstrip("+-").startswith(("0x", "0o")) else 10)


def _real(text: str) -> float:
    return float(text.replace("_", "").replace(".inf", "inf").replace(".nan", "nan"))


_SCALARS: dict[str, Callable[[str], Any]] = {
    "str": str,
    "timestamp": str,
    "null": lambda _: None,
    "bool": lambda text: text.lower() == "true",
    "int": _number,
    "float": _real,
}
