"""What each change writes, decided from the state alone: an answer and the records, or a refusal. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from bus.registry import faults, records
from bus.registry.compatibility import Level, incompatibilities
from bus.registry.parts import refuse_too_many_parts
from bus.registry.records import Content, Version

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bus.kafka.schema_log import LogRecord
    from bus.registry.parsed import ParsedSchemas
    from bus.registry.schema import Schema
    from bus.registry.state import RegistryState

IMPORT: Final = "IMPORT"
MODES: Final = ("READWRITE", "READONLY", "READONLY_OVERRIDE", IMPORT)


class Changes:
    """The decisions. Every method may raise RefusedError, and answers with records to write, in order."""

    def __init__(self, state: RegistryState, parsed: ParsedSchemas) -> None:
        self._state = state
        self._parsed = parsed

    def register(
        self, subject: str, sent: Content, *, normalize: bool, schema_id: int = 0, number: int = 0
    ) -> tuple[int, list[LogRecord]]:
        """The schema's id; nothing to write if the subject has it. An id or a number is taken in IMPORT mode only."""
        self.check_writable(subject)
        content = self._parsed.received(sent, normalize=normalize)
        importing = self._state.mode(subject) == IMPORT
        if (schema_id or number) and not importing:
            raise faults.not_permitted(f"Subject {subject} is not in import mode, so an id cannot be given")
        present = self.find(self._state.versions(subject), content, normalize=normalize)
        if present and schema_id in (0, present.id):
            return present.id, []
        refuse_too_many_parts(self._parsed.of(content))
        if not importing and (problems := self.problems(subject, content)):
            raise faults.incompatible(subject, problems)
        version = Version(subject, number or self._next_number(subject), self._id_for(content, schema_id), content)
        return version.id, [records.schema_record(version)]

    def find(self, versions: Sequence[Version], content: Content, *, normalize: bool) -> Version | None:
        """The newest of the versions with this schema; with `normalize`, or an equivalent one."""
        for version in reversed(versions):
            if version.content == content:
                return version
        if normalize:
            for version in reversed(versions):
                if self._parsed.received(version.content, normalize=True) == content:
                    return version
        return None

    def problems(self, subject: str, content: Content) -> list[str]:
        """Why the subject's level forbids the schema; empty if it does not."""
        level = self._state.level(subject)
        live = self._state.versions(subject)
        compared = live if level.transitive else live[-1:]
        return [] if level is Level.NONE else self.problems_with(level, content, compared)

    def problems_with(self, level: Level, content: Content, versions: Sequence[Version]) -> list[str]:
        """Why the level forbids the schema beside these versions."""
        earlier: list[tuple[int, Schema]] = [(v.number, self._parsed.of(v.content)) for v in versions]
        return incompatibilities(level, self._parsed.of(content), earlier)

    def delete_version(self, subject: str, number: int, *, permanent: bool) -> tuple[int, list[LogRecord]]:
        """The version's number. Soft first; `permanent` takes away what is softly deleted."""
        self.check_writable(subject)
        version = self._state.version(subject, number)
        if version is None:
            raise faults.unknown_version(number)
        if version.deleted and not permanent:
            raise faults.version_soft_deleted(subject, number)
        if permanent and not version.deleted:
            raise faults.version_not_soft_deleted(subject, number)
        if self._state.referrers(subject, number, deleted=permanent):
            raise faults.referenced(subject, number)
        if permanent:
            return number, self._erase([version])
        return number, [records.schema_record(replace(version, deleted=True))]

    def delete_subject(self, subject: str, *, permanent: bool) -> tuple[list[int], list[LogRecord]]:
        """The numbers of the versions deleted. Soft first, with the subject's own level and mode."""
        self.check_writable(subject)
        everything, live = self._state.versions(subject, deleted=True), self._state.versions(subject)
        if not everything:
            raise faults.unknown_subject(subject)
        if permanent and live:
            raise faults.subject_not_soft_deleted(subject)
        if not permanent and not live:
            raise faults.subject_soft_deleted(subject)
        going = everything if permanent else live
        self._refuse_referenced(subject, going, permanent=permanent)
        numbers = [version.number for version in going]
        if permanent:
            return numbers, [*self._erase(going), records.deleted_subject_record(subject, None)]
        own = [records.level_record(subject, None)] if subject in self._state.levels else []
        own += [records.mode_record(subject, None)] if subject in self._state.modes else []
        return numbers, [records.deleted_subject_record(subject, numbers[-1]), *own]

    def set_level(self, subject: str | None, level: str | None) -> tuple[None, list[LogRecord]]:
        """Nothing to say; None takes the subject's own level away, or sets the global one back."""
        self.check_writable(subject)
        return None, [records.level_record(subject, level)]

    def set_mode(self, subject: str | None, mode: str | None, *, force: bool) -> tuple[None, list[LogRecord]]:
        """Nothing to say. IMPORT is for an empty subject (or registry), unless forced."""
        there = self._state.subjects() if subject is None else self._state.versions(subject)
        if mode == IMPORT and there and not force and self._state.mode(subject) != IMPORT:
            raise faults.not_permitted("Cannot import since found existing subjects; force=true does it all the same")
        return None, [records.mode_record(subject, mode)]

    def check_writable(self, subject: str | None) -> None:
        """Refuse writes while READONLY."""
        if self._state.mode(subject).startswith("READONLY"):
            raise faults.not_permitted(f"Subject {subject} is in read-only mode" if subject else "Read-only mode")

    def _next_number(self, subject: str) -> int:
        versions = self._state.versions(subject, deleted=True)
        return versions[-1].number + 1 if versions else 1

    def _id_for(self, content: Content, wanted: int) -> int:
        if wanted and self._state.content(wanted) not in (None, content):
            raise faults.not_permitted(f"Overwrite new schema with id {wanted} is not permitted.")
        return wanted or self._state.id_of(content) or self._state.highest_id + 1

    def _erase(self, versions: Sequence[Version]) -> list[LogRecord]:
        gone = [records.erased_record(version.subject, version.number) for version in versions]
        return [records.highest_id_record(self._state.highest_id), *gone]

    def _refuse_referenced(self, subject: str, versions: Sequence[Version], *, permanent: bool) -> None:
        for version in versions:
            referrers = self._state.referrers(subject, version.number, deleted=permanent)
            if any(referrer.subject != subject for referrer in referrers):
                raise faults.referenced(subject, version.number)
