"""aiokafka's side of a consumer group, with one error minded that aiokafka 0.14 passes over.

A broker that has just started still loads its groups. It then answers a request for committed offsets with no topics
and an error for the whole response (OffsetFetch from version 2 on, KIP-88). aiokafka looks at the errors of partitions
only, and takes that answer for "nothing was ever committed": a lane would be given up as having lost its place, and a
subscriber told to take a snapshot. With the error raised, aiokafka's own callers ask again.
"""

from __future__ import annotations

from typing import Any

from aiokafka.consumer import consumer as aiokafka_consumer
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.errors import GroupCoordinatorNotAvailableError, NotCoordinatorForGroupError, for_code
from aiokafka.protocol.commit import OffsetFetchRequest


class MindfulCoordinator(GroupCoordinator):
    """Raises what a whole OffsetFetch response says, if asking again may help."""

    async def _send_req(self, request: Any) -> Any:
        response = await super()._send_req(request)
        if isinstance(request, OffsetFetchRequest) and (code := getattr(response, "error_code", 0)):
            error = for_code(code)
            if error in (GroupCoordinatorNotAvailableError, NotCoordinatorForGroupError):
                self.coordinator_dead()
            if error.retriable:
                raise error
        return response


def install() -> None:
    """Let every consumer of this process have one. No argument of a consumer says what it takes."""
    aiokafka_consumer.GroupCoordinator = MindfulCoordinator
