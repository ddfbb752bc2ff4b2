"""aiokafka's client of a producer, which asks for the metadata of the topics that it writes to, and of no others.

aiokafka 0.14 takes "no topics yet" for "all topics": a producer that has written nothing asks, whenever its metadata
are of age, for every partition of the cluster, and keeps what it is told. A worker has a producer for each stage of
each lane. Of 2,100 partitions each cost 3 MB; a province has fifteen times as many.
"""

from __future__ import annotations

from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.producer import producer as aiokafka_producer

from bus.kafka.record_batches import IS_KNOWN_AIOKAFKA


class _NoTopics(frozenset[str]):
    """No topics; true, because aiokafka asks for all of them where it finds this false."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return True


class ModestClient(AIOKafkaClient):
    """Asks for no topics, but for the brokers, as long as it knows none."""

    async def _metadata_update(self, cluster_metadata: Any, topics: Any) -> Any:
        return await super()._metadata_update(cluster_metadata, topics or _NoTopics())


def install() -> None:
    """Let every producer of this process have one, if aiokafka is the one that is known.

    A consumer keeps aiokafka's own: one that subscribes to a pattern has no topics, and means all.
    """
    if IS_KNOWN_AIOKAFKA:
        aiokafka_producer.AIOKafkaClient = ModestClient
