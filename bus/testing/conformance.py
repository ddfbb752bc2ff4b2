"""The conformance kit: one suite that every adapter passes, ours and a department's.

    class TestMyAdapter(AdapterConformance):
        @pytest.fixture
        def subject(self) -> Subject: ...

Each test proves one MUST of `adapters/SPEC.md`, by its number.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from bus.pipeline.codec import decoder, encoder
from bus.pipeline.envelope import envelope_schema
from bus.pipeline.ingest import Ingest, RawDataset
from bus.pipeline.native.encoding import change_encoder
from bus.spi import (
    Adapter,
    AdapterConfig,
    Batch,
    Capabilities,
    Change,
    ColumnChanges,
    Op,
    Position,
    Severity,
    Snapshot,
)
from bus.testing.reading import Reading, position_after

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bus.pipeline.record import Output
    from bus.spi import SourceDataset

Told = tuple[tuple[str, int], Op, Any]
"""Unit and row of a change, what happened, and the row after it."""

ROWS = 5


class Subject(Protocol):
    """A source under test with one dataset, empty at first, and an adapter on it.

    Attributes:
        dataset: the source's name of the dataset.
        key: fields of its key.
    """

    dataset: str
    key: tuple[str, ...]

    def adapter(self) -> Adapter[Any]:
        """An adapter instance, configured; every one of the same name, as after a restart."""
        ...

    async def insert(self, rows: int) -> None:
        """Add so many rows, in one transaction (file, request) of the source."""
        ...

    async def update(self) -> None:
        """Change one row that is there, without its key."""
        ...

    async def delete(self) -> None:
        """Delete one row that is there."""
        ...


class AdapterConformance:
    """The suite; a subclass gives the fixture `subject`."""

    @pytest.fixture
    def subject(self) -> Subject:
        """The source under test."""
        pytest.fail(f"{type(self).__name__} does not give the fixture `subject`")

    def test_01_it_declares_what_it_is(self, subject: Subject) -> None:
        """A kind, a configuration model, capabilities."""
        adapter = subject.adapter()
        assert adapter.kind
        assert issubclass(adapter.config_model, AdapterConfig)
        assert adapter.config_model.model_json_schema()["properties"]
        assert isinstance(adapter.capabilities, Capabilities)
        assert adapter.capabilities.latency_seconds > 0

    @pytest.mark.asyncio
    async def test_02_a_source_that_is_ready_has_no_errors(self, subject: Subject) -> None:
        """`check` finds nothing that stops the reading."""
        findings = await subject.adapter().check([subject.dataset], {subject.dataset: subject.key})
        assert not [finding for finding in findings if finding.severity is Severity.ERROR]

    @pytest.mark.asyncio
    async def test_03_a_dataset_that_is_not_there_is_named_with_a_fix(self, subject: Subject) -> None:
        """`check` finds it, says which, and what to do."""
        missing = f"{subject.dataset}_missing"
        findings = await subject.adapter().check([missing], {missing: subject.key})
        errors = [finding for finding in findings if finding.severity is Severity.ERROR]
        assert [finding for finding in errors if missing in finding.where or missing in finding.message]
        assert all(finding.fix for finding in errors)

    @pytest.mark.asyncio
    async def test_04_discover_tells_the_dataset_with_a_schema(self, subject: Subject) -> None:
        """An Avro record that holds the key's fields; before-images as declared."""
        adapter = subject.adapter()
        found = {dataset.name: dataset for dataset in await adapter.discover()}[subject.dataset]
        fields = {field["name"] for field in found.schema["fields"]}
        assert found.schema["type"] == "record"
        assert fields.issuperset({*subject.key, *found.primary_key, *found.before_image})
        if adapter.capabilities.before_images:
            assert found.before_image.issuperset(subject.key)
        encoder(1, envelope_schema("kit.dataset", found.schema))  # the registry and fastavro take it

    @pytest.mark.asyncio
    async def test_05_a_snapshot_is_bracketed_and_whole(self, subject: Subject) -> None:
        """Begin, all rows once, end; one unit; its last batch is the end."""
        await subject.insert(ROWS)
        async with Reading(subject.adapter(), [subject.dataset]) as reading:
            rows = await reading.snapshot()
        unit = [batch for batch in reading.batches if batch.unit == reading.batches[0].unit]
        assert unit[0].snapshot is Snapshot.BEGIN
        assert unit[-1].snapshot is Snapshot.END
        assert unit[0].datasets == unit[-1].datasets == (subject.dataset,)
        assert [batch.last for batch in unit] == [False] * (len(unit) - 1) + [True]
        assert len(rows) == ROWS
        assert {row.before for row in rows if row.before is not None} == set()
        assert len({_key(row, subject.key) for row in rows}) == ROWS

    @pytest.mark.asyncio
    async def test_06_rows_are_numbered_from_one_inside_each_unit(self, subject: Subject) -> None:
        """Rising numbers from 1, across the batches of a unit."""
        for rows in (await _life(subject)).values():
            numbers = [change.row for batch in rows for change in batch.changes]
            assert numbers == sorted(set(numbers))
            assert numbers[:1] in ([], [1])

    @pytest.mark.asyncio
    async def test_07_a_unit_ends_once_and_nothing_of_it_follows(self, subject: Subject) -> None:
        """The last batch of a unit, and no other, says so; units do not mix."""
        async with Reading(subject.adapter(), [subject.dataset], acknowledge=True) as reading:
            await _live(subject, reading)
        done: set[str] = set()
        for number, batch in enumerate(reading.batches):
            assert batch.unit not in done, "a batch of a unit that had ended"
            following = reading.batches[number + 1 : number + 2]
            assert batch.last or not following or following[0].unit == batch.unit, "another unit before the end"
            if batch.last:
                done.add(batch.unit)

    @pytest.mark.asyncio
    async def test_08_every_row_fits_the_schema(self, subject: Subject) -> None:
        """What `read` yields encodes with what `discover` told, and comes back the same."""
        adapter = subject.adapter()
        found = {dataset.name: dataset for dataset in await adapter.discover()}[subject.dataset]
        encode, decode = encoder(1, found.schema), decoder(found.schema)
        units = await _life(subject)
        rows = [change.after for change in _changes(units) if change.after is not None]
        assert rows
        for row in rows:
            assert decode(encode(row)) == row

    @pytest.mark.asyncio
    async def test_09_operations_and_images_are_as_declared(self, subject: Subject) -> None:
        """Creation, update, deletion, in the order of the source; before-images hold the key."""
        can = subject.adapter().capabilities
        changes = [change for change in _changes(await _life(subject)) if change.op is not Op.READ]
        assert [change.op for change in changes] == [Op.CREATE] * ROWS + [Op.UPDATE] + [Op.DELETE] * can.deletes
        for change in changes:
            assert change.dataset == subject.dataset
            assert (change.after is None) == (change.op is Op.DELETE)
            assert change.op is not Op.CREATE or change.before is None
            if can.before_images and change.op is Op.DELETE:
                assert set(subject.key) <= {name for name, value in (change.before or {}).items() if value is not None}

    @pytest.mark.asyncio
    async def test_10_batches_tell_when_the_source_committed(self, subject: Subject) -> None:
        """Microseconds since 1970, never going back between units."""
        async with Reading(subject.adapter(), [subject.dataset], acknowledge=True) as reading:
            await _live(subject, reading)
        times = [batch.time for batch in reading.batches if batch.changes]
        assert all(time > 1_500_000_000_000_000 for time in times)
        assert times == sorted(times)

    @pytest.mark.asyncio
    async def test_11_reading_goes_on_from_any_position(self, subject: Subject) -> None:
        """After a restart the rest comes: nothing lost, nothing of an earlier unit again, the unit row for row."""
        if not subject.adapter().capabilities.resumable:
            pytest.skip("declared as not resumable")
        async with Reading(subject.adapter(), [subject.dataset]) as reading:
            await _live(subject, reading)
        batches = [batch for batch in reading.batches if batch.snapshot is not Snapshot.BEGIN]
        resumable = batches[[batch.snapshot for batch in batches].index(Snapshot.END) :]
        for number, batch in enumerate(resumable):
            position, rest = position_after(batch), _told(resumable[number + 1 :])
            if not rest:
                continue
            async with Reading(subject.adapter(), [subject.dataset], position) as again:
                await again.until(partial(_has_come, again, position, rest[-1]), what=f"the rest after {position}")
            assert _behind(again, position) == rest, f"after {position}"

    @pytest.mark.asyncio
    async def test_12_what_was_acknowledged_need_not_come_again_and_what_was_not_does(self, subject: Subject) -> None:
        """`acknowledge` may be called at any time with any position that was yielded, also twice."""
        adapter = subject.adapter()
        await adapter.acknowledge(Position("nobody knows this unit", 7, complete=True))
        async with Reading(adapter, [subject.dataset]) as reading:
            await reading.snapshot()
            await subject.insert(ROWS)
            await reading.changes(ROWS)
            await reading.until(lambda: reading.batches[-1].last)
            position = position_after(reading.batches[-1])
            await adapter.acknowledge(position)
            await adapter.acknowledge(position)
            await subject.update()
            await reading.changes(ROWS + 1)
        if adapter.capabilities.resumable:
            async with Reading(subject.adapter(), [subject.dataset], position) as again:
                await again.until(lambda: bool(_behind(again, position)))
            assert [op for _, op, _ in _behind(again, position)] == [Op.UPDATE]

    @pytest.mark.asyncio
    async def test_13_closing_is_safe_at_any_time(self, subject: Subject) -> None:
        """Before reading, while reading, after it, and twice."""
        adapter = subject.adapter()
        await adapter.close()
        adapter = subject.adapter()
        async with Reading(adapter, [subject.dataset]) as reading:
            await reading.snapshot()
        await adapter.close()
        await adapter.close()

    @pytest.mark.asyncio
    async def test_14_columns_tell_what_their_rows_tell(self, subject: Subject) -> None:
        """Batches that are handed over as columns become the records that their rows become."""
        found = {dataset.name: dataset for dataset in await subject.adapter().discover()}[subject.dataset]
        units = await _life(subject)
        batches = [batch for unit in units.values() for batch in unit]
        if not any(isinstance(batch.changes, ColumnChanges) for batch in batches):
            pytest.skip("it hands over no columns")
        by_rows = [replace(batch, changes=list(batch.changes)) for batch in batches]
        assert records_of(found, subject.key, batches) == records_of(found, subject.key, by_rows)


