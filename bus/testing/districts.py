"""Views of single districts beside the portal's, and what each must hold: for tests of row filters.

A subscriber of a district sees who is registered there, and nothing of anybody else. What it must have is worked out
from the records, filtered and projected here a second time, plainly; no code of the data path.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from bus.catalogue.apply import apply_workspace
from bus.testing.topics import read_topic
from bus.testing.waiting import until
from bus.testing.workspaces import population_workspace

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from bus.config import Settings
    from bus.testing.topics import TopicRecord

FIELDS: Final = ("id_number", "full_name", "phone", "division_code")
"""What a district sees; the phone masked, as the portal does."""

State = dict[str, dict[str, Any]]
"""Record by key."""

VIEW: Final = """
---
kind: View
metadata: {{name: {name}}}
spec:
  entity: population.person
  revision: {revision}
  fields: [{fields}]
  masks: {{phone: phone}}
  filter: {filter}
---
kind: Subscription
metadata: {{name: {name}-{revision}}}
spec:
  subscriber: portal
  view: {name}
  revision: {revision}
  purpose: test
  legal_basis: none needed, the data are synthetic
  valid_until: 2099-12-31
"""


class Districts:
    """The default workspace with views of districts in it.

    Args:
        folder: for the workspace.
        settings: the cluster.
    """

    def __init__(self, folder: Path, settings: Settings) -> None:
        self._folder = folder / "workspace"
        self._settings = settings
        population_workspace(self._folder)

    async def subscribe(self, *divisions: str, revisions: Iterable[int] = (1,), fields: Iterable[str] = FIELDS) -> None:
        """Let these be the districts that somebody subscribes to, and no other; each in these revisions.

        Revision 1 tells its district by `eq`, any later one by `prefix`.
        """
        shown = ", ".join(fields)
        text = ""
        for division in divisions:
            for revision in revisions:
                test = f'{{field: division_code, {"eq" if revision == 1 else "prefix"}: "{division}"}}'
                name = f"district-{division}"
                text += VIEW.format(name=name, revision=revision, fields=shown, filter=test)
        (self._folder / "districts.yaml").write_text(text, encoding="utf-8")
        await apply_workspace(self._folder, self._settings)

    async def records(self, division: str, revision: int = 1) -> list[TopicRecord]:
        """Everything that the district's subscriber was ever sent."""
        return await read_topic(self._settings, topic_of(division, revision))

    async def settled(self, division: str, people: Mapping[str, dict[str, Any]], revision: int = 1) -> None:
        """Wait until the district has what it must have of these people; nothing else was ever told to it.

        Args:
            division: which.
            people: all of the city's, as the portal sees them.
            revision: of the view.

        Raises:
            AssertionError: it does not come to that, or more was told.
        """
        expected = of_district(people, division)

        async def holds() -> bool:
            return told(await self.records(division, revision), division) == expected

        await until(holds, within=60, what=f"district {division} holds its {len(expected)} people")


def topic_of(division: str, revision: int = 1) -> str:
    """The topic of a district's view."""
    return f"view.district-{division}.v{revision}"


def of_district(people: Mapping[str, dict[str, Any]], division: str) -> State:
    """What a district must see of all people."""
    return {
        key: {field: person[field] for field in FIELDS}
        for key, person in people.items()
        if person["division_code"] == division
    }


def told(records: Iterable[TopicRecord], division: str) -> State:
    """What the records leave under each key.

    Raises:
        AssertionError: a record of another district; a tombstone of a key that was not there, which tells of the key;
            or the same record twice.
    """
    state: State = {}
    seen: set[tuple[str, bytes]] = set()
    for record in records:
        identity, key = (record.event_id, record.key), record.key.decode()
        assert identity not in seen, f"{record.event_id} came twice"
        seen.add(identity)
        if record.value is None:
            assert state.pop(key, None) is not None, "a tombstone of a key that was not there"
        else:
            assert record.value["division_code"] == division, "a record of another district"
            state[key] = record.value
    return state
