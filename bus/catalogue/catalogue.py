"""The catalogue as workers read it: typed resources out of `_bus.catalogue` alone, without any workspace file."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from bus.catalogue.codelist import CodeList
from bus.catalogue.dataset import Dataset
from bus.catalogue.department import Department
from bus.catalogue.entity import Entity
from bus.catalogue.mapping import Mapping
from bus.catalogue.record import CatalogueRecord
from bus.catalogue.subscriber import Subscriber
from bus.catalogue.subscription import ACTIVE, Subscription
from bus.catalogue.view import View

if TYPE_CHECKING:
    from collections.abc import Mapping as Map

    from bus.catalogue.model import Resource

ResourceT = TypeVar("ResourceT", bound="Resource")


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All resources of a bus.

    Attributes:
        records: key in `_bus.catalogue` → record, as it stands there.
        departments, datasets, entities, codelists, mappings, subscribers, subscriptions: by name; of a kind with
            revisions, the highest.
        views: by name and revision; several revisions of one live side by side.
        by_dataset: the mappings that read a dataset, by name.
    """

    records: Map[str, CatalogueRecord] = field(repr=False)
    departments: Map[str, Department]
    datasets: Map[str, Dataset]
    entities: Map[str, Entity]
    codelists: Map[str, CodeList]
    mappings: Map[str, Mapping]
    subscribers: Map[str, Subscriber]
    subscriptions: Map[str, Subscription]
    views: Map[tuple[str, int], View]
    by_dataset: Map[str, list[Mapping]] = field(repr=False)

    @classmethod
    def from_records(cls, items: Map[str, bytes]) -> Catalogue:
        """The catalogue of the topic's live key → value pairs.

        Raises:
            BadCatalogueRecordError: a record cannot be read.
        """
        return cls.of({key: CatalogueRecord.decode(key, value) for key, value in items.items()})

    @classmethod
    def of(cls, records: Map[str, CatalogueRecord]) -> Catalogue:
        """The catalogue of records that were read."""
        resources = [record.resource for record in records.values()]
        views = [resource for resource in resources if isinstance(resource, View)]
        mappings = _named(Mapping, resources)
        by_dataset: dict[str, list[Mapping]] = defaultdict(list)
        for _, mapping in sorted(mappings.items()):
            by_dataset[mapping.spec.dataset].append(mapping)
        return cls(
            records,
            _named(Department, resources),
            _named(Dataset, resources),
            _named(Entity, resources),
            _named(CodeList, resources),
            mappings,
            _named(Subscriber, resources),
            _named(Subscription, resources),
            {(view.name, view.spec.revision): view for view in views},
            dict(by_dataset),
        )

    def in_force(self) -> list[Resource]:
        """Everything that it holds, every revision of it."""
        return [record.resource for record in self.records.values()]

    def state_of(self, subscription: Subscription) -> str:
        """The state of one of its subscriptions."""
        return str(self.records[subscription.key].status.get("state", ""))

    def subscribed_views(self) -> list[View]:
        """The views that an active subscription names: those that have a topic, in order."""
        live = {
            (subscription.spec.view, subscription.spec.revision)
            for subscription in self.subscriptions.values()
            if self.state_of(subscription) == ACTIVE
        }
        return [view for key, view in sorted(self.views.items()) if key in live]

    def mappings_of(self, dataset: str) -> list[Mapping]:
        """The mappings that read a dataset, by name."""
        return self.by_dataset.get(dataset, [])

    def datasets_of(self, config: str) -> list[Dataset]:
        """The datasets that an adapter instance publishes, by name."""
        return [dataset for _, dataset in sorted(self.datasets.items()) if dataset.spec.source.config == config]


class CatalogueReader:
    """Reads the catalogue over and over: of a record that stands as it stood the resource is the same object again."""

    def __init__(self) -> None:
        self._read: dict[str, tuple[bytes, CatalogueRecord]] = {}

    def read(self, items: Map[str, bytes]) -> Catalogue:
        """The catalogue of the topic's live key → value pairs, as they are now.

        Raises:
            BadCatalogueRecordError: a record cannot be read.
        """
        self._read = {key: self._record(key, value) for key, value in items.items()}
        return Catalogue.of({key: record for key, (_, record) in self._read.items()})

    def _record(self, key: str, value: bytes) -> tuple[bytes, CatalogueRecord]:
        before = self._read.get(key)
        return before if before is not None and before[0] == value else (value, CatalogueRecord.decode(key, value))


def _named(kind: type[ResourceT], resources: list[Resource]) -> dict[str, ResourceT]:
    of_kind = [resource for resource in resources if isinstance(resource, kind)]
    return {resource.name: resource for resource in sorted(of_kind, key=lambda one: one.revision_number or 0)}
