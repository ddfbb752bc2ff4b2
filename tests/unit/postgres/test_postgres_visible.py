"""Whether a snapshot shows what a transaction did, its id being known in 32 bits only."""

from __future__ import annotations

import pytest

from adapters.postgres.stream import sees


@pytest.mark.parametrize(
    ("snapshot", "xid", "seen"),
    [
        ("700:700:", 699, True),
        ("700:700:", 700, False),
        ("700:705:700,703", 702, True),
        ("700:705:700,703", 703, False),
        (f"{2**32 + 5}:{2**32 + 5}:", 2**32 - 3, True),  # before the ids' lower 32 bits began anew
        (f"{2**32 - 3}:{2**32 - 3}:", 5, False),  # and behind that
        (f"{2**32 + 4}:{2**32 + 9}:{2**32 + 4},{2**32 + 6}", 6, False),
        (f"{2**32 + 4}:{2**32 + 9}:{2**32 + 4},{2**32 + 6}", 5, True),
    ],
)
def test_a_transaction_is_seen_once_it_is_neither_to_come_nor_in_progress(snapshot: str, xid: int, seen: bool) -> None:
    assert sees(snapshot, xid) is seen