def records_of(dataset: SourceDataset, key: tuple[str, ...], batches: Sequence[Batch]) -> list[Output]:
    """What the runtime makes of batches."""
    schema = envelope_schema("kit.dataset", dataset.schema)
    raw = RawDataset("kit.dataset", 4, key, (), "urn:kit", encoder(1, schema))
    ingest = Ingest({dataset.name: replace(raw, native=change_encoder(raw, 1, schema))}, None)
    return [output for batch in batches for output in ingest.outputs(batch)]


def _key(change: Change, key: Sequence[str]) -> tuple[Any, ...]:
    row = change.after or change.before or {}
    return tuple(row[name] for name in key)


async def _live(subject: Subject, reading: Reading) -> None:
    """A snapshot of a few rows, then a creation of several, an update, a deletion; each read before the next."""
    await reading.snapshot()
    deletes = subject.adapter().capabilities.deletes
    await subject.insert(ROWS)
    await reading.changes(ROWS)
    await subject.update()
    await reading.changes(ROWS + 1)
    if deletes:
        await subject.delete()
        await reading.changes(ROWS + 2)
    await reading.until(lambda: reading.batches[-1].last, what="the end of the last unit")


async def _life(subject: Subject) -> dict[str, list[Batch]]:
    """The batches of such a life, by unit."""
    await subject.insert(ROWS)
    async with Reading(subject.adapter(), [subject.dataset], acknowledge=True) as reading:
        await _live(subject, reading)
    units: dict[str, list[Batch]] = {}
    for batch in reading.batches:
        units.setdefault(batch.unit, []).append(batch)
    return units


def _changes(units: dict[str, list[Batch]]) -> list[Change]:
    return [change for batches in units.values() for batch in batches for change in batch.changes]


def _has_come(reading: Reading, position: Position, change: Told) -> bool:
    return change in _behind(reading, position)


def _told(batches: Iterable[Batch]) -> list[Told]:
    return [((batch.unit, change.row), change.op, change.after) for batch in batches for change in batch.changes]


def _behind(reading: Reading, position: Position) -> list[Told]:
    """What a runtime that stands at a position takes of a reading: rows of its unit up to there are dropped."""
    done = float("inf") if position.complete else position.row
    return [told for told in _told(reading.batches) if told[0][0] != position.unit or told[0][1] > done]
