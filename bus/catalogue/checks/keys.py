"""The entity's key is an injective function of the raw key alone, so that order per key holds (design §2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bus.catalogue.dataset import Dataset
from bus.catalogue.entity import Entity
from bus.catalogue.mapping import Mapping
from bus.errors import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bus.catalogue.workspace import Workspace

_WHY = "the same thing would have two keys, or two things one, and their order would be lost"


def check(workspace: Workspace) -> Iterator[Finding]:
    """Key fields that are not plain copies of the dataset's key fields, one to one."""
    datasets, entities = workspace.named(Dataset), workspace.named(Entity)
    for mapping in workspace.all(Mapping):
        dataset, entity = datasets.get(mapping.spec.dataset), entities.get(mapping.spec.entity)
        if dataset is not None and entity is not None:
            yield from _check(workspace, mapping, dataset, entity)


def _check(workspace: Workspace, mapping: Mapping, dataset: Dataset, entity: Entity) -> Iterator[Finding]:
    used: set[str] = set()
    for name in entity.spec.key:
        rule = mapping.spec.fields.get(name)
        if rule is None:
            yield Finding(
                f"key field {name!r} of {entity.name} is not mapped", workspace.where(mapping, "spec", "fields"), _fix()
            )
            continue
        where = workspace.where(mapping, "spec", "fields", name)
        if not rule.is_plain_copy:
            yield Finding(
                f"key field {name!r} is not a plain copy: {_WHY}",
                where,
                "only `from` with checks that reject (pattern, length, code, check digit) may stand here; "
                "clean the key at the source",
            )
        elif rule.sources[0] not in dataset.spec.key:
            yield Finding(
                f"key field {name!r} comes from {rule.sources[0]!r}, which is not in the key of {dataset.name}: {_WHY}",
                where,
                f"the dataset's key is {', '.join(dataset.spec.key)}",
            )
        elif rule.sources[0] in used:
            yield Finding(f"{rule.sources[0]!r} makes two key fields", where, _fix())
        used.update(rule.sources)
    left = [name for name in dataset.spec.key if name not in used]
    if left and all(name in mapping.spec.fields for name in entity.spec.key):
        yield Finding(
            f"key field {', '.join(left)} of {dataset.name} is not in the key of {entity.name}: {_WHY}",
            workspace.where(mapping, "spec", "fields"),
            _fix(),
        )


def _fix() -> str:
    return "every field of the entity's key comes from one field of the dataset's key, and all of those are used"
