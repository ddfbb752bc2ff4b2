"""An asynchronous client of a Confluent-compatible schema registry: the few calls that the bus makes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import quote

import aiohttp
from yarl import URL

from bus.errors import BusError, RegistryUnavailableError, SchemaNotFoundError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    Schema = Mapping[str, Any] | str

TIMEOUT_SECONDS: Final = 10.0
MEDIA_TYPE: Final = "application/vnd.schemaregistry.v1+json"
CHECK: Final = "check that the registry runs there, and BUS_REGISTRY_URL"


class RegistryRefusedError(BusError):
    """The schema registry refused the request.

    Attributes:
        code: the registry's `error_code`: 409 incompatible, 42201 invalid schema, 42205 read-only, and so on.
    """

    def __init__(self, code: int, message: str, *, where: str) -> None:
        super().__init__(f"{message} (code {code})", where=where)
        self.code = code


class SchemaRegistry:
    """The registry at a URL. Safe to share among tasks of one event loop.

    Every method raises RegistryUnavailableError when the registry cannot be reached within TIMEOUT_SECONDS or answers
    5xx, and RegistryRefusedError when it refuses.
    """

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._session: aiohttp.ClientSession | None = None
        self._schemas: dict[int, dict[str, Any]] = {}

    async def register(self, subject: str, schema: Schema) -> int:
        """The schema's id; the subject has the schema from now on.

        Raises:
            RegistryRefusedError: code 409, the subject's compatibility forbids it; 42201, it is not valid.
        """
        answer = await self._call("POST", f"/subjects/{_name(subject)}/versions", {"schema": _text(schema)})
        schema_id: int = answer["id"]
        return schema_id

    async def schema(self, schema_id: int) -> dict[str, Any]:
        """The schema of an id, asked for once; a schema that is only a type's name comes as `{"type": name}`.

        Raises:
            SchemaNotFoundError: the registry has no such id.
        """
        if schema_id not in self._schemas:
            try:
                answer = await self._call("GET", f"/schemas/ids/{schema_id}")
            except RegistryRefusedError as refused:
                if refused.code != 40403:
                    raise
                raise SchemaNotFoundError(f"id {schema_id}", where=self._url) from None
            self._schemas[schema_id] = _schema(answer["schema"])
        return self._schemas[schema_id]

    async def compatible(self, subject: str, schema: Schema) -> list[str]:
        """Why the subject's compatibility would forbid the schema; empty if it would not."""
        path = f"/compatibility/subjects/{_name(subject)}/versions?verbose=true"
        answer = await self._call("POST", path, {"schema": _text(schema)})
        if answer["is_compatible"]:
            return []
        return list(answer.get("messages") or ["the schema is not compatible"])

    async def set_compatibility(self, subject: str, level: str) -> None:
        """Set the subject's compatibility level: NONE, BACKWARD, FULL_TRANSITIVE and so on."""
        await self._call("PUT", f"/config/{_name(subject)}", {"compatibility": level})

    async def latest(self, subject: str) -> tuple[int, int, dict[str, Any]] | None:
        """Version, id and schema of the subject's latest version; None if there is no such subject."""
        try:
            answer = await self._call("GET", f"/subjects/{_name(subject)}/versions/latest")
        except RegistryRefusedError as refused:
            if refused.code not in (40401, 40402):
                raise
            return None
        return answer["version"], answer["id"], _schema(answer["schema"])

    async def close(self) -> None:
        """Let go of the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def __aenter__(self) -> Self:
        """Nothing is connected before the first call."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of the connections."""
        await self.close()

    async def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS),
                headers={"Accept": MEDIA_TYPE, "Content-Type": MEDIA_TYPE},
            )
        data = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        try:
            async with self._session.request(method, URL(self._url + path, encoded=True), data=data) as response:
                status, text = response.status, await response.text()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise RegistryUnavailableError(type(error).__name__, where=self._url, fix=CHECK) from error
        return self._answer(status, text)

    def _answer(self, status: int, text: str) -> dict[str, Any]:
        try:
            answer = json.loads(text)
        except ValueError:
            answer = None
        if status >= 500 or not isinstance(answer, dict):
            detail = f"HTTP {status}: {text[:200]}"
            raise RegistryUnavailableError(detail, where=self._url, fix=CHECK)
        if status >= 400:
            code = int(answer.get("error_code", status))
            raise RegistryRefusedError(code, str(answer.get("message", "")), where=self._url)
        return answer


def _name(subject: str) -> str:
    return quote(subject, safe="")


def _text(schema: Schema) -> str:
    return schema if isinstance(schema, str) else json.dumps(schema, ensure_ascii=False)


def _schema(text: str) -> dict[str, Any]:
    found = json.loads(text)
    return found if isinstance(found, dict) else {"type": found}
