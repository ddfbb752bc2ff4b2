"""Requests and answers are the same bytes, and the same values, as aiokafka's own code makes of them."""

from __future__ import annotations

import importlib
import inspect
from io import BytesIO
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka.protocol import (
    admin,
    api,
    commit,
    coordination,
    fetch,
    group,
    metadata,
    offset,
    produce,
    transaction,
    types,
)
from aiokafka.protocol.struct import Struct

from bus.kafka import protocol

if TYPE_CHECKING:
    from collections.abc import Callable

MODULES = (admin, api, commit, coordination, fetch, group, metadata, offset, produce, transaction)
CLASSES = {kind for module in MODULES for _, kind in inspect.getmembers(module, inspect.isclass)}
DESCRIBED = sorted(
    {kind for kind in CLASSES if issubclass(kind, Struct) and not inspect.isabstract(kind)},
    key=lambda kind: kind.__name__,
)
ANSWERS = (fetch.FetchResponse_v4, produce.ProduceResponse_v8, transaction.AddPartitionsToTxnResponse_v0)


def some(kind: Any, chance: Random) -> Any:
    """A value of a type of the protocol."""
    if isinstance(kind, types.Schema):
        return tuple(some(each, chance) for each in kind.fields)
    if isinstance(kind, types.Array):
        return None if chance.random() < 0.1 else [some(kind.array_of, chance) for _ in range(chance.randrange(4))]
    if isinstance(kind, types.String):
        return chance.choice((None, "", "raw.gongan.population", "\u57ce\u5e02"))
    if kind in BITS:
        bits = BITS[kind]
        return chance.choice((0, 1, 2**bits - 1, chance.randrange(2**bits))) - SIGNED.get(kind, 0)
    return VALUES[kind](chance)


BITS = {
    types.Int8: 8,
    types.Int16: 16,
    types.Int32: 32,
    types.UInt32: 32,
    types.Int64: 64,
    types.UnsignedVarInt32: 28,
    types.VarInt32: 28,
    types.VarInt64: 56,
}
SIGNED = {kind: 2 ** (bits - 1) for kind, bits in BITS.items() if kind not in (types.UInt32, types.UnsignedVarInt32)}
VALUES: dict[Any, Callable[[Random], Any]] = {
    types.Boolean: lambda chance: chance.random() < 0.5,
    types.Float64: Random.random,
    types.Bytes: lambda chance: chance.choice((None, b"", chance.randbytes(200))),
    types.CompactBytes: lambda chance: chance.choice((None, b"", chance.randbytes(200))),
    types.TaggedFields: lambda _: {},  # of others aiokafka does not write what it reads
}


def described(kind: type[Struct], chance: Random) -> Struct:
    made = object.__new__(kind)
    made.__dict__.update(zip(kind.SCHEMA.names, some(kind.SCHEMA, chance), strict=True))
    return made


def written(one: Struct) -> bytes:
    """By aiokafka."""
    return bytes(one.SCHEMA.encode([one.__dict__[name] for name in one.SCHEMA.names]))


@pytest.mark.parametrize("kind", DESCRIBED, ids=lambda kind: kind.__name__)
def test_what_is_written_and_read_is_what_aiokafka_writes_and_reads(kind: type[Struct]) -> None:
    chance = Random(kind.__name__)
    for _ in range(100):
        one = described(kind, chance)
        assert protocol.encoded(one) == written(one)

        content = BytesIO(b"before" + written(one) + b"behind")
        content.seek(len(b"before"))
        values = [field.decode(content) for field in kind.SCHEMA.fields]
        end = content.tell()
        content.seek(len(b"before"))
        assert protocol.values(kind.SCHEMA, content) == tuple(values)
        assert content.tell() == end


def test_a_request_goes_behind_its_header_and_the_size_of_both() -> None:
    chance = Random("framed")
    for kind in (produce.ProduceRequest_v7, fetch.FetchRequest_v11, metadata.MetadataRequest_v5):
        one = described(kind, chance)
        header = one.build_request_header(7, "bus")
        assert protocol.framed(header, one) == types.Bytes.encode(written(header) + written(one))


@pytest.mark.parametrize("kind", ANSWERS, ids=lambda kind: kind.__name__)
def test_an_answer_that_is_cut_off_is_told(kind: type[Struct]) -> None:
    whole = max((written(described(kind, Random(seed))) for seed in range(5)), key=len)

    for cut in range(len(whole)):
        with pytest.raises(ValueError, match=r"requires|announced"):
            protocol.decoded(kind, whole[:cut])


@pytest.mark.parametrize(
    ("topics", "told"),
    [
        ([("view", [(2**31, b"")])], "format requires"),
        ([("view", [(0, b"", b"")])], "3 values for 2 fields"),
        ([("view", [("0", b"")])], "required argument is not an integer"),
    ],
)
def test_a_value_that_does_not_fit_its_field_is_told(topics: Any, told: str) -> None:
    request = produce.ProduceRequest_v8("id", -1, 1_000, topics)

    with pytest.raises(ValueError, match=told):
        protocol.encoded(request)


def test_every_client_of_this_process_writes_and_reads_so() -> None:
    importlib.import_module("bus.kafka.clients")

    assert Struct.encode is protocol.encoded
    assert Struct.decode.__func__ is protocol.decoded
