"""What an adapter says that a person must see to, on its way through a heartbeat."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from bus.config import Settings
from bus.errors import Finding, Severity
from bus.kafka.registry_client import SchemaRegistry
from bus.pipeline.heartbeat import AdapterBeat
from bus.pipeline.notices import LONGEST, MOST, MOST_OF_ONE, from_json, to_json
from bus.pipeline.publication import Publication, Published
from bus.pipeline.runtime import AdapterRuntime
from bus.spi import Adapter, AdapterConfig, Batch, Capabilities

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from bus.spi import SourceDataset

HELD = Finding("it lacks 60 of 100 known rows", "企业-2.csv", "look at it")
REFUSED = Finding("it is empty", "企业-1.csv", "write it again", Severity.WARNING)


def through(notices: Mapping[str, Sequence[Finding]]) -> AdapterBeat:
    """A heartbeat with these, as it is read."""
    beat = AdapterBeat.decode(AdapterBeat(adapter="scjg", notices=to_json(notices)).encode())
    assert beat is not None
    return beat


def test_notices_come_back_as_they_were_what_waits_first() -> None:
    beat = through({"scjg.companies": [REFUSED, HELD], "scjg.licences": [REFUSED]})

    assert from_json(beat.notices, "scjg.companies") == (HELD, REFUSED)
    assert from_json(beat.notices, "scjg.licences") == (REFUSED,)
    assert from_json(beat.notices, "scjg.others") == ()


def test_a_heartbeat_of_an_older_version_has_no_notices_and_a_newer_one_may_say_more() -> None:
    told = json.loads(AdapterBeat(adapter="scjg").encode())
    del told["notices"]
    old = AdapterBeat.decode(json.dumps(told).encode())
    assert old is not None
    assert from_json(old.notices, "scjg.companies") == ()

    more = {"a.b": [to_json({"a.b": [HELD]})["a.b"][0] | {"since": "now", "severity": "grave"}]}
    assert from_json(more, "a.b") == (HELD,)


@pytest.mark.parametrize("notices", [None, [], "x", {"a.b": None}, {"a.b": [1, {}, {"message": 3}, {"message": ""}]}])
def test_what_is_no_notice_is_left_out(notices: object) -> None:
    assert from_json(notices, "a.b") == ()


def test_notices_are_few_and_short_and_no_dataset_is_left_out_for_anothers_second() -> None:
    many = [Finding("大" * 10_000, "大" * 10_000, "大" * 10_000)] * 100

    beat = through({f"a.d{number:02d}": many for number in range(MOST)})
    assert [len(each) for each in beat.notices.values()] == [1] * MOST
    assert len(from_json(beat.notices, "a.d00")[0].message) == LONGEST
    assert len(beat.encode()) < 1_000_000, "Kafka's limit for a record"
    assert len(through({"a.b": many}).notices["a.b"]) == MOST_OF_ONE


def test_a_file_name_cannot_command_a_terminal() -> None:
    (notice,) = from_json(through({"a.b": [Finding("x", "\x1b[2J\u202e企业\u3000表\n.csv")]}).notices, "a.b")

    assert notice.where == "?[2J?企业\u3000表?.csv"


def test_a_notice_that_comes_or_goes_is_news() -> None:
    assert through({}).news == through({}).news
    assert through({}).news != through({"a.b": [HELD]}).news != through({"a.b": [REFUSED]}).news


class Noted(Adapter[AdapterConfig]):
    """Has notices, and nothing to read."""

    kind = "noted"
    config_model = AdapterConfig
    capabilities: ClassVar = Capabilities(
        deletes=False, before_images=False, snapshot=False, resumable=False, ordered=True, latency_seconds=1.0
    )
    said: ClassVar[Any] = {}

    async def check(self, *_: object) -> list[Finding]:
        return []

    async def discover(self) -> list[SourceDataset]:
        return []

    async def read(self, *_: object) -> AsyncIterator[Batch]:
        for batch in list[Batch]():
            yield batch

    def notices(self) -> Mapping[str, Sequence[Finding]]:
        found: Mapping[str, Sequence[Finding]] = self.said
        return found


async def beat(said: Any) -> AdapterBeat:
    """The heartbeat of an adapter that says this."""
    adapter = Noted("scjg", AdapterConfig())
    adapter.said = said  # type: ignore[misc]
    published = Published("scjg.companies", "companies", ("code",), 1)
    async with SchemaRegistry("http://127.0.0.1:9") as registry:
        publication = Publication("scjg", "scjg", "urn:shuniu:t:x:y", (published,))
        return AdapterRuntime(adapter, publication, Settings(), registry).beat()


async def test_datasets_have_the_catalogues_names_and_those_of_nobody_are_left_out() -> None:
    found = await beat({"companies": [HELD], "strangers": [REFUSED]})

    assert found.notices == to_json({"scjg.companies": [HELD]})


@pytest.mark.parametrize("said", [None, 3, {"companies": [3]}])
async def test_a_mistake_of_an_adapter_does_not_silence_its_heartbeat(said: Any) -> None:
    assert (await beat(said)).notices == {}
