from __future__ import annotations

from dataclasses import replace

from bus.console.flow import KINDS, ROWS, Flow, Node, flow
from bus.control.health import BusHealth, Verdict
from tests.made_up_city import city, every_verdict, silent_adapter


def column(picture: Flow, kind: str) -> tuple[Node, ...]:
    return picture.columns[KINDS.index(kind)]


def test_every_part_of_a_small_city_has_a_row_and_every_row_is_reached() -> None:
    health = city(3)
    picture = flow(health)
    assert [len(each) for each in picture.columns] == [3, 3, 3, len(health.views), len(health.subscribers)]
    for gap, right in zip(picture.gaps, picture.columns[1:], strict=True):
        assert {edge.link.target for edge in gap} == {node.id for node in right}


def test_edges_end_at_the_middle_of_their_rows() -> None:
    picture = flow(city(2))
    (first, second) = sorted(edge.path for edge in picture.gaps[0])
    ends = [(path.split("C")[0], path.rsplit(" ", 1)[1]) for path in (first, second)]
    assert ends == [("M0 250.0", "250.0"), ("M0 750.0", "750.0")]


def test_a_large_city_fits_the_screen_and_folds_what_is_well() -> None:
    health = every_verdict(60)
    datasets = column(flow(health), "dataset")
    assert len(datasets) == ROWS
    broken = {each.name for each in health.datasets if not each.ok}
    assert len(broken) == 8
    assert broken <= {node.name for node in datasets}
    others = datasets[-1]
    assert (others.shared_by, others.part.verdict) == (60 - (ROWS - 1), Verdict.OK)
    seen = sum(node.rate or 0.0 for node in datasets)
    assert abs(seen - sum(each.rate for each in health.datasets)) < 1e-6


def test_a_shared_row_shows_the_worst_that_it_hides() -> None:
    health = city(60)
    for number in range(len(health.adapters)):
        health = silent_adapter(health, number)
    assert column(flow(health), "dataset")[-1].part.verdict is Verdict.STALLED


def test_all_parts_have_a_row_when_all_are_asked_for() -> None:
    health = every_verdict(60)
    assert len(column(flow(health, rows=None), "dataset")) == 60


def test_the_busiest_of_equal_verdict_keep_their_rows() -> None:
    health = city(60)
    kept = {node.rate for node in column(flow(health), "dataset") if not node.shared_by}
    assert kept == {1840.0, 238.4}


def test_a_wider_edge_carries_more_and_one_without_a_known_rate_is_unseen() -> None:
    picture = flow(city(6))
    edges = {edge.link.source: edge for edge in picture.gaps[1]}
    busy, calm, still = (edges[f"dataset-{name}.population"] for name in ("jiaoyu", "minzheng", "renshe"))
    assert busy.width > calm.width > still.width
    assert (busy.pace, calm.pace, still.pace) == ("fast", "slow", "still")
    unknown = [edge for edge in picture.gaps[3] if edge.link.rate is None]
    assert unknown
    assert {edge.pace for edge in unknown} == {"unseen"}


def test_a_subscriber_whose_groups_nobody_sees_has_no_rate_instead_of_none() -> None:
    receivers = {node.name: node for node in column(flow(city(6)), "subscriber")}
    assert (receivers["portal-3"].rate, receivers["portal-3"].waiting) == (None, None)
    assert receivers["portal-0"].waiting == 2


def test_a_link_to_what_is_not_in_the_picture_is_left_out() -> None:
    health = city(2)
    lonely = replace(health, entities=health.entities[:1])
    assert {edge.link.target for edge in flow(lonely).gaps[1]} == {f"entity-{health.entities[0].name}"}


def test_an_empty_catalogue_is_an_empty_picture() -> None:
    picture = flow(BusHealth(time=0.0, bus_id="empty"))
    assert picture.columns == ((), (), (), (), ())
