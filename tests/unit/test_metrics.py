"""The metrics' names, and how they look to Prometheus."""

from __future__ import annotations

import re

from bus import metrics
from bus.control.health import BusHealth, DatasetHealth, Verdict, ViewHealth
from bus.control.instruments import samples_of
from bus.metrics import Kind, Sample
from bus.metrics_server import exposition

LABELS = {"topic", "dataset", "rule", "group", "view", "adapter", "role", "entity", "subscription", "kind", "name"}
"""Names of resources, topics, groups and processes: nothing that a record could bring in."""


def test_every_metric_has_one_name_a_unit_and_a_sentence() -> None:
    names = [metric.name for metric in metrics.ALL]
    assert len(names) == len(set(names)) >= 25
    for metric in metrics.ALL:
        assert re.fullmatch(r"shuniu_[a-z_]+", metric.name)
        assert metric.help[0].isupper() or metric.help[0].isdigit()
        assert metric.help.endswith(".")
        assert metric.unit
        assert not metric.name.endswith("_total"), "prometheus adds it"
        assert set(metric.labels) <= LABELS


def test_the_unit_of_seconds_and_ratios_stands_in_the_name() -> None:
    for metric in metrics.ALL:
        for unit in ("seconds", "ratio"):
            assert (metric.unit == unit) == metric.name.endswith(unit)


def test_samples_in_the_text_format() -> None:
    text = exposition(
        [
            Sample(metrics.REJECTS, ("gongan.population", "date"), 3),
            Sample(metrics.REJECTS, ("gongan.population", "codes"), 1),
            Sample(metrics.LANES_OWNED, (), 16),
        ]
    ).decode()
    assert 'shuniu_rejects_total{dataset="gongan.population",rule="date"} 3.0' in text
    assert 'shuniu_rejects_total{dataset="gongan.population",rule="codes"} 1.0' in text
    assert "# HELP shuniu_lanes_owned Lanes that run in this process.\n# TYPE shuniu_lanes_owned gauge" in text
    assert text.count("# TYPE shuniu_rejects_total counter") == 1


def test_a_picture_of_the_bus_leaves_out_what_is_not_known() -> None:
    health = BusHealth(
        time=1.0,
        bus_id="suzhou",
        verdict=Verdict.STALE,
        datasets=(DatasetHealth(name="a.b", lag=7), DatasetHealth(name="a.c", freshness_seconds=2.5)),
        views=(ViewHealth(name="p", revision=1, topic="view.p.v1", filled=0.5),),
    )

    found = {(sample.metric.name, *sample.labels): sample.value for sample in samples_of(health)}

    assert found["shuniu_verdict", "bus", "suzhou"] == 2
    assert found["shuniu_dataset_lag_records", "a.b"] == 7
    assert ("shuniu_dataset_freshness_seconds", "a.b") not in found
    assert found["shuniu_dataset_freshness_seconds", "a.c"] == 2.5
    assert found["shuniu_view_filled_ratio", "view.p.v1"] == 0.5


def test_only_counters_count() -> None:
    assert {metric.kind for metric in metrics.ALL} == {Kind.COUNTER, Kind.GAUGE}
    assert metrics.RECORDS_READ.kind is Kind.COUNTER
    assert metrics.ADAPTER_PENDING.kind is Kind.GAUGE
