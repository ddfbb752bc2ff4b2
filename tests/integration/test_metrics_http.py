"""What Prometheus gets of each role, and what a supervisor is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from bus.kafka.probe import free_port
from bus.testing.office import DATASET, VIEW, Office, credit_codes
from bus.testing.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

Figures = dict[tuple[str, ...], float]
"""(name, values of the labels) → value."""


async def asked(port: int, path: str) -> tuple[int, str]:
    """Status and text; 0 while nobody listens."""
    try:
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/{path}") as answer:
            return answer.status, await answer.text()
    except aiohttp.ClientConnectionError:
        return 0, ""


async def figures(port: int) -> Figures:
    _, text = await asked(port, "metrics")
    families = text_string_to_metric_families(text)
    return {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}


async def shows(port: int, *wanted: Any, value: float) -> None:
    async def holds() -> bool:
        return (await figures(port)).get(wanted) == value

    await until(holds, within=30, what=f"{wanted} = {value}")


async def test_every_role_shows_what_it_does(tmp_path: Path) -> None:
    async with Office(tmp_path) as office:
        worker, adapter, bus = free_port(), free_port(), free_port()
        process = office.worker("--metrics-port", str(worker))
        office.adapter("--metrics-port", str(adapter))
        office.processes.start(office.settings, "status", "--metrics-port", str(bus))
        await office.register(credit_codes(20))
        await office.register(["no credit code"])

        await shows(worker, "shuniu_records_written_total", VIEW, value=20)
        found = await figures(worker)
        assert found["shuniu_records_read_total", f"raw.{DATASET}"] == 21
        assert found["shuniu_records_written_total", f"dlq.{DATASET}"] == 1
        assert found["shuniu_rejects_total", DATASET, "gb32100"] == 1
        assert found["shuniu_lanes_owned",] == 16
        assert found["shuniu_transactions_total", "_bus.route"] >= 1
        assert 0 < found["shuniu_transaction_seconds_total", "_bus.normalise"] < 30
        assert 0 <= found["shuniu_heartbeat_age_seconds", "worker"] < 10

        await shows(adapter, "shuniu_adapter_changes_total", "scjg", value=21)
        assert (await figures(adapter))["shuniu_adapter_freshness_seconds", "scjg"] < 10

        await shows(bus, "shuniu_verdict", "bus", "shuniu", value=0)
        await shows(bus, "shuniu_dataset_open_rejects", DATASET, value=1)

        async def tells_freshness() -> bool:
            return ("shuniu_view_freshness_seconds", VIEW) in await figures(bus)

        await until(tells_freshness, within=30, what="the view's freshness")
        assert (await figures(bus))["shuniu_view_freshness_seconds", VIEW] < 30

        assert await asked(worker, "healthz") == (200, '{"worker": "ok"}')
        assert await asked(adapter, "healthz") == (200, '{"adapter:scjg": "ok"}')
        assert "no credit code" not in (await asked(worker, "metrics"))[1]
        process.end()
        assert await asked(worker, "healthz") == (0, "")


async def test_an_adapter_that_cannot_reach_its_source_is_in_trouble_and_says_so(tmp_path: Path) -> None:
    async with Office(tmp_path) as office:
        port = free_port()
        office.adapter("--metrics-port", str(port))
        await office.register(credit_codes(3))
        await shows(port, "shuniu_adapter_changes_total", "scjg", value=3)
        office.postgres.stop()

        async def told() -> bool:
            status, text = await asked(port, "healthz")
            return status == 503 and "waiting: SourceUnavailableError" in text

        await until(told, within=30, what="503")
        assert (await figures(port))["shuniu_adapter_failures_total", "scjg"] >= 1
