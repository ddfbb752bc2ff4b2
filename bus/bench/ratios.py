"""Ratios of runs of the same turn: they depend least on what else the machine did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bus.bench.flows import FEW_VIEWS, light, one_view, unmatched_views
from bus.bench.scenario import COPIES, REFERENCE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bus.bench.throughput import Throughput


@dataclass(frozen=True, slots=True)
class Ratio:
    """One scenario's figures over another's, turn by turn.

    Attributes:
        of, to: the two.
        rate: of records a second.
        worker_cpu: of CPU-seconds per million records.
    """

    of: str
    to: str
    rate: tuple[float, ...]
    worker_cpu: tuple[float, ...]


def ratios(runs: Sequence[Throughput]) -> list[Ratio]:
    """Of everything to the transactional copy; of the compiled code to the reference; of views to fewer views."""
    names = list(dict.fromkeys(run.name for run in runs))
    pairs = [(name, COPIES["transactional"]) for name in names if name != COPIES["transactional"]]
    pairs += [(name.removesuffix(REFERENCE), name) for name in names if name.endswith(REFERENCE)]
    pairs += [(one_view().title, light().title)]
    few = unmatched_views(FEW_VIEWS).title
    pairs += [(name, few) for name in names if name.endswith("none matches") and name != few]
    return [_ratio(of, to, runs) for of, to in pairs if of in names and to in names]


def _ratio(of: str, to: str, runs: Sequence[Throughput]) -> Ratio:
    one, other = ([run for run in runs if run.name == name] for name in (of, to))
    turns = list(zip(one, other, strict=False))
    return Ratio(of, to, tuple(a.rate / b.rate for a, b in turns), tuple(a.worker_cpu / b.worker_cpu for a, b in turns))
