"""Rejects on a real Kafka, as an operator meets them: listed, shown, redriven once the mapping is mended."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from typing import TYPE_CHECKING

import pytest

from bus.kafka import clients
from bus.pipeline.dlq import reject_headers
from bus.testing.topics import read_topic
from tests.rejects_office import DATASET, DLQ, RAW, SHARED, VIEW, Office, id_number, reject_office

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with reject_office(tmp_path) as running:
        yield running


async def test_rejects_are_redriven_once_the_mapping_is_mended_and_nothing_is_doubled(office: Office) -> None:
    worker = office.worker()
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
    assert "lane FAILED" not in worker.text(), "a lane that is opened anew does the same, and nobody notices"


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
    assert "redriven: " not in text
    assert "bus worker" in text
