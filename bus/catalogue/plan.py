"""What would have to change on a cluster so that it is what a workspace says. Pure: no I/O.

An unchanged workspace yields no actions. The order of the actions is the order to do them in: rights and logins to take
away, so that a withdrawn subscription ends at once; topics, starting offsets, schemas, catalogue; logins and rights to
give; then the topics of views that nobody subscribes to any more, and last the records of these views; so that a plan
cut short anywhere is mended by planning and applying again, and is never more open than before or after.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from bus.catalogue.actions import DeleteRecord
from bus.catalogue.by_reference import mappings_by_reference, views_by_reference
from bus.catalogue.plan_acls import plan_acls
from bus.catalogue.plan_catalogue import plan_catalogue
from bus.catalogue.plan_schemas import plan_schemas
from bus.catalogue.plan_sources import plan_sources
from bus.catalogue.plan_topics import deleted_topics, plan_topics
from bus.catalogue.wanted import Wanted
from bus.errors import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bus.catalogue.actions import Action
    from bus.catalogue.by_reference import ByReference
    from bus.catalogue.cluster_state import ClusterState
    from bus.catalogue.workspace import Workspace
    from bus.config import Settings

PARTITION_BUDGET: Final = 30_000
"""What one node bears before Linux's default `max_map_count` ends it (design §1)."""

KAFKAS_OWN: Final = "__"
"""What the names of Kafka's own topics begin with."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the cluster is set up for.

    Attributes:
        lanes: partitions of `_bus.lanes`; fixed for the life of a cluster.
        partitions: the most that it may hold.
        bus_id: the bus's name, in the adapters' transactional ids.
    """

    lanes: int = 16
    partitions: int = PARTITION_BUDGET
    bus_id: str = "shuniu"

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        """Those of a process's settings."""
        return cls(lanes=settings.lanes, bus_id=settings.bus_id)


@dataclass(frozen=True, slots=True)
class Plan:
    """What `apply` would do, or why it would not.

    Attributes:
        workspace: the name that stands as `managedBy`.
        actions: in the order to do them.
        findings: refusals (errors) and warnings.
        partitions_before: of the whole cluster, without Kafka's own topics, which it makes as it needs them.
        partitions_after: likewise.
        by_reference: what of the workspace the compiled code leaves to the reference: it only costs speed.
    """

    workspace: str
    actions: tuple[Action, ...] = ()
    findings: tuple[Finding, ...] = field(default=())
    partitions_before: int = 0
    partitions_after: int = 0
    by_reference: tuple[ByReference, ...] = ()

    @property
    def refusals(self) -> tuple[Finding, ...]:
        """The findings that forbid to apply it."""
        return tuple(finding for finding in self.findings if finding.severity is Severity.ERROR)

    def json(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "workspace": self.workspace,
            "actions": [action.json() for action in self.actions],
            "findings": [
                {"severity": f.severity, "where": f.where, "message": f.message, "fix": f.fix} for f in self.findings
            ],
            "partitions": {"before": self.partitions_before, "after": self.partitions_after},
            "by_reference": [each.json() for each in self.by_reference],
        }


def plan(workspace: Workspace, state: ClusterState, limits: Limits | None = None) -> Plan:
    """The plan for a workspace that has no errors.

    Args:
        workspace: from `Workspace.load`.
        state: what the cluster has now.
        limits: what the cluster is set up for.

    Raises:
        BadCatalogueRecordError: the catalogue holds a record that this version cannot read.
    """
    limits = limits or Limits()
    wanted = Wanted.of(workspace, state)
    topics, topic_findings, added = plan_topics(wanted, state, limits.lanes)
    schemas, schema_findings = plan_schemas(wanted, state)
    records, record_findings = plan_catalogue(wanted, state)
    taken, given, access_findings = plan_acls(wanted, state, limits.bus_id)
    deleted = deleted_topics(wanted, state)
    last = {topic.view for topic in deleted}
    added -= sum(topic.partitions for topic in deleted)
    before = sum(topic.partitions for name, topic in state.topics.items() if not name.startswith(KAFKAS_OWN))
    findings = [*workspace.findings, *topic_findings, *schema_findings, *record_findings, *access_findings]
    findings += plan_sources(workspace, state.subjects)
    findings += _budget(before + added, limits.partitions)
    with_topic = [record for record in records if isinstance(record, DeleteRecord) and record.key in last]
    records = [record for record in records if record not in with_topic]
    actions = (*taken, *topics, *schemas, *records, *given, *deleted, *with_topic)
    slower = (*mappings_by_reference(workspace, state.subjects), *views_by_reference(workspace))
    return Plan(workspace.name, actions, tuple(findings), before, before + added, slower)


def _budget(partitions: int, limit: int) -> Iterable[Finding]:
    if partitions > limit:
        yield Finding(
            f"the cluster would have {partitions} partitions; its budget is {limit}",
            fix="give datasets fewer partitions, withdraw subscriptions that nobody reads, or use a larger cluster",
        )
