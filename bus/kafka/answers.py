"""aiokafka's connection to a broker, which does not keep what it has read.

aiokafka 0.14 holds the bytes of an answer, beside what it made of them, until the next answer begins: for a fetch that
is megabytes, at each connection, for as long as its records are worked on. A worker with many lanes has many of them.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Any, Final

import aiokafka
from aiokafka import conn

from bus.kafka.record_batches import KNOWN_AIOKAFKA

if TYPE_CHECKING:
    from collections.abc import Callable

_SIZE: Final = Struct(">i")


class ForgetfulConnection(conn.AIOKafkaConnection):
    """Lets go of an answer once it is decoded."""

    @staticmethod
    async def _read(self_ref: Callable[[], Any]) -> None:
        """Read answers until the connection is closed, or nobody has it any more (it is held weakly)."""
        if (owner := self_ref()) is None:
            return
        reader = owner._reader  # noqa: SLF001  our own
        del owner
        while True:
            (size,) = _SIZE.unpack(await reader.readexactly(_SIZE.size))
            answer = await reader.readexactly(size)
            if (owner := self_ref()) is None:
                return
            owner._handle_frame(answer)  # noqa: SLF001  our own
            del owner, answer


def install() -> None:
    """Let every client of this process have such connections, if aiokafka is the one that is known."""
    if aiokafka.__version__.startswith(KNOWN_AIOKAFKA):
        conn.AIOKafkaConnection = ForgetfulConnection
