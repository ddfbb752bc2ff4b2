"""What routing costs: a record that matches nothing costs the same however many views there are.

Measured as ratios in one process, the best of several runs each, with wide margins: a machine that is busy with other
things must not fail them. The figures themselves stand in `bus/decisions/0009-filling-views-and-membership.md`.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from bus.catalogue.predicate import Predicate
from bus.pipeline.codec import encoder
from bus.pipeline.entity_views import ViewOutput
from bus.pipeline.route import Route
from tests.unit.pipeline.test_route import DOWNTOWN, SHARED, THIN, Partition, living_in, thin

if TYPE_CHECKING:
    from tests.unit.pipeline.test_route import Shared

RECORDS = [living_in(DOWNTOWN, offset, f"key-{offset}") for offset in range(1_000)]


def elsewhere(number: int) -> Predicate:
    """A filter that none of the records passes; of every kind that views of districts have."""
    kinds = (
        {"field": "division", "eq": f"{400_000 + number}"},
        {"field": "division", "prefix": f"{40_000 + number}"},
        {"field": "division", "in": [f"{500_000 + number}", f"{600_000 + number}"]},
        {"all": [{"field": "phone", "prefix": "1"}, {"field": "division", "eq": f"{400_000 + number}"}]},
    )
    return Predicate.model_validate(kinds[number % 4])


def stage(views: int) -> Route:
    encode = encoder(7, THIN)
    made = [ViewOutput(f"view.v{n}.v1", 1, b"c.p.v1", 1, thin, encode, elsewhere(n), "A") for n in range(views)]
    return Route({(SHARED, 6): Partition(*made).router})


def seconds(routed: Route, records: list[Shared]) -> float:
    begun = time.perf_counter()
    assert routed(records) == []
    return time.perf_counter() - begun


def test_a_record_that_matches_none_of_3000_filters_costs_what_one_that_matches_none_of_10_costs() -> None:
    few, many = stage(10), stage(3_000)
    runs = [(seconds(few, RECORDS), seconds(many, RECORDS)) for _ in range(15)]

    assert min(many for _, many in runs) < 2 * min(few for few, _ in runs)
