"""What is measured: a dataset, the entity that it is normalised to, and the views of that."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from bus import wire
from bus.bench import copies, districts, shapes
from bus.bench.copies import Name, Resource
from bus.bench.events import DEMO_ROW, LIGHT_ROW, changes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Changes = Iterator[tuple[bytes, dict[str, Any]]]

REJECTED: Final = 0.05
FEW_VIEWS: Final = 10


@dataclass(frozen=True, slots=True)
class Flow:
    """One of them.

    Attributes:
        title: how the tables call it.
        dataset, entity: names.
        row: Avro schema of the dataset's rows.
        changes: so many record keys and envelopes.
        resources: what its workspace has beside the bench's own.
        views: topics of its views.
        compression: of record batches, of those read and of those made, as Kafka calls it.
    """

    title: str
    dataset: str
    entity: str
    row: dict[str, Any]
    changes: Callable[[int], Changes]
    resources: list[Resource] = field(default_factory=list)
    views: tuple[str, ...] = ()
    compression: str = "none"

    @property
    def shared(self) -> str:
        """Its shared topic."""
        return wire.shared_topic(self.entity)


def light() -> Flow:
    """The light mapping: the job that the design's figures are given for."""
    return Flow("normalise (light)", "bench.people", "bench.person", LIGHT_ROW, _light)


def demo() -> Flow:
    """The demo's person, with check digits and rules across fields."""
    return Flow(
        "normalise (demo)", "gongan.population", "population.person", DEMO_ROW, lambda count: changes(count, DEMO_ROW)
    )


def rejects() -> Flow:
    """The light mapping, one record of twenty rejected."""
    return _copy(
        f"normalise, {REJECTED:.0%} rejects", "rejects", lambda count: changes(count, LIGHT_ROW, rejects=REJECTED)
    )


def wide() -> Flow:
    """Rows and records of 120 fields: texts, dates out of texts, numbers."""
    title = f"normalise, {shapes.WIDE_FIELDS} fields"
    return _shaped(title, "wide", shapes.WIDE_ROW, shapes.widened, shapes.widen)


def nested() -> Flow:
    """Rows with records, arrays and a map inside, which the light mapping reads over."""
    return _shaped("normalise, nested rows", "nested", shapes.NESTED_ROW, shapes.nested, list)


def texts() -> Flow:
    """The light mapping, and five numbers and times that the source has as texts."""
    title = "normalise, numbers and times in texts"
    return _shaped(title, "texts", shapes.TEXTS_ROW, shapes.texts, shapes.with_texts)


def lz4() -> Flow:
    """The light mapping, its input and output compressed."""
    return _copy("normalise, lz4 in and out", "lz4", _light, compression="lz4")


def one_view() -> Flow:
    """The light mapping, and a view of everybody."""
    return _copy("normalise + 1 view", "one-view", _light, (None,))


def district_views(count: int) -> Flow:
    """The light mapping, and so many views: every record is for one of them."""
    return _copy(
        f"normalise + {count} district views",
        "districts",
        lambda records: districts.moved(_light(records), count),
        tuple(map(districts.code, range(count))),
    )


def unmatched_views(count: int) -> Flow:
    """The light mapping, and so many views of districts in which nobody lives."""
    return _copy(
        f"normalise + {count:,} views, none matches",
        f"unmatched-{count}",
        _light,
        tuple(map(districts.nobodys, range(count))),
    )


def _light(count: int) -> Changes:
    return changes(count, LIGHT_ROW)


def _shaped(
    title: str,
    text: str,
    row: dict[str, Any],
    reshaped: Callable[[Changes], Changes],
    extended: Callable[[list[Resource]], list[Resource]],
) -> Flow:
    """The light mapping's changes with rows of another shape, and its resources with what is made of that."""
    name = Name(text)
    resources = extended(copies.dataset_entity_mapping(name))
    return Flow(title, name.dataset, name.entity, row, lambda count: reshaped(_light(count)), resources)


def _copy(
    title: str,
    text: str,
    made: Callable[[int], Changes],
    views: tuple[str | None, ...] = (),
    compression: str = "none",
) -> Flow:
    name = Name(text)
    topics = tuple(wire.view_topic(name.view(number), 1) for number in range(len(views)))
    resources = [*copies.dataset_entity_mapping(name), *copies.views(name, views)]
    return Flow(title, name.dataset, name.entity, LIGHT_ROW, made, resources, topics, compression)
