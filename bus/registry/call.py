"""One HTTP request as a handler sees it, and the JSON answer: media types, names, numbers, flags, bodies."""

from __future__ import annotations

import json
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from starlette.exceptions import HTTPException
from starlette.responses import Response

from bus.registry import faults
from bus.registry.records import AVRO, Content, SchemaReference
from bus.registry.schema import compact_json

if TYPE_CHECKING:
    from starlette.requests import Request

V1: Final = "application/vnd.schemaregistry.v1+json"
ANSWERED: Final = (V1, "application/vnd.schemaregistry+json", "application/json")
ACCEPTED: Final = (*ANSWERED, "application/octet-stream", "")
MAX_BODY_BYTES: Final = 5 * 1024 * 1024
MAX_VERSION: Final = 2**31 - 1
LATEST: Final = -1


@dataclass(frozen=True, slots=True)
class Raw:
    """An answer that is JSON text already."""

    text: str


def answer(value: Any, media_type: str = V1) -> Response:
    """A JSON answer."""
    return Response(value.text if isinstance(value, Raw) else compact_json(value), media_type=media_type)


def refusal(code: int, message: str, media_type: str = V1) -> Response:
    """An error answer: the only form that the Java client reads."""
    body = json.dumps({"error_code": code, "message": message})
    return Response(body, int(str(code)[:3]), media_type=media_type)


def answered_type(accept: str) -> str:
    """The media type for an Accept header: v1 wherever it is acceptable.

    Raises:
        HTTPException: 406, none of ours is.
    """
    wanted = {part.partition(";")[0].strip().lower() for part in accept.split(",")} - {""}
    if not wanted or wanted & {"*/*", "application/*"}:
        return V1
    for media_type in ANSWERED:
        if media_type in wanted:
            return media_type
    raise HTTPException(406, "HTTP 406 Not Acceptable")


@dataclass(frozen=True, slots=True)
class Call:
    """A request."""

    request: Request

    @property
    def subject(self) -> str:
        """The subject in the path: percent-decoded once, and then only a name.

        Raises:
            RefusedError: 42208, it is not UTF-8 or holds control characters.
        """
        raw: str = self.request.path_params["subject"]
        try:
            name = unquote(raw, errors="strict")
        except UnicodeDecodeError:
            raise faults.invalid_subject(raw) from None
        if any(unicodedata.category(character) in ("Cc", "Cs") for character in name):
            raise faults.invalid_subject(name)
        return name

    @property
    def version(self) -> int:
        """The version in the path; LATEST for `latest` and -1.

        Raises:
            RefusedError: 42202.
        """
        text: str = self.request.path_params["version"]
        if text in ("latest", "-1"):
            return LATEST
        if not (text.isascii() and text.isdigit()) or len(text) > 10 or not 1 <= int(text) <= MAX_VERSION:
            raise faults.invalid_version(text)
        return int(text)

    @property
    def schema_id(self) -> int:
        """The id in the path.

        Raises:
            HTTPException: 404, not a number.
        """
        text: str = self.request.path_params["id"]
        if not (text.isascii() and text.isdigit()) or len(text) > 10:
            raise HTTPException(404, "HTTP 404 Not Found")
        return int(text)

    def flag(self, name: str) -> bool:
        """A query boolean, in any case; Python's clients send `False`."""
        return self.request.query_params.get(name, "").lower() == "true"

    def number(self, name: str, default: int) -> int:
        """A query number; what is none is ignored."""
        text = self.request.query_params.get(name, "")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else default

    def text(self, name: str) -> str:
        """A query parameter, empty if absent."""
        return self.request.query_params.get(name, "")

    async def body(self) -> dict[str, Any]:
        """The JSON object in the body.

        Raises:
            HTTPException: 415, 413, or 400.
        """
        sent = self.request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if sent not in ACCEPTED:
            raise HTTPException(415, "HTTP 415 Unsupported Media Type")
        received = bytearray()
        async for chunk in self.request.stream():
            received += chunk
            if len(received) > MAX_BODY_BYTES:
                raise HTTPException(413, f"The body is larger than {MAX_BODY_BYTES} bytes")
        try:
            found = json.loads(received.decode())
        except (ValueError, RecursionError):
            raise HTTPException(400, "The body is not JSON in UTF-8") from None
        if not isinstance(found, dict):
            raise HTTPException(400, "The body is not a JSON object")
        return found

    async def schema(self) -> tuple[Content, dict[str, Any]]:
        """The schema that the body holds, as it was sent, and the body.

        Raises:
            RefusedError: 42201, there is none, or it is of a type that this registry does not take.
        """
        body = await self.body()
        schema, kind = body.get("schema"), body.get("schemaType") or AVRO
        if kind != AVRO:
            raise faults.invalid_schema(f"this registry takes Avro only, not {str(kind)[:40]}")
        if not isinstance(schema, str) or not schema.strip():
            raise faults.invalid_schema("it is empty or missing")
        references = body.get("references") or []
        if not isinstance(references, list):
            raise faults.invalid_schema("the references are not an array")
        return Content(schema, tuple(_reference(reference) for reference in references)), body


def _reference(sent: Any) -> SchemaReference:
    """One reference.

    Raises:
        RefusedError: 42201.
    """
    try:
        name, subject, version = sent["name"], sent["subject"], sent["version"]
        (name + subject).encode()
    except (KeyError, TypeError, ValueError):
        raise faults.invalid_schema("a reference needs name, subject and version") from None
    if not isinstance(version, int) or isinstance(version, bool):
        raise faults.invalid_schema("the version of a reference is not a number")
    return SchemaReference(name, subject, version)
