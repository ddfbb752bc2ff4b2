"""What the registry shows of itself, as samples of `bus.metrics`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bus import metrics
from bus.metrics import Instrument, Sample

if TYPE_CHECKING:
    from bus.registry.registry import Registry


def of_registry(registry: Registry) -> Instrument:
    """The registry's; it has no trouble of its own: without Kafka it answers from what it has read."""

    async def samples() -> list[Sample]:
        subjects = registry.state.subjects()
        schemas = {version.id for subject in subjects for version in registry.state.versions(subject)}
        return [
            Sample(metrics.REGISTRY_SUBJECTS, (), len(subjects)),
            Sample(metrics.REGISTRY_SCHEMAS, (), len(schemas)),
        ]

    return Instrument("registry", samples, lambda: "")
