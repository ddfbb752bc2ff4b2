"""The registry: the state, kept up to date by the log, and the changes written through it."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from bus.kafka.schema_log import SchemaLog
from bus.registry import faults
from bus.registry.changes import Changes
from bus.registry.faults import RefusedError
from bus.registry.parsed import ParsedSchemas
from bus.registry.state import RegistryState

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bus.config import Connection
    from bus.kafka.schema_log import LogRecord
    from bus.registry.records import Content, Version

T = TypeVar("T")
LATEST = -1


class Registry:
    """One process's view of `_schemas`, and its way to write there.

    Attributes:
        state: what the topic says.
        parsed: its schemas as trees.
        changes: the decisions.
    """

    def __init__(self, connection: Connection) -> None:
        self.state = RegistryState()
        self.parsed = ParsedSchemas(self.state)
        self.changes = Changes(self.state, self.parsed)
        self._log = SchemaLog(connection, self.state.apply)

    async def start(self) -> None:
        """Read the topic to its end.

        Raises:
            BrokerUnavailableError: Kafka does not answer.
        """
        await self._log.start()

    async def stop(self) -> None:
        """Let go of Kafka."""
        await self._log.stop()

    async def read(self, answer: Callable[[], T]) -> T:
        """The answer from the state; before a 404, from its newest, which another process may have just written."""
        try:
            return answer()
        except RefusedError as refused:
            if refused.status != 404:
                raise
        await self._log.refresh()
        return answer()

    async def write(self, decide: Callable[[], tuple[T, Sequence[LogRecord]]]) -> T:
        """Write what is decided; nothing is written, and nobody fenced, for what the state has already."""
        with contextlib.suppress(RefusedError):  # by newer state it may be allowed
            answer, records = decide()
            if not records:
                return answer
        return await self._log.write(decide)

    def version(self, subject: str, number: int, *, deleted: bool = False) -> Version:
        """That version, or the latest.

        Raises:
            RefusedError: 40401, 40402.
        """
        versions = self.state.versions(subject, deleted=deleted)
        if not versions:
            raise faults.unknown_subject(subject)
        found = versions[-1] if number == LATEST else self.state.version(subject, number)
        if found is None or (found.deleted and not deleted):
            raise faults.unknown_version(number)
        return found

    def resolved(self, content: Content) -> Content:
        """The schema with references to the latest version (-1) made definite.

        Raises:
            RefusedError: 42201, a reference leads nowhere.
        """
        references = []
        for reference in content.references:
            live = self.state.versions(reference.subject)
            if reference.version == LATEST and live:
                references.append(replace(reference, version=live[-1].number))
            else:
                references.append(reference)
        return replace(content, references=tuple(references))
