"""Rejects on a real Kafka, as an operator meets them: listed, shown, redriven once the mapping is mended."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from bus import wire
from bus.catalogue.apply import apply_workspace
from bus.catalogue.workspace import default_workspace
from bus.config import Settings
from bus.kafka import clients
from bus.kafka.embedded import EmbeddedKafka
from bus.kafka.partitions import partition_of
from bus.kafka.registry_client import SchemaRegistry
from bus.pipeline.codec import encoder
from bus.pipeline.dlq import reject_headers
from bus.pipeline.envelope import envelope_schema
from bus.pipeline.rejects import RejectStates
from bus.testing.processes import BusProcesses
from bus.testing.registry_thread import RegistryThread
from bus.testing.topics import TopicRecord, read_topic
from bus.testing.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from bus.testing.processes import BusProcess

DATASET = "gongan.population"
RAW, DLQ = wire.raw_topic(DATASET), wire.dlq_topic(DATASET)
SHARED, VIEW = "shared.population.person", "view.portal-person.v1"
TEXT = ["null", "string"]
FIELDS: dict[str, Any] = dict.fromkeys(
    ("sfzh", "xm", "xb", "csrq", "mz", "hjdz", "jzdz", "lxdh", "xzqhdm", "bz"), TEXT
) | {"gxsj": ["null", {"type": "long", "logicalType": "timestamp-micros"}]}
SCHEMA = envelope_schema(
    DATASET,
    {
        "type": "record",
        "name": "population",
        "fields": [{"name": name, "type": kind, "default": None} for name, kind in FIELDS.items()],
    },
)
WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def id_number(serial: int) -> str:
    """A valid one (GB 11643) of a man born on 7 March 1990."""
    digits = f"32050819900307{2 * serial + 1:03}"
    return digits + "10X98765432"[sum(w * int(d) for w, d in zip(WEIGHTS, digits, strict=True)) % 11]


class Office:
    """The department writes raw changes; the bureau mends the mapping; an operator gives commands."""

    def __init__(self, settings: Settings, folder: Path, processes: BusProcesses) -> None:
        self.settings = settings
        self._workspace = folder / "workspace"
        self._processes = processes
        self._revision = 1
        self._written = 0
        shutil.copytree(default_workspace(), self._workspace)

    async def open(self) -> None:
        await apply_workspace(self._workspace, self.settings)
        async with SchemaRegistry(self.settings.registry_url) as registry:
            self._encode = encoder(await registry.register(wire.subject(RAW), SCHEMA), SCHEMA)

    def worker(self) -> BusProcess:
        return self._processes.start(self.settings, "worker")

    async def publish(self, serial: int, sex: str | None = "1", *, name: str = "王伟", op: str = "u") -> None:
        """A row of raw; a sex that is no code is rejected. Sex None: the row is deleted."""
        await self.publish_all([(serial, sex, name, op)])

    async def publish_all(self, rows: list[tuple[int, str | None, str, str]]) -> None:
        producer = clients.producer(self.settings.kafka, linger_ms=5)
        async with clients.started(producer, self.settings.kafka):
            for serial, sex, name, op in rows:
                self._written += 1
                number = id_number(serial)
                row: dict[str, Any] = {"sfzh": number, "xm": name, "xb": sex, "csrq": "19900307", "xzqhdm": "320508"}
                row |= {"gxsj": 1_700_000_000_000_000}
                event: dict[str, Any] = {"op": op, "before": None, "after": row, "position": "", "time": 0}
                if sex is None:
                    event |= {"op": "d", "before": row | {"xb": "1"}, "after": None}
                headers = wire.CloudEvent(
                    f"0/{self._written}", RAW, "urn:shuniu:t:x:y", "2026-03-01T00:00:00.000000Z"
                ).headers()
                key, value = number.encode(), self._encode(event)
                await producer.send(RAW, value, key=key, partition=partition_of(key, 4), headers=headers)
            await producer.flush()

    async def mend(self, codes: str) -> None:
        """The mapping takes these codes of sex for male, in a new revision."""
        file = self._workspace / "gongan" / "population.yaml"
        text = file.read_text("utf-8")
        text = text.replace("男:", f"{codes}: '1', 男:").replace(
            f"revision: {self._revision}\n  golden", f"revision: {self._revision + 1}\n  golden"
        )
        self._revision += 1
        file.write_text(text, encoding="utf-8")
        golden = self._workspace / "gongan" / "population.golden.yaml"
        lines = golden.read_text("utf-8").splitlines()
        golden.write_text("\n".join(line for line in lines if "a sex that is no code" not in line), "utf-8")
        await apply_workspace(self._workspace, self.settings)

    async def bus(self, *arguments: str, code: int = 0) -> str:
        """What `bus …` prints; it ends with this code."""
        process = await asyncio.to_thread(self._processes.start, self.settings, *arguments)
        assert await asyncio.to_thread(process.wait, 90) == code, process.text()
        return process.text()

    async def told(self, *arguments: str, code: int = 0) -> Any:
        text = await self.bus("dlq", *arguments, "--json", code=code)
        return json.loads(text[: text.rindex("]" if text.startswith("[") else "}") + 1])

    async def redrive(self, *arguments: str) -> dict[str, Any]:
        told = await self.told("redrive", "--dataset", DATASET, *arguments)
        return {name: told[name] for name in ("matched", "redriven", "rejected", "superseded", "gone")}

    async def counts(self) -> dict[str, int]:
        """State → how many rejects, of all reasons."""
        states = ("open", "superseded", "redriven", "at_source")
        rows = await self.told("ls", "--dataset", DATASET)
        return {state: sum(row[state] for row in rows) for state in states if sum(row[state] for row in rows)}

    async def open_rejects(self) -> int:
        async with RejectStates(self.settings.kafka, ["gongan"]) as states:
            return states.open_by_dataset()[DATASET]

    async def until_open(self, count: int) -> None:
        async def so_many() -> bool:
            return await self.open_rejects() == count

        await until(so_many, within=30, what=f"{count} open rejects")

    async def records(self, topic: str, serial: int) -> list[TopicRecord]:
        key = id_number(serial).encode()
        return [record for record in await read_topic(self.settings, topic) if record.key == key]

    async def names(self, topic: str, serial: int) -> list[str | None]:
        """The names that were ever told of a person."""
        return [record.value and record.value["full_name"] for record in await self.records(topic, serial)]

    async def until_name(self, topic: str, serial: int, *names: str | None) -> None:
        async def so() -> bool:
            return await self.names(topic, serial) == list(names)

        await until(so, within=30, what=f"{topic} tells {names} of person {serial}")


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    with EmbeddedKafka(tmp_path / "kafka") as kafka, BusProcesses(tmp_path) as processes:
        settings = Settings.load({}, bootstrap=kafka.bootstrap)
        with RegistryThread(settings.kafka) as registry:
            found = Office(settings.model_copy(update={"registry_url": registry.url}), tmp_path, processes)
            await found.open()
            yield found


async def test_rejects_are_redriven_once_the_mapping_is_mended_and_nothing_is_doubled(office: Office) -> None:
    office.worker()
    await office.publish(1, name="赵一")
    await office.publish(1, "甲", name="赵二")
    await office.publish(2, "甲", name="钱一")
    await office.publish(3, "乙", name="孙一")
    await office.publish(4, "甲", name="李一")
    await office.publish(4, "1", name="李二")
    await office.publish(5, "甲", name="周一")
    await office.publish(5, None)
    await office.publish(6, "甲", name="吴一")
    await office.publish(6, "甲", name="吴二")
    await office.until_open(4)
    assert await office.counts() == {"open": 4, "superseded": 3}

    await office.mend("甲")
    everything = {"matched": 4, "redriven": 3, "rejected": {"codes": 1}, "superseded": 0, "gone": 0}
    assert await office.redrive("--dry-run") == everything
    assert await office.open_rejects() == 4
    assert await office.names(SHARED, 2) == []

    assert await office.redrive() == everything
    assert await office.counts() == {"open": 1, "superseded": 3, "redriven": 3}
    again = await office.redrive()
    assert again == {"matched": 1, "redriven": 0, "rejected": {"codes": 1}, "superseded": 0, "gone": 0}

    for topic in (SHARED, VIEW):
        await office.until_name(topic, 1, "赵一", "赵二")
        await office.until_name(topic, 2, "钱一")
        await office.until_name(topic, 3)
        await office.until_name(topic, 4, "李二")
        await office.until_name(topic, 5, None)
        await office.until_name(topic, 6, "吴二")
    (redriven,) = await office.records(SHARED, 2)
    assert redriven.event_id == "0/3/m2", "the id that it would have had"
    assert len(await read_topic(office.settings, DLQ)) == 7, "a record that is still rejected has one dead letter"


async def test_a_selection_takes_what_it_names_and_leaves_the_rest(office: Office) -> None:
    office.worker()
    await office.publish(1, "甲")
    await office.publish(2, "甲", name=" ")
    await office.until_open(2)
    later = dt.datetime.now(dt.UTC).isoformat()
    await office.publish(3, "甲")
    await office.until_open(3)
    await office.mend("甲")

    assert (await office.redrive("--rule", "required"))["rejected"] == {"required": 1}
    assert (await office.redrive("--since", later, "--dry-run"))["matched"] == 1
    assert (await office.redrive("--until", later, "--dry-run"))["matched"] == 2
    assert (await office.redrive("--key", id_number(3)))["redriven"] == 1
    assert (await office.redrive("--field", "sex"))["redriven"] == 1
    assert await office.open_rejects() == 1


async def test_where_raw_has_let_go_of_a_record_its_dead_letter_serves(office: Office) -> None:
    office.worker()
    await office.publish(1, "甲", name="赵一")
    await office.publish(2, "甲", name="钱一")
    await office.until_open(2)
    await delete_records(office, RAW, 4)
    await office.mend("甲")
    assert (await office.redrive("--key", id_number(1)))["redriven"] == 1
    await office.until_name(SHARED, 1, "赵一")

    await delete_records(office, DLQ, 1)
    told = await office.redrive()
    assert (told["matched"], told["gone"]) == (1, 1)
    assert await office.open_rejects() == 1


async def delete_records(office: Office, topic: str, partitions: int) -> None:
    """All of them, as retention does."""
    from confluent_kafka import OFFSET_END, TopicPartition
    from confluent_kafka.admin import AdminClient

    admin = AdminClient({"bootstrap.servers": office.settings.kafka.bootstrap})
    places = [TopicPartition(topic, number, OFFSET_END) for number in range(partitions)]
    for deleted in admin.delete_records(places).values():
        await asyncio.to_thread(deleted.result, 10)


async def test_what_an_adapter_rejected_is_listed_and_to_be_mended_at_the_source(office: Office) -> None:
    office.worker()
    await office.publish(1, "甲")
    await office.until_open(1)
    headers = reject_headers("ingest", "columns", "", "line 7 of people.csv has 3 fields of 5")
    producer = clients.producer(office.settings.kafka)
    async with clients.started(producer, office.settings.kafka):
        await producer.send_and_wait(DLQ, b"a,b,c", headers=headers)

    assert await office.counts() == {"open": 1, "at_source": 1}
    lines = (await office.bus("dlq", "show", "--dataset", DATASET, "--json")).splitlines()
    mapped, torn = (json.loads(line) for line in lines if line.startswith("{"))
    assert (mapped["state"], mapped["rule"], mapped["field"]) == ("open", "codes", "sex")
    assert mapped["record"]["after"]["xb"] == "甲"
    assert mapped["origin"].startswith(f"{RAW}/")
    assert (torn["state"], torn["rule"], torn["record"]) == ("at_source", "columns", "a,b,c")
    assert "mend it at the source" in torn["to_do"]
    text = await office.bus("dlq", "show", mapped["reject"])
    assert "personal data" in text
    assert "why     codes of sex: " in text
    assert (await office.redrive())["matched"] == 1


async def test_mistakes_are_told_with_the_way_out(office: Office) -> None:
    assert "no rejects" in await office.bus("dlq", "ls")
    text = await office.bus("dlq", "redrive", "--dataset", "gongan.people", code=2)
    assert "there is no dataset gongan.people" in text
    assert f"there are: {DATASET}" in text
    assert "--since 'yesterday'" in await office.bus("dlq", "ls", "--since", "yesterday", code=2)
    assert "rule 'cods'" in await office.bus("dlq", "redrive", "--dataset", DATASET, "--rule", "cods", code=2)
    assert "names no reject" in await office.bus("dlq", "show", "17", code=2)
    assert "there is no reject" in await office.bus("dlq", "show", f"{DATASET}/17", code=2)
    text = await office.bus("dlq", "redrive", "--dataset", DATASET, "--patience", "2s", code=1)
    assert "have not finished" in text
    assert "bus worker" in text
