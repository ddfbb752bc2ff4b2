"""A department that writes raw changes, good and bad, and an operator who mends its mapping and redrives."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import shutil
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from bus import wire
from bus.catalogue.apply import apply_workspace
from bus.catalogue.workspace import default_workspace
from bus.config import Settings
from bus.kafka import clients
from bus.kafka.embedded import EmbeddedKafka
from bus.kafka.partitions import partition_of
from bus.kafka.registry_client import SchemaRegistry
from bus.pipeline.codec import encoder
from bus.pipeline.envelope import envelope_schema
from bus.pipeline.rejects import RejectStates
from bus.testing.processes import BusProcesses
from bus.testing.registry_thread import RegistryThread
from bus.testing.topics import TopicRecord, read_topic
from bus.testing.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from bus.children import BusProcess

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


def born(serial: int) -> str:
    """The birth date of a person: 500 are born each day."""
    return f"{dt.date(1990, 1, 1) + dt.timedelta(serial // 500):%Y%m%d}"


def id_number(serial: int) -> str:
    """A valid one (GB 11643), of a man."""
    digits = f"320508{born(serial)}{2 * (serial % 500) + 1:03}"
    return digits + "10X98765432"[sum(w * int(d) for w, d in zip(WEIGHTS, digits, strict=True)) % 11]


class Office:
    """The department writes raw changes; the bureau mends the mapping; an operator gives commands."""

    def __init__(self, settings: Settings, folder: Path, processes: BusProcesses) -> None:
        self.settings = settings
        self._workspace = folder / "workspace"
        self.processes = processes
        self._revision = 1
        self._written = 0
        shutil.copytree(default_workspace(), self._workspace)

    async def open(self) -> None:
        await apply_workspace(self._workspace, self.settings)
        async with SchemaRegistry(self.settings.registry_url) as registry:
            self._encode = encoder(await registry.register(wire.subject(RAW), SCHEMA), SCHEMA)

    def worker(self) -> BusProcess:
        return self.processes.start(self.settings, "worker")

    async def publish(self, serial: int, sex: str | None = "1", *, name: str = "王伟", op: str = "u") -> None:
        """A row of raw; a sex that is no code is rejected. Sex None: the row is deleted."""
        await self.publish_all([(serial, sex, name, op)])

    async def publish_all(self, rows: list[tuple[int, str | None, str, str]]) -> None:
        producer = clients.producer(self.settings.kafka, linger_ms=5)
        async with clients.started(producer, self.settings.kafka):
            for serial, sex, name, op in rows:
                self._written += 1
                number = id_number(serial)
                row: dict[str, Any] = {"sfzh": number, "xm": name, "xb": sex, "csrq": born(serial), "xzqhdm": "320508"}
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
        process = await asyncio.to_thread(self.processes.start, self.settings, *arguments)
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


@asynccontextmanager
async def reject_office(folder: Path) -> AsyncIterator[Office]:
    """An office with a broker and a registry of its own; a worker is started by each test."""
    with EmbeddedKafka(folder / "kafka") as kafka, BusProcesses(folder) as processes:
        settings = Settings.load({}, bootstrap=kafka.bootstrap)
        with RegistryThread(settings.kafka) as registry:
            found = Office(settings.model_copy(update={"registry_url": registry.url}), folder, processes)
            await found.open()
            yield found
