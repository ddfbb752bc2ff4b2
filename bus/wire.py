"""What stands on the wire: topic names, keys, the Confluent frame and the CloudEvents headers.

Sources: Confluent wire format (byte 0, 4-byte big-endian schema id, Avro body); CloudEvents 1.0.2 Kafka protocol
binding, binary content mode. Golden bytes of all of it stand in `tests/compatibility/`.
"""

from __future__ import annotations

import datetime as dt
import decimal
import json
import re
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bus.errors import BusError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

Header = tuple[str, bytes]
Headers = list[Header]

FRAME_BYTES: Final = 5
SPEC_VERSION: Final = b"1.0"
SPEC_VERSION_HEADER: Final[Header] = ("ce_specversion", SPEC_VERSION)
MAX_TOPIC_NAME: Final = 249
MAX_RECORD_BYTES: Final = 1_000_000
"""Bytes of a record: below Kafka's default of 1 MiB, with room for a reject's reason, and for what a view adds."""

MAX_SENT_BYTES: Final = 1_040_000
"""Of a record that was made of another; Kafka's default limit is 1,048,588, a record's framing included."""

_TOPIC_NAME = re.compile(r"[a-zA-Z0-9._-]+")


class BadFrameError(BusError):
    """The bytes are not in the Confluent wire format."""


class BadKeyError(BusError):
    """A key field has no value that can stand in a key."""


def raw_topic(dataset: str) -> str:
    """`raw.<dept>.<dataset>`; a Dataset's name is already `<dept>.<dataset>`."""
    return f"raw.{dataset}"


def dlq_topic(dataset: str) -> str:
    """`dlq.<dept>.<dataset>`."""
    return f"dlq.{dataset}"


def shared_topic(entity: str) -> str:
    """`shared.<domain>.<entity>`; an Entity's name is already `<domain>.<entity>`."""
    return f"shared.{entity}"


def view_topic(view: str, revision: int) -> str:
    """`view.<name>.v<N>`."""
    return f"view.{view}.v{revision}"


def positions_topic(department: str) -> str:
    """`_bus.positions.<dept>`."""
    return f"_bus.positions.{department}"


def rejects_topic(department: str) -> str:
    """`_bus.rejects.<dept>`."""
    return f"_bus.rejects.{department}"


def subject(topic: str) -> str:
    """The value subject of a topic (TopicNameStrategy)."""
    return f"{topic}-value"


def topic_name_faults(name: str) -> str:
    """Why Kafka, or this bus, would not take the name; empty if it would."""
    if not name or len(name) > MAX_TOPIC_NAME:
        return f"has {len(name)} characters; 1 to {MAX_TOPIC_NAME} are allowed"
    if not _TOPIC_NAME.fullmatch(name):
        return "may only hold ASCII letters, digits, '.', '_' and '-'"
    return ""


def key_text(value: object) -> str:
    """One key field as text: the form that stands in a key, the same for every source system.

    Raises:
        BadKeyError: null, or a type that has no one text form (floats, containers).
    """
    if isinstance(value, str):
        return value
    for kind, text in _KEY_TEXTS:
        if isinstance(value, kind):
            return text(value)
    raise BadKeyError(f"a value of type {type(value).__name__}")


