"""Looks at the bus, again and again: one observation is a handful of requests to Kafka, whatever flows."""

from __future__ import annotations

import time
from collections import defaultdict
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final, Self

from bus import wire
from bus.catalogue.catalogue import CatalogueReader
from bus.catalogue.topics import CATALOGUE_TOPIC, HEALTH_TOPIC, NORMALISE_GROUP, ROUTE_GROUP
from bus.control.backlogs import Backlogs, Extents, Reader
from bus.control.beats import Beats
from bus.control.dead_letters import DeadLetters
from bus.control.picture import Seen, picture
from bus.control.tails import Tails
from bus.kafka.compacted import CompactedTopic
from bus.kafka.survey import Survey
from bus.pipeline.rejects import RejectStates

if TYPE_CHECKING:
    from types import TracebackType

    from bus.catalogue.catalogue import Catalogue
    from bus.config import Settings
    from bus.control.health import BusHealth
    from bus.kafka.survey import Place

GROUPS_SECONDS: Final = 10.0
"""How often subscribers' groups, topics and the oldest offsets are looked for; the rest is at every observation."""


class Observer:
    """An onlooker, who needs no rights but to read; `async with Observer(settings) as observer`.

    It joins no group and writes nothing. One task at a time observes.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stack: AsyncExitStack | None = None
        self._reader = CatalogueReader()
        self._catalogue: Catalogue | None = None
        self._beats = Beats()
        self._tails = Tails()
        self._backlogs = Backlogs()
        self._dead_letters = DeadLetters()
        self._rejects: RejectStates | None = None
        self._departments: set[str] = set()
        self._topics: dict[str, int] = {}
        self._starts: dict[Place, int] = {}
        self._groups: set[str] = set()
        self._refreshed = float("-inf")
        self._observed: float | None = None

    async def __aenter__(self) -> Self:
        """Nothing is asked before the first observation."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of the connections."""
        await self.close()

    async def close(self) -> None:
        """Let go of the connections; another observation opens them again."""
        if self._stack is not None:
            stack, self._stack = self._stack, None
            await stack.aclose()
        if self._rejects is not None:
            await self._rejects.close()
            self._rejects = None

    async def observe(self) -> BusHealth:
        """The bus now; rates are those since the observation before.

        Raises:
            BrokerUnavailableError: no broker answers, or no workspace was applied to the cluster.
            BadCatalogueRecordError: the catalogue was written by a newer version of the bus.
        """
        await self._open()
        if await self._topic.refresh() or self._catalogue is None:
            self._catalogue = self._reader.read(self._topic.items)
            self._refreshed = float("-inf")
        catalogue = self._catalogue
        began = time.monotonic()
        if began >= self._refreshed + GROUPS_SECONDS:
            await self._refresh(catalogue)
            self._refreshed = began
        seen = await self._see(catalogue, began)
        self._observed = began
        return picture(seen)

    async def _open(self) -> None:
        if self._stack is not None:
            return
        async with AsyncExitStack() as stack:
            self._survey = await stack.enter_async_context(Survey(self._settings.kafka))
            self._topic = await stack.enter_async_context(CompactedTopic(self._settings.kafka, CATALOGUE_TOPIC))
            self._catalogue = None
            self._stack = stack.pop_all()

    async def _refresh(self, catalogue: Catalogue) -> None:
        there = await self._survey.topics()
        self._topics = {name: there[name] for name in _topics_of(catalogue) if name in there}
        self._starts = await self._survey.starts(self._places())
        self._groups = await self._survey.groups()
        owners = {dataset.spec.department for dataset in catalogue.datasets.values()}
        await self._follow_rejects({owner for owner in owners if wire.rejects_topic(owner) in there})

    async def _follow_rejects(self, departments: set[str]) -> None:
        if self._rejects is not None and departments != self._departments:
            await self._rejects.close()
            self._rejects = None
        if self._rejects is None:
            self._rejects = await RejectStates(self._settings.kafka, departments, open_only=True).__aenter__()
            self._departments = departments

    async def _open_rejects(self) -> dict[str, int]:
        """By dataset. What an adapter rejected is not among them: nothing says when it is mended."""
        if self._rejects is None:
            return {}
        await self._rejects.refresh()
        return self._rejects.open_by_dataset()

    def _places(self) -> list[Place]:
        return [(topic, number) for topic, count in self._topics.items() for number in range(count)]

    async def _see(self, catalogue: Catalogue, began: float) -> Seen:
        ends = await self._survey.ends(self._places())
        adapters: dict[str, set[str]] = defaultdict(set)
        for dataset in catalogue.datasets.values():
            adapters[dataset.spec.department].add(dataset.spec.source.config)
        await self._beats.listen(self._survey, adapters, ends)
        flowing = {place: end for place, end in ends.items() if place[0].startswith(("raw.", "shared.", "view."))}
        spans = self._tails.spans(flowing)
        glimpses = await self._survey.peek(spans | self._dead_letters.spans(self._starts, ends))
        tails = self._tails.take(flowing, spans, glimpses)
        extents = Extents(self._starts, ends, {topic: tail.density for topic, tail in tails.items()})
        self._dead_letters.take(ends, glimpses)
        groups = self._groups_of(catalogue)
        committed = await self._committed(groups)
        for turn in self._backlogs.questions(committed, ends):
            self._backlogs.learn(turn, await self._survey.peek(turn))
        return Seen(
            now=time.time(),
            bus_id=self._settings.bus_id,
            catalogue=catalogue,
            interval=None if self._observed is None else began - self._observed,
            extents=extents,
            tails=tails,
            backlogs=self._backlogs.take(committed, extents, began),
            groups=groups,
            adapters=self._beats.adapters,
            workers=self._beats.workers,
            open_rejects=await self._open_rejects(),
            rejects=self._dead_letters.latest,
        )

    def _groups_of(self, catalogue: Catalogue) -> dict[str, set[str]]:
        """Each subscriber's groups: those that bear its name or its principal's, alone or before a `.` or `-`."""
        found = {}
        for name, subscriber in catalogue.subscribers.items():
            names = {name, subscriber.spec.principal or name}
            starts = tuple(each + sign for each in names for sign in ".-")
            found[name] = {group for group in self._groups if group in names or group.startswith(starts)}
        return found

    async def _committed(self, groups: dict[str, set[str]]) -> dict[Reader, dict[Place, int]]:
        """Of the bus's stages and of subscribers' groups; a group is a reader of the views that it has offsets of."""
        found: dict[Reader, dict[Place, int]] = {}
        for group, start in ((NORMALISE_GROUP, "raw."), (ROUTE_GROUP, "shared.")):
            offsets = _by_topic(await self._survey.committed(group))
            for topic in self._topics:
                if topic.startswith(start):
                    found[Reader(group, topic)] = offsets.get(topic, {})
        for group in sorted({group for several in groups.values() for group in several}):
            offsets = _by_topic(await self._survey.committed(group))
            for topic in offsets.keys() & self._topics.keys():
                if topic.startswith("view."):
                    found[Reader(group, topic)] = offsets[topic]
        return found


def _by_topic(offsets: dict[Place, int]) -> dict[str, dict[Place, int]]:
    found: dict[str, dict[Place, int]] = defaultdict(dict)
    for place, offset in offsets.items():
        found[place[0]][place] = offset
    return found


def _topics_of(catalogue: Catalogue) -> list[str]:
    """The topics that are looked at."""
    names = [HEALTH_TOPIC]
    names += sorted({wire.positions_topic(each.spec.department) for each in catalogue.datasets.values()})
    for dataset in sorted(catalogue.datasets):
        names += [wire.raw_topic(dataset), wire.dlq_topic(dataset)]
    names += [wire.shared_topic(entity) for entity in sorted(catalogue.entities)]
    names += [wire.view_topic(view.name, view.spec.revision) for view in catalogue.subscribed_views()]
    return names
