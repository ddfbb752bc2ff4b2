"""The role `control`: takes the rights of subscriptions whose last day is over.

It follows `_bus.catalogue` and knows no workspace. It takes what ended subscriptions gave and nothing else calls for,
and gives nothing. Any number of processes may run it, and none is elected: each comes to the same answer from the same
catalogue, keeps nothing, and a right that is taken twice is gone all the same.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from bus import metrics
from bus.catalogue import clock
from bus.catalogue.acl_text import in_words
from bus.catalogue.acls import by_principal, ended_acls
from bus.catalogue.catalogue import Catalogue, CatalogueReader
from bus.catalogue.subscription import ACTIVE
from bus.catalogue.topics import CATALOGUE_TOPIC
from bus.errors import DependencyError
from bus.kafka.compacted import CompactedTopic
from bus.kafka.principals import Principals, checks_acls
from bus.metrics import Instrument, Sample

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable

    from bus.config import Settings
    from bus.kafka.principals import Acl

_log = structlog.get_logger()

LOOK_SECONDS: Final = 60.0
"""How often it is looked without any reason: the machine's clock may have been set, or the broker be gone."""

REST_SECONDS: Final = 1.0
"""After a broker that did not answer."""


class Expiries:
    """Enforces the ends of a cluster's subscriptions.

    Args:
        settings: the cluster, with a login that may see and change who may do what there.
        now: the moment, in the time zone whose midnights end subscriptions.

    Attributes:
        trouble: why it cannot do its work now; empty if it can.
        ended: subscriptions whose last day is over.
        taken: rights that it has taken.
    """

    def __init__(self, settings: Settings, now: Callable[[], dt.datetime] = clock.now) -> None:
        self.trouble = "the catalogue was not read yet"
        self.ended = 0
        self.taken = 0
        self._settings = settings
        self._now = now
        self._reader = CatalogueReader()
        self._catalogue = Catalogue.of({})
        self._begun = False

    async def run(self) -> None:
        """Take rights when they end, without end. A broker that goes away after the beginning is waited for.

        Raises:
            BrokerUnavailableError: no broker answers at the start, or no workspace was applied to the cluster.
            KafkaRefusedError: the login may not see, or not change, who may do what.
            BadCatalogueRecordError: the catalogue was written by a newer version of the bus.
        """
        while True:
            try:
                await self._until_acls_are_checked()
                async with CompactedTopic(self._settings.kafka, CATALOGUE_TOPIC) as topic:
                    await self._follow(topic)
            except DependencyError as error:
                if not self._begun:
                    raise
                if self.trouble != error.summary:
                    _log.warning("control waits", reason=error.summary, error=error.detail, where=error.where)
                self.trouble = error.summary
                await asyncio.sleep(REST_SECONDS)

    async def _until_acls_are_checked(self) -> None:
        trouble = "the cluster has no authorizer: nothing can be enforced"
        while not await checks_acls(self._settings.kafka):
            if self.trouble != trouble:
                _log.warning("the end of subscriptions cannot be enforced: the cluster checks no ACLs")
            self.trouble, self._begun = trouble, True
            await asyncio.sleep(LOOK_SECONDS)  # it may come back with one

    async def _follow(self, topic: CompactedTopic) -> None:
        self._read(topic)
        _log.info("control follows the catalogue", resources=len(topic.items))
        self._begun = True
        while True:
            now = self._now()
            self._count(now.date())
            await self._enforce(topic, now.date())
            self.trouble = ""
            # Subscriptions end at midnight. The clock is asked again: it may have struck meanwhile.
            left = (clock.next_day(now) - self._now()).total_seconds()
            if await topic.changed(within=min(LOOK_SECONDS, max(0.0, left))):
                self._read(topic)

    def _read(self, topic: CompactedTopic) -> None:
        self._catalogue = self._reader.read(topic.items)

    def _count(self, today: dt.date) -> None:
        active = [each for each in self._catalogue.subscriptions.values() if self._catalogue.state_of(each) == ACTIVE]
        self.ended = sum(each.has_ended(today) for each in active)

    def _over(self, today: dt.date) -> set[Acl]:
        return ended_acls(self._catalogue, self._settings.bus_id, today)

    async def _enforce(self, topic: CompactedTopic, today: dt.date) -> None:
        if not self._over(today):
            return
        principals = Principals(self._settings.kafka)
        # First the rights, then the catalogue once more: an apply that extends writes there before it gives a right.
        there = await asyncio.to_thread(principals.acls)
        if await topic.refresh():
            self._read(topic)
        gone = there & self._over(today)
        await asyncio.to_thread(principals.withdraw, gone)
        self.taken += len(gone)
        for principal, acls in by_principal(gone):
            _log.info("subscription ended, rights taken", principal=principal, may_no_longer=in_words(acls))


def of_control(expiries: Expiries) -> Instrument:
    """What control shows of itself."""

    async def samples() -> list[Sample]:
        return [
            Sample(metrics.SUBSCRIPTIONS_ENDED, (), expiries.ended),
            Sample(metrics.RIGHTS_TAKEN, (), expiries.taken),
        ]

    return Instrument("control", samples, lambda: expiries.trouble)


async def run_control(settings: Settings, instruments: list[Instrument] | None = None) -> None:
    """Run control until cancelled; its instrument is added to those given.

    Raises:
        BusError: see `Expiries.run`.
    """
    expiries = Expiries(settings)
    if instruments is not None:
        instruments.append(of_control(expiries))
    await expiries.run()
