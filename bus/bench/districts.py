"""Many views of one entity, each of one district: every record is for exactly one of them."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

from bus import wire

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def code(number: int) -> str:
    """The made-up code of a district."""
    return f"32{number:04}"


def topics(districts: int) -> list[str]:
    """Of the districts' views."""
    return [wire.view_topic(_name(number), 1) for number in range(districts)]


def write_views(bench: Path, target: Path, districts: int) -> None:
    """Make a file of so many copies of the bench's view and subscription, each filtered by a district."""
    yaml = YAML(typ="safe")
    view, subscriber, subscription = yaml.load_all(bench)
    made = [subscriber]
    for number in range(districts):
        metadata = {"name": _name(number), "title": "bench"}
        filtered = view["spec"] | {"filter": {"field": "division_code", "eq": code(number)}}
        made.append(view | {"metadata": metadata, "spec": filtered})
        made.append(subscription | {"metadata": metadata, "spec": subscription["spec"] | {"view": _name(number)}})
    yaml.dump_all(made, target)


def moved(changes: Iterator[tuple[bytes, dict[str, Any]]], districts: int) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """The changes, of people spread over the districts; the same person always in the same one."""
    for key, event in changes:
        row = event["after"] or event["before"]
        row["xzqhdm"] = code(zlib.crc32(key) % districts)
        yield key, event


def _name(number: int) -> str:
    return f"bench-district-{number:03}"
