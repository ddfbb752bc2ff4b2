"""The role `adapter:<name>`: one adapter instance, with the datasets that the catalogue gives it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bus import wire
from bus.catalogue.catalogue import Catalogue
from bus.catalogue.topics import CATALOGUE_TOPIC
from bus.errors import WrongUseError
from bus.kafka.compacted import CompactedTopic
from bus.kafka.registry_client import SchemaRegistry
from bus.pipeline.instruments import of_adapter
from bus.pipeline.publication import Publication, Published
from bus.pipeline.runtime import AdapterRuntime

if TYPE_CHECKING:
    from bus.config import Settings
    from bus.metrics import Instrument
    from bus.spi import Adapter


async def read_catalogue(settings: Settings) -> Catalogue:
    """The catalogue as of now.

    Raises:
        BrokerUnavailableError: no broker answers, or no workspace was applied to the cluster.
    """
    async with CompactedTopic(settings.kafka, CATALOGUE_TOPIC) as topic:
        return Catalogue.from_records(topic.items)


def publication(catalogue: Catalogue, name: str, bus_id: str, *, accept_deletions: bool = False) -> Publication:
    """What an adapter instance publishes.

    Raises:
        WrongUseError: no dataset of the catalogue names it.
    """
    datasets = catalogue.datasets_of(name)
    if not datasets:
        known = sorted({dataset.spec.source.config for dataset in catalogue.datasets.values()})
        raise WrongUseError(
            f"no dataset of the catalogue names the adapter {name!r}",
            fix=f"the catalogue names: {', '.join(known) or 'none; run bus apply first'}",
        )
    department = catalogue.departments[datasets[0].spec.department]
    return Publication(
        adapter=name,
        department=department.name,
        source=wire.source_urn(bus_id, department.spec.credit_code, name),
        datasets=tuple(
            Published(each.name, each.spec.source.name, each.spec.key, each.spec.partitions) for each in datasets
        ),
        deletion_share=1.0 if accept_deletions else 0.3,
    )


async def run_adapter(
    adapter: Adapter[Any],
    settings: Settings,
    *,
    accept_deletions: bool = False,
    anew: bool = False,
    instruments: list[Instrument] | None = None,
) -> None:
    """Run an adapter until cancelled.

    Args:
        adapter: configured.
        settings: the cluster, and the bus's id.
        accept_deletions: let a snapshot delete any share of the known keys.
        anew: begin with a full snapshot, whatever the stored position.
        instruments: its own is added to these.

    Raises:
        BusError: see `AdapterRuntime.run` and `publication`.
    """
    catalogue = await read_catalogue(settings)
    chosen = publication(catalogue, adapter.name, settings.bus_id, accept_deletions=accept_deletions)
    async with SchemaRegistry(settings.registry_url) as registry:
        runtime = AdapterRuntime(adapter, chosen, settings, registry, anew=anew)
        if instruments is not None:
            instruments.append(of_adapter(runtime))
        try:
            await runtime.run()
        finally:
            await adapter.close()
