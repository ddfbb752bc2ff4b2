"""What a heartbeat says, and that it cannot be taken for a position."""

from __future__ import annotations

from bus.pipeline.counts import Tally, WorkerCounts
from bus.pipeline.dlq import reject_headers
from bus.pipeline.heartbeat import AdapterBeat, WorkerBeat, adapter_key, adapter_of
from bus.pipeline.record import Output


def test_a_heartbeat_comes_back_as_it_was() -> None:
    beat = AdapterBeat(adapter="gongan", datasets=["gongan.population"], position="0/1A", pending=3, error="OSError")

    assert AdapterBeat.decode(beat.encode()) == beat


def test_fields_of_a_newer_version_are_left_out_and_other_values_are_no_heartbeats() -> None:
    newer = WorkerBeat(worker="w/1").encode().replace(b"{", b'{"mood":"good",', 1)

    assert WorkerBeat.decode(newer) == WorkerBeat.decode(WorkerBeat.decode(newer).encode())  # type: ignore[union-attr]
    assert WorkerBeat.decode(b"[]") is None
    assert WorkerBeat.decode(b"\xff") is None


def test_the_key_of_a_heartbeat_is_no_adapters_name() -> None:
    assert adapter_key("gongan") == "heartbeat/gongan"
    assert adapter_of("heartbeat/gongan") == "gongan"
    assert adapter_of("gongan") is None


def test_what_a_transaction_made_is_counted_by_topic_and_rejects_by_their_rule() -> None:
    counts = WorkerCounts()
    good = Output("shared.a.b", 0, b"k", b"v", [])
    bad = [
        Output("dlq.a.x", 0, b"k", b"v", reject_headers("normalise", rule, "f", "r"))
        for rule in ("date", "date", "codes")
    ]

    counts.committed("_bus.normalise", Tally.of([good, *bad, good]), 0.25)
    counts.committed("_bus.normalise", Tally.of([good]), 0.5)

    assert counts.written == {"shared.a.b": 3, "dlq.a.x": 3}
    assert counts.rejected == {("a.x", "date"): 2, ("a.x", "codes"): 1}
    assert (counts.transactions["_bus.normalise"], counts.seconds["_bus.normalise"]) == (2, 0.75)
