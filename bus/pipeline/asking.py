"""Asking the lanes for a redrive, and waiting for what they answer."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bus import wire
from bus.catalogue.topics import COMMANDS_TOPIC, LANES_TOPIC
from bus.errors import BusError
from bus.kafka import clients
from bus.kafka.topics import partitions_of
from bus.pipeline.command import Answer
from bus.pipeline.lanes import lane_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from bus.catalogue.dataset import Dataset
    from bus.config import Connection
    from bus.pipeline.command import Redrive
    from bus.pipeline.rejects import RejectStates

PATIENCE_SECONDS: Final = 30.0
"""Without any progress; a killed worker's lanes are with others after 15 s."""


class SilentLanesError(BusError):
    """Not every lane has carried the command out."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the lanes have answered.

    Attributes:
        answer: of all lanes together.
        silent: lanes that are not done.
    """

    answer: Answer
    silent: tuple[int, ...]


async def lanes_of(connection: Connection, dataset: Dataset) -> set[int]:
    """The lanes that own the dataset's partitions.

    Raises:
        BrokerUnavailableError: the broker does not answer, or no workspace was applied to it.
    """
    lanes = await partitions_of(connection, LANES_TOPIC)
    topic = wire.raw_topic(dataset.name)
    return {lane_of(topic, number, lanes) for number in range(dataset.spec.partitions)}


async def send(connection: Connection, command: Redrive) -> None:
    """Give a command.

    Raises:
        BrokerUnavailableError: the broker does not answer, or no workspace was applied to it.
    """
    await partitions_of(connection, COMMANDS_TOPIC)
    producer = clients.producer(connection)
    async with clients.started(producer, connection):
        await producer.send_and_wait(COMMANDS_TOPIC, command.encode(), key=command.id.encode())


async def answers(
    states: RejectStates,
    command: Redrive,
    lanes: Collection[int],
    tell: Callable[[Answer], None],
    patience: float = PATIENCE_SECONDS,
) -> Outcome:
    """Wait until every lane is done, or nothing has moved for so many seconds.

    Args:
        states: where the answers come.
        command: that was given.
        lanes: that it is for.
        tell: is told how far they are together, whenever that has changed.
        patience: seconds.

    Raises:
        BrokerUnavailableError: the broker does not answer.
    """
    outcome = _outcome(states, command, lanes)
    moved = time.monotonic()
    while outcome.silent and time.monotonic() < moved + patience:
        await states.refresh()
        now = _outcome(states, command, lanes)
        if now != outcome:
            outcome, moved = now, time.monotonic()
            tell(outcome.answer)
        else:
            await states.more()
    return outcome


def _outcome(states: RejectStates, command: Redrive, lanes: Collection[int]) -> Outcome:
    given = states.answers.get(command.id, {})
    whole = Answer(matched=0, done=True)
    for lane in sorted(lanes):
        whole = whole.plus(given.get(lane, Answer(matched=0)))
    silent = tuple(lane for lane in sorted(lanes) if lane not in given or not given[lane].done)
    return Outcome(whole, silent)


def silent_lanes(command: Redrive, outcome: Outcome) -> SilentLanesError:
    """The error that says so, and the way out."""
    lanes = ", ".join(map(str, outcome.silent))
    return SilentLanesError(
        f"lanes {lanes} of {command.dataset} have not finished (command {command.id})",
        fix="see that workers run (bus worker) and own these lanes; a lane that comes back within the hour goes on by"
        " itself, and to give the command again does no harm",
    )
