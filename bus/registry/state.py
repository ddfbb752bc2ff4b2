"""What the records of `_schemas` say: subjects, versions, ids, levels and modes. Pure: a fold, without I/O."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from bus.registry.compatibility import Level
from bus.registry.records import AVRO, Content, SchemaReference, Version

if TYPE_CHECKING:
    from collections.abc import Iterator

READWRITE: Final = "READWRITE"


class RegistryState:
    """The fold. `apply` takes every record in order and never fails: what it does not know changes nothing.

    Attributes:
        levels: compatibility levels by subject; None is the global one.
        modes: likewise.
        highest_id: the highest id ever given.
    """

    def __init__(self) -> None:
        self.levels: dict[str | None, Level] = {}
        self.modes: dict[str | None, str] = {}
        self.highest_id = 0
        self._subjects: dict[str, dict[int, Version]] = {}
        self._contents: dict[int, Content] = {}
        self._ids: dict[Content, int] = {}
        self._places: dict[int, set[tuple[str, int]]] = {}

    def apply(self, key: bytes, value: bytes | None) -> None:
        """Take one record."""
        try:
            what = json.loads(key)
            content = json.loads(value) if value else None
            self._dispatch(what, content)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return  # not a record of the registry's; another tool's, or of a version to come

    def _dispatch(self, key: dict[str, Any], value: dict[str, Any] | None) -> None:
        subject: str | None = key.get("subject")
        match key["keytype"]:
            case "SCHEMA":
                self._take_version(str(subject), int(key["version"]), value)
            case "DELETE_SUBJECT" if value:
                self._soft_delete(str(subject), int(value["version"]))
            case "CLEAR_SUBJECT" if value:
                for version in self.versions(str(subject), deleted=True):
                    if version.deleted:
                        self._erase(version.subject, version.number)
            case "CONFIG":
                self._set_level(subject, value)
            case "MODE":
                self._set_mode(subject, value)
            case "NOOP" if value:
                self.highest_id = max(self.highest_id, int(value.get("highestId", 0)))

    def _take_version(self, subject: str, number: int, value: dict[str, Any] | None) -> None:
        if value is None:
            self._erase(subject, number)
            return
        references = tuple(
            SchemaReference(r["name"], r["subject"], int(r["version"])) for r in value.get("references") or ()
        )
        (subject + value["schema"]).encode()  # half a surrogate pair could not be shown
        content = Content(value["schema"], references, value.get("schemaType") or AVRO)
        version = Version(subject, number, int(value["id"]), content, bool(value.get("deleted")))
        self.highest_id = max(self.highest_id, version.id)
        self._erase(subject, number)
        if self._contents.setdefault(version.id, content) != content:
            return  # an id never has two schemas: the first one stays
        self._ids.setdefault(content, version.id)
        self._places.setdefault(version.id, set()).add((subject, number))
        self._subjects.setdefault(subject, {})[number] = version

    def _erase(self, subject: str, number: int) -> None:
        version = self._subjects.get(subject, {}).pop(number, None)
        if version is None:
            return
        if not self._subjects[subject]:
            del self._subjects[subject]
        self._places[version.id].discard((subject, number))
        if not self._places[version.id]:
            del self._places[version.id], self._contents[version.id]
            if self._ids.get(version.content) == version.id:
                del self._ids[version.content]

    def _soft_delete(self, subject: str, up_to: int) -> None:
        for version in self.versions(subject):
            if version.number <= up_to:
                gone = Version(subject, version.number, version.id, version.content, deleted=True)
                self._subjects[subject][version.number] = gone

    def _set_level(self, subject: str | None, value: dict[str, Any] | None) -> None:
        if value is None:
            self.levels.pop(subject, None)
        elif value.get("compatibilityLevel"):
            self.levels[subject] = Level(value["compatibilityLevel"])

    def _set_mode(self, subject: str | None, value: dict[str, Any] | None) -> None:
        if value is None:
            self.modes.pop(subject, None)
        else:
            self.modes[subject] = str(value["mode"])

    def level(self, subject: str | None) -> Level:
        """The one in force."""
        return self.levels.get(subject) or self.levels.get(None, Level.BACKWARD)

    def mode(self, subject: str | None) -> str:
        """The one in force; a global READONLY_OVERRIDE beats the subject's own."""
        overall = self.modes.get(None, READWRITE)
        return overall if overall == "READONLY_OVERRIDE" else self.modes.get(subject, overall)

    def subjects(self, *, deleted: bool = False) -> list[str]:
        """Names in order: those with a live version; with `deleted`, all."""
        return sorted(
            s for s, versions in self._subjects.items() if deleted or any(not v.deleted for v in versions.values())
        )

    def versions(self, subject: str, *, deleted: bool = False) -> list[Version]:
        """Live versions, oldest first; with `deleted`, the softly deleted too."""
        found = self._subjects.get(subject, {})
        return [found[number] for number in sorted(found) if deleted or not found[number].deleted]

    def version(self, subject: str, number: int) -> Version | None:
        """That version, live or softly deleted."""
        return self._subjects.get(subject, {}).get(number)

    def content(self, schema_id: int) -> Content | None:
        """The schema of an id."""
        return self._contents.get(schema_id)

    def id_of(self, content: Content) -> int | None:
        """The id of a schema."""
        return self._ids.get(content)

    def places(self, schema_id: int) -> list[Version]:
        """Every version with that id, live or softly deleted."""
        return [self._subjects[subject][number] for subject, number in sorted(self._places.get(schema_id, ()))]

    def all_versions(self) -> Iterator[Version]:
        """Every version, live or softly deleted, by subject and number."""
        for subject in sorted(self._subjects):
            yield from self.versions(subject, deleted=True)

    def referrers(self, subject: str, number: int, *, deleted: bool = False) -> list[Version]:
        """Versions that refer to this one: the live, or also the softly deleted."""
        place = (subject, number)
        candidates = (version for version in self.all_versions() if deleted or not version.deleted)
        return [v for v in candidates if any((r.subject, r.version) == place for r in v.content.references)]
