"""A record's value for people, whatever it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from bus.pipeline.codec import Decoders
from bus.pipeline.decoded import MOST_SHOWN, decoded

if TYPE_CHECKING:
    from bus.kafka.registry_client import SchemaRegistry

NO_REGISTRY = cast("SchemaRegistry", None)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, None),
        ("12,王伟".encode(), "12,王伟"),
        ("店".encode("gb18030"), "(2 bytes that are neither Avro nor UTF-8) \\xb5\\xea"),
    ],
)
async def test_a_value_that_is_not_avro_is_shown_as_it_stands(value: bytes | None, told: str | None) -> None:
    assert await decoded(value, Decoders(), NO_REGISTRY) == told


async def test_of_a_long_one_its_beginning_is_shown() -> None:
    told = await decoded(b"\xff" * 1_000_000, Decoders(), NO_REGISTRY)
    assert len(told) < 5 * MOST_SHOWN
