"""What a view shows of an entity's record: some fields, some of them masked or as pseudonyms."""

from __future__ import annotations

import hmac
from operator import is_, itemgetter
from typing import TYPE_CHECKING, Any

from bus import wire
from bus.catalogue.view import MOST_FILLED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bus.catalogue.view import Mask, View

    Pseudonyms = Mapping[str, "Pseudonym"]

Record = dict[str, Any]


def compile_mask(mask: Mask) -> Callable[[str], str]:
    """The mask as a function of a text; a text too short to hide anything is hidden whole."""
    start, end, fill, fixed = mask.keep_start, mask.keep_end, mask.fill, mask.length

    def hide(text: str) -> str:
        hidden = len(text) - start - end
        if hidden <= 0:
            return fill * (fixed or min(len(text), MOST_FILLED))
        return text[:start] + fill * (fixed or min(hidden, MOST_FILLED)) + text[len(text) - end :]

    return hide


class Pseudonym:
    """The function from a text to `hmac-sha256:<hex>` of it (RFC 2104) under a secret key."""

    __slots__ = ("_keyed", "_last")

    def __init__(self, key: bytes) -> None:
        self._keyed = hmac.new(key, digestmod="sha256")
        self._last = (b"", self.once(b""))

    def __call__(self, text: str) -> str:
        """Of a text."""
        return self.of(text.encode()).decode()

    def of(self, text: bytes) -> bytes:
        """The same for UTF-8. The last one is known: a key stands in its record too."""
        last, made = self._last
        if text != last:
            made = self.once(text)
            self._last = (text, made)
        return made

    def once(self, text: bytes) -> bytes:
        """The same of what hardly comes again: it is not remembered."""
        keyed = self._keyed.copy()
        keyed.update(text)
        return b"hmac-sha256:" + keyed.hexdigest().encode()


def compile_key(entity_key: Sequence[str], pseudonyms: Pseudonyms) -> Callable[[bytes], bytes] | None:
    """From the key of a shared record to that of the view's; None where it is the same."""
    hides = [pseudonyms.get(name) for name in entity_key]
    if not any(hides):
        return None
    if len(hides) == 1 and (only := hides[0]) is not None:

        def hidden_text(key: bytes) -> bytes:
            wire.decode_key(key, 1)  # it must be UTF-8
            return only.of(key)

        return hidden_text

    def hidden(key: bytes) -> bytes:
        texts = wire.decode_key(key, len(hides))
        return wire.encode_key([hide(text) if hide else text for hide, text in zip(hides, texts, strict=True)])

    return hidden


def compile_id(topic: str, view: View, pseudonyms: Pseudonyms) -> Callable[[bytes], bytes] | None:
    """From a record's `ce_id` to what a view shows of it; None where it shows the id itself.

    The same change has the same id in every view: beside a pseudonym it would tell who that is to those who see
    another view, and the place of a row in its dump to everybody.
    """
    hide = next((pseudonyms[name] for name in view.spec.fields if name in pseudonyms), None)
    first = topic.encode() + b"\n"
    return None if hide is None else lambda number: hide.once(first + number)


def compile_projection(
    entity_schema: dict[str, Any], view: View, pseudonyms: Pseudonyms | None = None
) -> tuple[dict[str, Any], Callable[[Record], Record]]:
    """The view's Avro schema, and the function from the entity's record to the view's.

    The schema is the entity's with the view's fields, called `<namespace>.<view>` ('-' becomes '_'). Filters are not
    its concern.

    Args:
        entity_schema: Avro schema of the entity.
        view: of it.
        pseudonyms: of the view, by field.
    """
    names = view.spec.fields
    masks: tuple[tuple[str, Callable[[str], str]], ...] = (
        *((name, compile_mask(mask)) for name, mask in view.spec.masks.items()),
        *((pseudonyms or {}).items()),
    )
    values = itemgetter(*names)

    def project(record: Record) -> Record:
        shown = dict(zip(names, values(record), strict=True)) if len(names) > 1 else {names[0]: record[names[0]]}
        for name, hide in masks:
            if (value := shown[name]) is not None:
                shown[name] = hide(value)
        return shown

    return view_schema(entity_schema, view), project


def view_schema(entity_schema: dict[str, Any], view: View) -> dict[str, Any]:
    """The Avro schema of a view's records."""
    fields = {field["name"]: field for field in entity_schema["fields"]}
    namespace = entity_schema.get("namespace", "") or entity_schema["name"].rpartition(".")[0]
    named: dict[str, Any] = {}
    _collect(entity_schema["fields"], namespace, named)
    defined: set[str] = set()
    return {
        "type": "record",
        "name": view.name.replace("-", "_"),
        "namespace": namespace,
        **({"doc": view.metadata.title} if view.metadata.title else {}),
        "fields": [_with_types(fields[name], namespace, named, defined) for name in view.spec.fields],
    }


def _collect(node: Any, namespace: str, named: dict[str, Any]) -> None:
    """Every named type by its full name."""
    if isinstance(node, list):
        for part in node:
            _collect(part, namespace, named)
    elif isinstance(node, dict):
        if node.get("type") in ("record", "enum", "fixed"):
            namespace = node.get("namespace", namespace)
            named[_full(node["name"], namespace)] = node
        for part in ("type", "items", "values", "fields"):
            if not isinstance(node.get(part), str):
                _collect(node.get(part), namespace, named)


def _with_types(node: Any, namespace: str, named: dict[str, Any], defined: set[str]) -> Any:
    """The node with each named type defined where it is first used: its first use may be in a field not shown.

    A part that stays as it is is the entity's own: thousands of views share it.
    """
    if isinstance(node, str):
        full = _full(node, namespace)
        if full not in named:
            return node
        return full if full in defined else _with_types(named[full], namespace, named, defined)
    if isinstance(node, list):
        parts = [_with_types(part, namespace, named, defined) for part in node]
        return node if all(map(is_, parts, node)) else parts
    if node.get("type") in ("record", "enum", "fixed"):
        full = _full(node["name"], node.get("namespace", namespace))
        if full in defined:
            return full
        defined.add(full)
        namespace, _, name = full.rpartition(".")
        made = node | {"name": name, "namespace": namespace}
        if "fields" in node:
            made["fields"] = [_with_types(field, namespace, named, defined) for field in node["fields"]]
        return made
    inner = {
        part: _with_types(node[part], namespace, named, defined) for part in ("type", "items", "values") if part in node
    }
    return node if all(made is node[part] for part, made in inner.items()) else node | inner


def _full(name: str, namespace: str) -> str:
    return name if "." in name or not namespace else f"{namespace}.{name}"
