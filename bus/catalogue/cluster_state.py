"""What a cluster has now, as planning looks at it: plain values, so that planning needs no I/O."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bus.kafka.admin import TopicState
    from bus.kafka.principals import Acl


@dataclass(frozen=True, slots=True)
class SubjectState:
    """A subject of the registry.

    Attributes:
        schemas: its live versions in order, each as JSON values.
        compatibility: its own level; None if it takes the registry's.
    """

    schemas: tuple[Any, ...] = ()
    compatibility: str | None = None


@dataclass(frozen=True, slots=True)
class ClusterState:
    """A cluster and its registry.

    Attributes:
        topics: by name.
        subjects: by name.
        records: of `_bus.catalogue`, key → value.
        committed: (group, topic, partition) that have a committed offset.
        authorizer: the cluster checks ACLs, so that a conditional share can be held.
        acls: what principals may do there.
        users: its SCRAM users; None on a cluster that keeps none.
        logins: principals whose login the data folder holds.
        login: the name that the bus itself has there.
        today: the date where the bus runs.
    """

    topics: Mapping[str, TopicState] = field(default_factory=dict)
    subjects: Mapping[str, SubjectState] = field(default_factory=dict)
    records: Mapping[str, bytes] = field(default_factory=dict)
    committed: frozenset[tuple[str, str, int]] = frozenset()
    authorizer: bool = False
    acls: frozenset[Acl] = frozenset()
    users: frozenset[str] | None = None
    logins: frozenset[str] = frozenset()
    login: str = ""
    today: dt.date = dt.date.min
