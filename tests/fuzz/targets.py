"""What is fuzzed: the compiled code is given arbitrary bytes, and held against its reference."""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final

from bus.bench import events
from bus.catalogue.codelist import CodeList
from bus.catalogue.dataset import Dataset
from bus.catalogue.entity import Entity
from bus.catalogue.mapping import Mapping
from bus.kafka.decompression import DecompressionError
from bus.kafka.native import DamagedBatchError
from bus.pipeline.codec import Decoders, UnknownSchemaError, encoder
from bus.pipeline.envelope import envelope_schema
from bus.pipeline.mapping.compiled import compile_mapping
from bus.pipeline.native.program import compile_mapping_program
from bus.pipeline.normalise import DatasetNormaliser, EntityOutput
from bus.pipeline.record import one_by_one
from bus.testing.workspaces import population_resources
from tests.property.kafka.batches import HEAD, Batch, read, read_plainly, sealed, told
from tests.property.pipeline.native_values import blob

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WRITER, SHARED_ID = 1, 9
_BATCH: Final = Batch([(b"k", b"v", [])], [0]).packed()


def batch(content: bytes) -> None:
    """The bytes are a batch, from its attributes on; what stands before, checksum included, is right."""
    made = sealed(_BATCH[:21] + content.ljust(HEAD - 21, b"\0"))
    try:
        records = told(read(made))
    except (DamagedBatchError, DecompressionError):
        records = None
    if made[22] & 7 == 0:
        try:
            expected = read_plainly(made)
        except ValueError:
            expected = None
        assert records == expected


def take(content: bytes) -> None:
    """The bytes are a raw record for the demo's mapping of people: key, value and headers."""
    key_size, value_size = content[:1], content[1:3]
    place = 3 + int.from_bytes(key_size, "big")
    key, value = content[3:place], content[place : place + int.from_bytes(value_size, "big")]
    record = blob(b"\0\0\0" + blob(key) + blob(value) + content[place + len(value) :])
    try:
        records = read(sealed(_BATCH[:HEAD] + record))
    except DamagedBatchError:
        return
    assert _made(records) == _made(list(records))


def _made(records: Any) -> Any:
    try:
        made, rejects = _person()[0].normalised(records)
    except UnknownSchemaError as error:
        return error.schema_id
    return list(one_by_one(made)), rejects


@cache
def _person() -> tuple[DatasetNormaliser, Callable[[Any], bytes]]:
    """The demo's mapping of people, and what encodes the changes that it takes."""
    workspace, codelists = population_resources(), population_resources().named(CodeList)
    (entity,), (mapping,), (dataset,) = workspace.all(Entity), workspace.all(Mapping), workspace.all(Dataset)
    schema = envelope_schema(dataset.name, events.DEMO_ROW)
    decoders = Decoders()
    decoders.add(WRITER, schema)
    output = EntityOutput(
        topic=f"shared.{entity.name}",
        partitions=4,
        event_type=entity.name.encode(),
        revision=1,
        key=tuple(dataset.spec.key),
        compile=partial(compile_mapping, mapping, entity, dataset, codelists),
        encode=encoder(SHARED_ID, entity.spec.avro),
        program=partial(compile_mapping_program, mapping, entity, dataset, codelists, SHARED_ID),
    )
    return DatasetNormaliser(dataset.name, output, decoders), encoder(WRITER, schema)


def people(count: int) -> Iterator[bytes]:
    """Inputs of `take` that are in order, to begin with."""
    encode = _person()[1]
    for number, (key, event) in enumerate(events.changes(count, events.DEMO_ROW, rejects=0.2)):
        value, headers = encode(event), events.headers(number, "d.s", 0)
        ends = b"".join(blob(name.encode()) + blob(body) for name, body in headers)
        yield bytes([len(key)]) + len(value).to_bytes(2, "big") + key + value + bytes([2 * len(headers)]) + ends


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {"batch": batch, "take": take}
