"""What planning must know of a registry: all versions of a subject, and its own compatibility level."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from bus.catalogue.cluster_state import SubjectState
from bus.kafka.registry_client import RegistryRefusedError, SchemaRegistry

if TYPE_CHECKING:
    from collections.abc import Iterable

_AT_A_TIME: Final = 16
_NO_SUCH_VERSION: Final = (40401, 40402, 40406)
_NO_OWN_LEVEL: Final = (40401, 40408)


class RegistryReader(SchemaRegistry):
    """A registry client that can also look."""

    async def subjects(self, names: Iterable[str]) -> dict[str, SubjectState]:
        """The state of each subject that has versions or a level of its own."""
        turns = asyncio.Semaphore(_AT_A_TIME)

        async def one(name: str) -> tuple[str, SubjectState]:
            async with turns:
                return name, SubjectState(await self._versions(name), await self._level(name))

        states = await asyncio.gather(*(one(name) for name in names))
        return {name: state for name, state in states if state != SubjectState()}

    async def _versions(self, subject: str) -> tuple[Any, ...]:
        latest = await self.latest(subject)
        if latest is None:
            return ()
        earlier = [await self._version(subject, number) for number in range(1, latest[0])]
        return (*(schema for schema in earlier if schema is not None), latest[2])

    async def _version(self, subject: str, number: int) -> Any:
        """The schema of a version; None if it was deleted."""
        try:
            answer = await self._call("GET", f"/subjects/{quote(subject, safe='')}/versions/{number}")
        except RegistryRefusedError as refused:
            if refused.code in _NO_SUCH_VERSION:
                return None
            raise
        return json.loads(answer["schema"])

    async def _level(self, subject: str) -> str | None:
        try:
            answer = await self._call("GET", f"/config/{quote(subject, safe='')}")
        except RegistryRefusedError as refused:
            if refused.code in _NO_OWN_LEVEL:
                return None
            raise
        return str(answer["compatibilityLevel"])
