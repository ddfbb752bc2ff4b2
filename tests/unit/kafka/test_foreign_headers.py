"""Records with a header whose name is no UTF-8: aiokafka fails at them for good, the bus's consumers read on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from aiokafka.consumer import fetcher
from aiokafka.structs import TopicPartition

from bus.kafka import record_batches
from tests.property.kafka.batches import CODECS, Batch, rewritten, sealed

if TYPE_CHECKING:
    from tests.property.kafka.batches import Content

pytestmark = pytest.mark.skipif(not record_batches.IS_USABLE, reason="aiokafka is another one, or nothing is compiled")

HEAD = 61


def batch(base: int, *names: str, codec: int = 0) -> bytes:
    """Records with a header of these names each; `bad` is made no UTF-8."""
    contents: list[Content] = [(b"k", b"v", [(name, b"x")]) for name in names]
    plain = Batch(contents, range(len(names)), base).packed()
    return rewritten(sealed(plain), plain[HEAD:].replace(b"bad", b"\xff\xfe\xfd"), codec=codec)


def read(content: bytes, first: int = 0) -> list[tuple[int, str]]:
    """Offset and header's name of each record that a consumer hands out."""
    fetched = fetcher.MemoryRecords(content)
    place = TopicPartition("t", 3)
    records = fetcher.PartitionRecords(place, fetched, [], first, None, None, True, fetcher.READ_COMMITTED)
    found = [(each.offset, each.headers[0][0]) for each in records if (each.key, each.value) == (b"k", b"v")]
    assert records.next_fetch_offset == found[-1][0] + 1
    return found


@pytest.mark.parametrize("codec", CODECS)
def test_what_is_no_utf8_is_replaced_and_nothing_is_left_out_or_read_twice(codec: int) -> None:
    content = batch(0, "b", "bad", "c", "bad", codec=codec) + batch(4, "bad") + batch(5, "d")
    whole = [(0, "b"), (1, "\ufffd" * 3), (2, "c"), (3, "\ufffd" * 3), (4, "\ufffd" * 3), (5, "d")]

    for first in range(4):  # all of them in the first batch, as a broker sends it
        assert read(content, first) == whole[first:]