def _utc(moment: dt.datetime) -> str:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    return aware.astimezone(dt.UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


# bool before int and datetime before date: each is a kind of the other.
_KEY_TEXTS: Final[tuple[tuple[type, Callable[[Any], str]], ...]] = (
    (bool, lambda value: "true" if value else "false"),
    (int, str),
    (uuid.UUID, str),
    (decimal.Decimal, lambda value: format(value, "f")),
    (dt.datetime, _utc),
    (dt.date, dt.date.isoformat),
    (dt.time, dt.time.isoformat),
    (bytes, bytes.hex),
)


def encode_key(texts: Sequence[str]) -> bytes:
    """A record key: one field as it is, several as a compact JSON array of strings, in UTF-8."""
    if len(texts) == 1:
        return texts[0].encode()
    return json.dumps(list(texts), ensure_ascii=False, separators=(",", ":")).encode()


def decode_key(key: bytes, fields: int) -> list[str]:
    """The texts of a record key of so many fields.

    Raises:
        BadKeyError: not UTF-8, or not an array of so many strings.
    """
    try:
        text = key.decode()
        if fields == 1:
            return [text]
        texts = json.loads(text)
    except ValueError:
        raise BadKeyError("the key is not UTF-8 or not JSON") from None
    if not isinstance(texts, list) or len(texts) != fields or not all(isinstance(t, str) for t in texts):
        raise BadKeyError(f"the key is not an array of {fields} strings")
    return texts


def record_size(key: bytes | None, value: bytes | None, headers: Iterable[tuple[str, bytes | None]] = ()) -> int:
    """Bytes of a record, without its framing."""
    size = len(key or b"") + len(value or b"")
    for name, content in headers:
        size += len(name) if name.isascii() else len(name.encode())
        if content is not None:
            size += len(content)
    return size


def is_too_large(key: bytes | None, value: bytes | None, headers: Iterable[tuple[str, bytes | None]] = ()) -> bool:
    """Whether a record is larger than a topic takes."""
    return record_size(key, value, headers) > MAX_RECORD_BYTES


def frame(schema_id: int) -> bytes:
    """The five bytes before an Avro body."""
    return b"\0" + schema_id.to_bytes(4, "big")


def schema_id(value: bytes) -> int:
    """The writer schema's id of a framed value.

    Raises:
        BadFrameError: shorter than a frame, or another magic byte.
    """
    if len(value) < FRAME_BYTES or value[0]:
        raise BadFrameError("five bytes, the first of them 0, must come before the Avro body")
    return int.from_bytes(value[1:FRAME_BYTES], "big")


@dataclass(frozen=True, slots=True)
class CloudEvent:
    """The CloudEvents attributes of a record, as its headers carry them (required attributes and `time`).

    Attributes:
        id: same id ⇔ same content.
        type: `<domain>.<entity>.v<N>`, or `raw.<dept>.<dataset>`.
        source: `urn:shuniu:<bus id>:<credit code of the department>:<system>`; never rewritten downstream.
        time: source commit time, RFC 3339 in UTC.
    """

    id: str
    type: str
    source: str
    time: str

    def headers(self) -> Headers:
        """Headers in the Kafka binary content mode (prefix `ce_`)."""
        return [
            SPEC_VERSION_HEADER,
            ("ce_id", self.id.encode()),
            ("ce_type", self.type.encode()),
            ("ce_source", self.source.encode()),
            ("ce_time", self.time.encode()),
        ]

    @classmethod
    def of(cls, headers: Sequence[Header]) -> CloudEvent:
        """The event's attributes out of a record's headers; absent ones are empty."""
        found = dict(headers)
        return cls(
            *((found.get(f"ce_{name}") or b"").decode("utf-8", "replace") for name in ("id", "type", "source", "time"))
        )


def derived_headers(
    headers: Mapping[str, bytes | None],
    id_suffix: bytes,
    type_header: Header,
    id_of: Callable[[bytes], bytes] | None = None,
) -> Headers:
    """The headers of a record made from another: its id goes on, source and time stay, anything else is dropped.

    Kafka lets a header have no value (null), which is taken as an absent one.

    Args:
        headers: of the record that it was made from, by name.
        id_suffix: revision of what made it, so that a correction has a new id.
        type_header: its `ce_type`.
        id_of: what is shown of its id; the id itself without it.
    """
    get = headers.get
    made = (get("ce_id") or b"") + id_suffix
    return [
        SPEC_VERSION_HEADER,
        ("ce_id", made if id_of is None else id_of(made)),
        type_header,
        ("ce_source", get("ce_source") or b""),
        ("ce_time", get("ce_time") or b""),
    ]


def header_texts(headers: Iterable[tuple[str, bytes | None]]) -> dict[str, str]:
    """Headers as text, for people: what is not UTF-8 is replaced, a null is empty."""
    return {name: (value or b"").decode("utf-8", "replace") for name, value in headers}


def source_urn(bus_id: str, credit_code: str, system: str) -> str:
    """`ce_source` of a department's system."""
    return f"urn:shuniu:{bus_id}:{credit_code}:{system}"


def bus_of(source: str) -> str:
    """The bus id inside a `ce_source`; empty if it is not one of ours."""
    parts = source.split(":", 3)
    return parts[2] if len(parts) == 4 and parts[:2] == ["urn", "shuniu"] else ""


def system_of(source: str) -> str:
    """`<credit code>:<system>` inside a `ce_source`; empty if it is not one of ours."""
    return source.split(":", 3)[3] if bus_of(source) else ""


def timestamp(micros: int) -> str:
    """Microseconds since 1970 as RFC 3339 in UTC, with microseconds."""
    moment = dt.datetime.fromtimestamp(micros // 1_000_000, dt.UTC).replace(tzinfo=None)
    return f"{moment.isoformat()}.{micros % 1_000_000:06d}Z"


def micros(timestamp: str) -> int:
    """The inverse of `timestamp`.

    Raises:
        ValueError: not RFC 3339.
    """
    moment = dt.datetime.fromisoformat(timestamp)
    return (moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)
