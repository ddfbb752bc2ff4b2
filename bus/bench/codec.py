"""The codec alone: changes to records ready to be sent, in this process, without a broker."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from bus.bench.events import changes, headers
from bus.catalogue.codelist import CodeList
from bus.catalogue.dataset import Dataset
from bus.catalogue.entity import Entity
from bus.catalogue.mapping import Mapping
from bus.errors import BusError
from bus.kafka.native import Records
from bus.pipeline.codec import Decoders, encoder
from bus.pipeline.envelope import envelope_schema
from bus.pipeline.mapping.compiled import compile_mapping
from bus.pipeline.native.program import compile_mapping_program
from bus.pipeline.normalise import DatasetNormaliser, EntityOutput
from bus.pipeline.record import one_by_one

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bus.bench.flows import Flow
    from bus.catalogue.workspace import Workspace
    from bus.wire import Headers

SLICE: Final = 1_000
"""Records of a call, as a lane makes it."""

PARTITIONS: Final = 16
RAW_ID: Final = 1
SHARED_ID: Final = 2
NOW: Final = 1_767_225_600.0


class Change(NamedTuple):
    """A record of a raw topic, as a consumer hands it over."""

    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes
    headers: Headers


@dataclass(frozen=True, slots=True)
class Codec:
    """One run of a mapping over changes of which none is rejected, by both interpreters.

    Attributes:
        name: of the scenario.
        records: how many.
        compiled, reference: CPU microseconds a record. The compiled code begins with the bytes of batches, the
            reference with records that are unpacked already.
    """

    name: str
    records: int
    compiled: float
    reference: float

    @property
    def ratio(self) -> float:
        """How many records the compiled code is through with while the reference is with one."""
        return self.reference / self.compiled


def codec(flow: Flow, workspace: Workspace, records: int) -> Codec:
    """A flow's mapping over so many of its changes.

    Args:
        flow: whose dataset, entity and mapping are in the workspace.
        workspace: valid.
        records: at least one.

    Raises:
        BusError: the two differ, or something was rejected.
    """
    schema = envelope_schema(flow.dataset, flow.row)
    decoders = Decoders()
    decoders.add(RAW_ID, schema)
    normaliser = DatasetNormaliser(flow.dataset, _output(flow, workspace), decoders)
    made = list(_changes(flow, schema, records))
    unpacked = [made[place : place + SLICE] for place in range(0, records, SLICE)]
    packed = [Records.of(some[0].topic, some[0].partition, some) for some in unpacked]
    _compare(normaliser, packed[0], unpacked[0])
    name = flow.title.replace("normalise", "codec")
    compiled, reference = (_seconds(normaliser, each) * 1e6 / records for each in (packed, unpacked))
    return Codec(name, records, compiled, reference)


def _changes(flow: Flow, schema: dict[str, Any], records: int) -> Iterator[Change]:
    encode = encoder(RAW_ID, schema)
    for number, (key, event) in enumerate(changes(records, flow.row, rejects=0.0)):
        yield Change("raw", 0, number, key, encode(event), headers(number, flow.dataset, NOW))


def _output(flow: Flow, workspace: Workspace) -> EntityOutput:
    (mapping,) = (each for each in workspace.all(Mapping) if each.spec.dataset == flow.dataset)
    entity, dataset = workspace.named(Entity)[mapping.spec.entity], workspace.named(Dataset)[flow.dataset]
    parts = (mapping, entity, dataset, workspace.named(CodeList))
    return EntityOutput(
        flow.shared,
        PARTITIONS,
        b"bench",
        mapping.spec.revision,
        tuple(dataset.spec.key),
        partial(compile_mapping, *parts),
        encoder(SHARED_ID, entity.spec.avro),
        partial(compile_mapping_program, *parts, SHARED_ID),
    )


def _compare(normaliser: DatasetNormaliser, packed: Sequence[Any], unpacked: Sequence[Any]) -> None:
    """See that both make the same of some records; the mapping is compiled by that."""
    normaliser.normalised(unpacked[:1])
    (by_compiled, rejected), (by_reference, _) = normaliser.normalised(packed), normaliser.normalised(unpacked)
    if rejected or Counter(map(repr, one_by_one(by_compiled))) != Counter(map(repr, one_by_one(by_reference))):
        raise BusError("the compiled code and the reference differ")


def _seconds(normaliser: DatasetNormaliser, slices: Sequence[Sequence[Any]]) -> float:
    """CPU time of this process for all of them, after a first time, in which what repeats is remembered."""
    for _ in range(2):
        began = time.process_time()
        for some in slices:
            normaliser.normalised(some)
        took = time.process_time() - began
    return took
