"""The bus's topics for people: what each is for, by its name (design §1 and §7)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bus.kafka.admin import TopicState

PURPOSES: Final = {
    "raw.": "changes of dataset {}",
    "shared.": "records of entity {}",
    "view.": "what subscribers of view {} receive",
    "dlq.": "rejects of dataset {}",
    "_bus.positions.": "how far the adapters of {} have read, and their heartbeats",
    "_bus.rejects.": "open rejects of {}",
    "_bus.members.": "which records of {} are in which filtered views",
    "_bus.catalogue": "the catalogue: every resource",
    "_bus.commands": "commands to workers and adapters",
    "_bus.health": "heartbeats of the workers",
    "_bus.lanes": "one partition per lane, shared out among the workers",
    "_schemas": "the schema registry",
}
"""How a name begins → what the topic is for; `{}` is the rest of the name."""


@dataclass(frozen=True, slots=True)
class TopicLine:
    """One topic of the bus.

    Attributes:
        cleanup: Kafka's `cleanup.policy`: delete or compact.
        records: offsets from the oldest to the newest: about as many records, transaction marks and compacted ones too.
    """

    topic: str
    partitions: int
    cleanup: str
    records: int
    purpose: str


def purpose_of(topic: str) -> str:
    """What a topic is for; empty if it is none of the bus's."""
    for start, purpose in PURPOSES.items():
        if topic.startswith(start):
            return purpose.format(topic.removeprefix(start))
    return ""


def topic_lines(topics: Mapping[str, TopicState], records: Mapping[str, int]) -> Iterator[TopicLine]:
    """The bus's topics among a cluster's, by name; the bus's own state last."""
    for name in sorted(topics, key=lambda topic: (topic.startswith("_"), topic)):
        if purpose := purpose_of(name):
            state = topics[name]
            cleanup = state.config.get("cleanup.policy", "delete") if state.described else "?"
            yield TopicLine(name, state.partitions, cleanup, records.get(name, 0), purpose)
