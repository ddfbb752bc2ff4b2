"""Copies of the bench's dataset, entity, mapping and view under other names: what scenarios must not share."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ruamel.yaml import YAML

from bus.catalogue.workspace import default_workspace

if TYPE_CHECKING:
    from collections.abc import Iterable

Resource = dict[str, Any]

HERE: Final = Path(__file__).parent
COPIED: Final = ("Dataset", "Entity", "Mapping")
SUBSCRIBERS: Final = ("portal", "gusu", "statistics")
"""Folders of the default workspace that are left out, so that normalising is measured alone."""


@dataclass(frozen=True, slots=True)
class Name:
    """What a copy is called.

    Attributes:
        text: lower case, parts joined by `-`; the mapping and the views begin with `bench-<text>`.
    """

    text: str

    @property
    def dataset(self) -> str:
        """The dataset."""
        return f"bench.{self.text}"

    @property
    def entity(self) -> str:
        """The entity; an Avro name knows no `-`."""
        return f"bench.{self.text.replace('-', '_')}"

    def view(self, number: int) -> str:
        """One of its views."""
        return f"bench-{self.text}-{number:04}"


def make_workspace(folder: Path) -> None:
    """The bench's workspace in a new folder: the default one without its subscribers, and the light mapping."""
    shutil.copytree(default_workspace(), folder, ignore=shutil.ignore_patterns(*SUBSCRIBERS, "*.sql"))
    shutil.copytree(HERE / "workspace", folder / "bench")


def dataset_entity_mapping(name: Name, partitions: int | None = None) -> list[Resource]:
    """Copies of the three.

    Args:
        name: of the copy.
        partitions: of its raw and of its shared topic; None for the usual.
    """
    found = _resources(HERE / "workspace" / "bench.yaml")
    return [_renamed(each, name, partitions) for each in found if each["kind"] in COPIED]


@cache
def _resources(file: Path) -> list[Resource]:
    return list(YAML(typ="safe").load_all(file))


def _renamed(resource: Resource, name: Name, partitions: int | None) -> Resource:
    spec = dict(resource["spec"])
    if partitions is not None and resource["kind"] != "Mapping":
        spec["partitions"] = partitions
    match resource["kind"]:
        case "Dataset":
            called = name.dataset
            spec["source"] = spec["source"] | {"name": f"public.{name.text}"}
        case "Entity":
            called = name.entity
            spec["schema"] = spec["schema"] | {"name": called.removeprefix("bench."), "namespace": "bench"}
        case _:
            called = f"bench-{name.text}"
            spec |= {"dataset": name.dataset, "entity": name.entity}
    return {"kind": resource["kind"], "metadata": resource["metadata"] | {"name": called}, "spec": spec}


def views(name: Name, districts: Iterable[str | None]) -> list[Resource]:
    """A view of the copy's entity, and a subscription to it, for each of these districts; None is everywhere."""
    view, subscription = _resources(HERE / "workspace_view.yaml")
    made = []
    for number, district in enumerate(districts):
        metadata = {"name": name.view(number), "title": "bench"}
        chosen: dict[str, Any] = {"entity": name.entity}
        if district is not None:
            chosen["filter"] = {"field": "division_code", "eq": district}
        made.append(view | {"metadata": metadata, "spec": view["spec"] | chosen})
        made.append(subscription | {"metadata": metadata, "spec": subscription["spec"] | {"view": name.view(number)}})
    return made


def write(resources: Iterable[Resource], target: Path) -> None:
    """A file of resources, one a line: JSON is YAML, and thousands of views are written at once."""
    lines = [f"---\n{json.dumps(each, ensure_ascii=False, default=str)}\n" for each in resources]
    target.write_text("".join(lines), encoding="utf-8")
