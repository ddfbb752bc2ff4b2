"""One look at the bus a second, shared by everybody who watches the page."""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from bus.console.problems import Lasting, Problem, lasting, problems
from bus.console.totals import Trend, totals
from bus.errors import BusError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from bus.control.health import BusHealth

    Observe = Callable[[], Awaitable[BusHealth]]

INTERVAL: Final = 1.0
"""Seconds between two looks while somebody watches."""

IDLE: Final = 5.0
"""Seconds between two looks while nobody does; the trend goes on."""

PATIENCE: Final = 3.0
"""Seconds after which a look that has not come back is told as lost; it may still come."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What the page shows.

    Attributes:
        number: counts the moments of this process.
        time: when this was made; seconds since 1970.
        health: what was seen last; None before the first look.
        problems: of it.
        lost: why nothing newer was seen; None if this is new.
        lost_since: when that began.
    """

    number: int
    time: float
    health: BusHealth | None = None
    problems: tuple[Problem, ...] = ()
    lost: BusError | None = None
    lost_since: float | None = None


class SlowObservationError(BusError):
    """The bus does not answer in time."""


class Watch:
    """Looks, keeps what was seen last, and wakes those who wait for it.

    Args:
        observe: one look; a `BusError` of it is told on the page, and the next look is taken.
        interval: seconds between two looks while somebody watches.
    """

    def __init__(self, observe: Observe, interval: float = INTERVAL) -> None:
        self._observe = observe
        self._interval = interval
        self._lasting: dict[Lasting, float] = {}
        self._viewers = 0
        self._wanted = asyncio.Event()
        self._news = asyncio.Condition()
        self.moment = Moment(number=0, time=time.time())
        self.trend = Trend()
        self.closed = False

    async def run(self) -> None:
        """Look until cancelled; those who wait are let go then."""
        try:
            while True:
                begun = time.monotonic()
                await self._publish(await self._look())
                await self._rest(begun)
        finally:
            self.closed = True
            async with self._news:
                self._news.notify_all()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Somebody watches: look often."""
        self._viewers += 1
        self._wanted.set()
        try:
            yield
        finally:
            self._viewers -= 1
            if not self._viewers:
                self._wanted.clear()

    async def newer(self, number: int) -> Moment:
        """The first moment that is newer than that; the last one again once the watch is closed."""
        async with self._news:
            await self._news.wait_for(lambda: self.moment.number > number or self.closed)
        return self.moment

    async def _look(self) -> Moment:
        looking = asyncio.ensure_future(self._observe())
        try:
            while not (await asyncio.wait({looking}, timeout=PATIENCE))[0]:  # it is not cut short: it may be its first
                await self._publish(self._lost(SlowObservationError(fix="see whether Kafka answers")))
            health = looking.result()
        except BusError as error:
            return self._lost(error)
        finally:
            looking.cancel()
        before = self.moment
        if before.lost is not None:
            _log.info("the bus is seen again")
        found = problems(health, self._lasting)
        self._lasting = lasting(found)
        self.trend.add(health.time, totals(health))
        return Moment(number=before.number + 1, time=time.time(), health=health, problems=found)

    def _lost(self, error: BusError) -> Moment:
        before, now = self.moment, time.time()
        if before.lost is None:
            _log.warning("the bus is not seen", error=str(error))
        return Moment(
            number=before.number + 1,
            time=now,
            health=before.health,
            problems=before.problems,
            lost=error,
            lost_since=before.lost_since or now,
        )

    async def _publish(self, moment: Moment) -> None:
        async with self._news:
            self.moment = moment
            self._news.notify_all()

    async def _rest(self, begun: float) -> None:
        """Until the next look is due; a viewer who comes while nobody watched is not kept waiting."""
        due = begun + self._interval - time.monotonic()
        await asyncio.sleep(max(due, 0.05))
        if not self._viewers:
            try:
                await asyncio.wait_for(self._wanted.wait(), IDLE - self._interval)
            except TimeoutError:
                return
