"""What `plan` says for a workspace and a cluster; the cluster here is a value."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from bus.catalogue.actions import (
    AlterTopic,
    CreateTopic,
    DeleteRecord,
    DeleteTopic,
    PutRecord,
    RegisterSchema,
    RenewTopic,
    SetCompatibility,
    SetOffsets,
)
from bus.catalogue.cluster_state import ClusterState, SubjectState
from bus.catalogue.plan import Limits, Plan, plan
from bus.catalogue.plan_text import plan_lines, totals
from bus.catalogue.record import CatalogueRecord
from bus.kafka.admin import TopicState
from bus.testing.workspaces import population_resources

if TYPE_CHECKING:
    from tests.unit.catalogue.conftest import Folder

DATASET = "gongan/population.yaml"
PORTAL = "portal/portal.yaml"
AVSC = "population/person.avsc"


def after(made: Plan, before: ClusterState) -> ClusterState:
    """The cluster when a plan was done."""
    topics, subjects = dict(before.topics), dict(before.subjects)
    records, committed = dict(before.records), set(before.committed)
    for action in made.actions:
        match action:
            case CreateTopic(topic) | RenewTopic(topic):
                topics[topic.name] = TopicState(topic.partitions, topic.config)
            case AlterTopic(name, _, config):
                topics[name] = TopicState(topics[name].partitions, {**topics[name].config, **config})
            case DeleteTopic(name, _, _):
                del topics[name]
            case SetOffsets(group, name, partitions):
                committed |= {(group, name, partition) for partition in partitions}
            case SetCompatibility(subject, _, level):
                subjects[subject] = replace(subjects.get(subject, SubjectState()), compatibility=level)
            case RegisterSchema(subject, schema, _):
                known = subjects.get(subject, SubjectState())
                subjects[subject] = replace(known, schemas=(*known.schemas, schema))
            case PutRecord(key, record, _):
                records[key] = record.encode()
            case DeleteRecord(key, _):
                del records[key]
    return ClusterState(topics, subjects, records, frozenset(committed), before.authorizer)


@pytest.fixture
def applied(folder: Folder) -> ClusterState:
    """A cluster where the default workspace is applied."""
    empty = ClusterState()
    return after(plan(folder.load(), empty), empty)


def refusal(made: Plan) -> str:
    [finding] = made.refusals
    return str(finding)


def test_an_empty_cluster_gets_topics_then_offsets_then_schemas_then_the_catalogue() -> None:
    made = plan(population_resources(), ClusterState())
    order = {CreateTopic: 0, SetOffsets: 1, SetCompatibility: 2, RegisterSchema: 2, PutRecord: 3}
    places = [order[type(action)] for action in made.actions]
    assert places == sorted(places)
    assert set(places) == {0, 1, 2, 3}
    assert made.partitions_after == 16 + 16 + 8 + 8 + 4 + 4 + 5


def test_kafkas_own_topics_are_none_of_the_bus(folder: Folder, applied: ClusterState) -> None:
    topics = {**applied.topics, "__consumer_offsets": TopicState(50, {}), "another.of.the.cluster": TopicState(7, {})}
    made = plan(folder.load(), replace(applied, topics=topics))
    own = sum(topic.partitions for topic in applied.topics.values())
    assert made.partitions_before == made.partitions_after == own + 7


def test_topics_and_their_settings_are_those_of_the_design() -> None:
    made = plan(population_resources(), ClusterState())
    topics = {action.topic.name: action.topic for action in made.actions if isinstance(action, CreateTopic)}
    days = 86_400_000
    assert {name: topic.partitions for name, topic in topics.items()} == {
        "_bus.catalogue": 1,
        "_bus.lanes": 16,
        "_bus.commands": 1,
        "_bus.health": 1,
        "_bus.members.population.person": 8,
        "_bus.positions.gongan": 1,
        "_bus.rejects.gongan": 16,
        "raw.gongan.population": 4,
        "dlq.gongan.population": 1,
        "shared.population.person": 8,
        "view.portal-person.v1": 4,
    }
    assert topics["raw.gongan.population"].config == {"cleanup.policy": "delete", "retention.ms": str(7 * days)}
    assert topics["dlq.gongan.population"].config == {"cleanup.policy": "delete", "retention.ms": str(90 * days)}
    compacted = {"cleanup.policy": "compact", "delete.retention.ms": str(30 * days)}
    assert topics["shared.population.person"].config == compacted
    assert topics["view.portal-person.v1"].config == compacted


def test_subjects_have_their_levels_and_raw_has_no_schema_yet() -> None:
    made = plan(population_resources(), ClusterState())
    levels = {action.subject: action.level for action in made.actions if isinstance(action, SetCompatibility)}
    assert levels == {
        "raw.gongan.population-value": "NONE",
        "shared.population.person-value": "FULL_TRANSITIVE",
        "view.portal-person.v1-value": "FULL_TRANSITIVE",
    }
    schemas = {action.subject for action in made.actions if isinstance(action, RegisterSchema)}
    assert schemas == {"shared.population.person-value", "view.portal-person.v1-value"}


def test_a_second_plan_is_empty_and_says_so(folder: Folder, applied: ClusterState) -> None:
    again = plan(folder.load(), applied)
    assert again.actions == ()
    assert list(plan_lines(again)) == []
    assert totals(again).startswith("No changes: the cluster is what the workspace says.")


def test_a_plan_cut_short_anywhere_is_mended_by_planning_again(folder: Folder, applied: ClusterState) -> None:
    whole = plan(folder.load(), ClusterState())
    for done in range(len(whole.actions)):
        halfway = after(replace(whole, actions=whole.actions[:done]), ClusterState())
        rest = plan(folder.load(), halfway)
        assert rest.refusals == ()
        assert after(rest, halfway) == applied


def test_a_changed_setting_alters_the_topic_and_the_record(folder: Folder, applied: ClusterState) -> None:
    folder.replace(DATASET, "retention: 7d", "retention: 14d")
    made = plan(folder.load(), applied)
    assert [str(action) for action in made.actions] == [
        "topic raw.gongan.population: retention.ms: 604800000 → 1209600000",
        "catalogue Dataset/gongan.population: generation 2",
    ]
    assert totals(made).startswith("0 new, 2 changed, 0 removed")


def test_a_setting_changed_on_the_cluster_is_set_back(folder: Folder, applied: ClusterState) -> None:
    topics = {**applied.topics, "dlq.gongan.population": TopicState(1, {})}
    [action] = plan(folder.load(), replace(applied, topics=topics)).actions
    assert isinstance(action, AlterTopic)
    assert action.before == {"cleanup.policy": None, "retention.ms": None}


def test_a_changed_number_of_partitions_is_refused(folder: Folder, applied: ClusterState) -> None:
    folder.replace(DATASET, "partitions: 4", "partitions: 8")
    text = refusal(plan(folder.load(), applied))
    assert text.startswith(
        f"{folder.line(DATASET, 'partitions: 8')}: error: topic raw.gongan.population has 4 partitions"
    )


def test_another_number_of_lanes_is_refused(folder: Folder, applied: ClusterState) -> None:
    lanes, rejects = map(str, plan(folder.load(), applied, Limits(lanes=32)).refusals)
    assert lanes.startswith("BUS_LANES: error: topic _bus.lanes has 16 partitions, 32 are asked for")
    assert "topic _bus.rejects.gongan has 16 partitions, 32 are asked for" in rejects


def test_more_partitions_than_the_cluster_bears_are_refused(folder: Folder) -> None:
    made = plan(folder.load(), ClusterState(), Limits(partitions=60))
    assert "the cluster would have 61 partitions; its budget is 60" in refusal(made)
    assert plan(folder.load(), ClusterState(), Limits(partitions=61)).refusals == ()


def test_a_new_optional_field_is_the_next_version(folder: Folder, applied: ClusterState) -> None:
    folder.replace(
        AVSC,
        '    {"name": "remark"',
        '    {"name": "email", "type": ["null", "string"], "default": null},\n    {"name": "remark"',
    )
    folder.replace("population/person.yaml", "    remark:", "    email: {grade: 3, authority: gongan}\n    remark:")
    made = plan(folder.load(), applied)
    [schema] = [action for action in made.actions if isinstance(action, RegisterSchema)]
    assert (schema.subject, schema.version, made.refusals) == ("shared.population.person-value", 2, ())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"remark", "type": ["null", "string"], "default": null', '"remark", "type": "string"'),
        ('"remark", "type": ["null", "string"]', '"remark", "type": ["null", "long"]'),
    ],
)
def test_an_incompatible_schema_change_is_refused(folder: Folder, applied: ClusterState, old: str, new: str) -> None:
    folder.replace(AVSC, old, new)
    made = plan(folder.load(), applied)
    assert made.refusals
    text = str(made.refusals[0])
    assert text.startswith(
        f"{folder.line('population/person.yaml', 'schema:')}: error: schema of shared.population.person"
    )
    assert "a new entity with a new topic (person_v2)" in text


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    phone: phone", "    phone: all"),
        ("    - ethnicity\n", ""),
        ("  masks:", '  filter: {field: division_code, prefix: "320508"}\n  masks:'),
    ],
)
def test_a_changed_view_under_its_old_revision_is_refused(
    folder: Folder, applied: ClusterState, old: str, new: str
) -> None:
    folder.replace(PORTAL, old, new)
    texts = [str(finding) for finding in plan(folder.load(), applied).refusals]
    where = folder.line(PORTAL, "revision: 1")
    assert any(f"{where}: error: the content of View/portal-person/1 changed" in text for text in texts)
    assert any("a revision is immutable: make revision 2" in text for text in texts)


def test_a_views_title_may_change_under_its_revision(folder: Folder, applied: ClusterState) -> None:
    folder.replace(PORTAL, "title: 一网通办 · 人员", "title: 一网通办人员")
    assert plan(folder.load(), applied).refusals == ()


def second_revision(folder: Folder, *, keep_the_first: bool) -> None:
    """The portal's view with another mask, and a subscription to that; beside the first one, or in its place."""
    text = (folder.path / PORTAL).read_text("utf-8")
    changed = text.replace("revision: 1", "revision: 2").replace("phone: phone", "phone: all")
    if not keep_the_first:
        folder.add(PORTAL, changed)
        return
    view, _, subscription = changed.split("---\n")
    beside = subscription.replace("name: portal-person, title", "name: portal-person-2, title")
    folder.add("portal/second.yaml", f"{view}---\n{beside}")


def test_a_new_revision_of_a_view_gets_its_topic_beside_the_old_one(folder: Folder, applied: ClusterState) -> None:
    second_revision(folder, keep_the_first=True)
    lines = [f"{action.sign} {action}" for action in plan(folder.load(), applied).actions]
    assert lines[0].startswith("+ topic view.portal-person.v2: 4 partitions")
    assert [line for line in lines if line.startswith("-")] == []


def test_the_topic_of_a_revision_goes_with_its_last_subscription_and_then_its_record(
    folder: Folder, applied: ClusterState
) -> None:
    second_revision(folder, keep_the_first=False)
    made = plan(folder.load(), applied)
    lines = [f"{action.sign} {action}" for action in made.actions]
    assert lines[-3:] == [
        "~ catalogue Subscription/portal-person: generation 2, active",
        "- topic view.portal-person.v1: 4 partitions, nobody subscribes to it",
        "- catalogue View/portal-person/1",
    ]
    assert made.partitions_after == made.partitions_before
    done = after(made, applied)
    assert "view.portal-person.v1" not in done.topics
    assert plan(folder.load(), done).actions == ()


def test_a_removal_cut_short_anywhere_is_mended_by_planning_again(folder: Folder, applied: ClusterState) -> None:
    second_revision(folder, keep_the_first=False)
    whole = plan(folder.load(), applied)
    for done in range(len(whole.actions)):
        halfway = after(replace(whole, actions=whole.actions[:done]), applied)
        rest = plan(folder.load(), halfway)
        assert rest.refusals == ()
        assert after(rest, halfway) == after(whole, applied)


def test_the_topic_of_a_withdrawn_subscription_is_deleted_and_its_view_stays(
    folder: Folder, applied: ClusterState
) -> None:
    folder.replace(PORTAL, "  valid_until", "  withdrawn: true\n  valid_until")
    assert [str(action) for action in plan(folder.load(), applied).actions] == [
        "catalogue Subscription/portal-person: generation 2, withdrawn",
        "topic view.portal-person.v1: 4 partitions, nobody subscribes to it",
    ]


def test_a_topic_that_a_withdrawal_cut_short_has_left_is_not_filled_a_second_time(
    folder: Folder, applied: ClusterState
) -> None:
    """Workers have forgotten the view by then: they would put everything behind what is there."""
    text = (folder.path / PORTAL).read_text("utf-8")
    folder.add(PORTAL, text[: text.index("---\nkind: Subscription")])
    removed = plan(folder.load(), applied)
    cut_short = [action for action in removed.actions if not isinstance(action, DeleteTopic)]
    halfway = after(replace(removed, actions=tuple(cut_short)), applied)
    folder.add(PORTAL, text)

    made = plan(folder.load(), halfway)

    assert [action.topic.name for action in made.actions if isinstance(action, RenewTopic)] == ["view.portal-person.v1"]
    assert made.partitions_after == made.partitions_before
    assert plan(folder.load(), after(made, halfway)).actions == ()


def test_a_topic_that_another_workspaces_subscription_reads_stays(folder: Folder, applied: ClusterState) -> None:
    text = (folder.path / PORTAL).read_text("utf-8")
    folder.add(PORTAL, text[: text.index("---\nkind: Subscription")])
    theirs = in_state(applied, "Subscription/portal-person", {}, managed_by="wuxi")
    assert plan(folder.load(), theirs).actions == ()


def test_a_changed_mapping_needs_a_new_revision(folder: Folder, applied: ClusterState) -> None:
    folder.replace(DATASET, "max_length: 100", "max_length: 90")
    assert "the rules of Mapping/gongan-population/1 changed" in refusal(plan(folder.load(), applied))
    folder.replace(DATASET, "revision: 1", "revision: 2")
    keys = [str(action) for action in plan(folder.load(), applied).actions]
    assert keys == ["catalogue Mapping/gongan-population/2: generation 1", "catalogue Mapping/gongan-population/1"]


def test_other_golden_examples_need_no_new_revision(folder: Folder, applied: ClusterState) -> None:
    (folder.path / "gongan/population.golden.yaml").rename(folder.path / "gongan/other.golden.yaml")
    folder.replace(DATASET, "golden: population.golden.yaml", "golden: other.golden.yaml")
    assert plan(folder.load(), applied).refusals == ()


def test_a_mappings_revision_does_not_go_back(folder: Folder, applied: ClusterState) -> None:
    folder.replace(DATASET, "revision: 1", "revision: 2")
    newer = after(plan(folder.load(), applied), applied)
    folder.replace(DATASET, "revision: 2", "revision: 1")
    assert "make revision 3" in refusal(plan(folder.load(), newer))


def test_a_published_datasets_key_is_fixed(folder: Folder, applied: ClusterState) -> None:
    folder.replace(DATASET, "key: [sfzh]", "key: [lxdh]").replace(
        DATASET, "{from: sfzh, check: gb11643}", "{from: lxdh}"
    )
    folder.replace(DATASET, "revision: 1", "revision: 2")
    assert "the key of Dataset/gongan.population changed" in refusal(plan(folder.load(), applied))


def test_lost_offsets_of_a_stage_that_has_run_are_never_set_to_the_beginning(
    folder: Folder, applied: ClusterState
) -> None:
    lost = frozenset(entry for entry in applied.committed if entry[0] != "_bus.normalise")
    made = plan(folder.load(), replace(applied, committed=lost))
    assert "group _bus.normalise has lost its offsets of raw.gongan.population (4 partitions)" in refusal(made)
    assert made.actions == ()


def test_offsets_that_no_stage_used_may_expire_and_are_set_again(folder: Folder, applied: ClusterState) -> None:
    unused = in_state(applied, "Subscription/portal-person", {"state": "revoked"})
    expired = frozenset(entry for entry in applied.committed if entry[0] != "_bus.route")
    [action] = [a for a in plan(folder.load(), replace(unused, committed=expired)).actions if isinstance(a, SetOffsets)]
    assert action == SetOffsets("_bus.route", "shared.population.person", tuple(range(8)))


def test_a_view_that_nobody_subscribes_to_gets_no_topic(folder: Folder) -> None:
    folder.replace(PORTAL, "  valid_until", "  withdrawn: true\n  valid_until")
    made = plan(folder.load(), ClusterState())
    assert not [action for action in made.actions if "topic view." in str(action) or "view." in str(action)]
    assert any(
        str(action) == "catalogue Subscription/portal-person: generation 1, withdrawn" for action in made.actions
    )


def test_a_filtered_view_has_one_partition(folder: Folder) -> None:
    folder.replace(PORTAL, "  masks:", '  filter: {field: division_code, prefix: "320508"}\n  masks:')
    made = plan(folder.load(), ClusterState())
    topics = {action.topic.name: action.topic.partitions for action in made.actions if isinstance(action, CreateTopic)}
    assert topics["view.portal-person.v1"] == 1
    assert made.refusals == ()


def test_where_somebody_subscribes_lanes_keep_what_they_remember(folder: Folder) -> None:
    made = plan(folder.load(), ClusterState())
    topics = {action.topic.name: action.topic for action in made.actions if isinstance(action, CreateTopic)}
    assert topics["_bus.members.population.person"].partitions == topics["shared.population.person"].partitions
    assert topics["_bus.members.population.person"].config["cleanup.policy"] == "compact"
    folder.replace(PORTAL, "  valid_until", "  withdrawn: true\n  valid_until")
    lines = [str(action) for action in plan(folder.load(), ClusterState()).actions]
    assert not any("_bus.members" in line for line in lines)


def test_a_conditional_share_waits_for_approval_and_gets_no_topic(folder: Folder) -> None:
    folder.replace(DATASET, "{type: unconditional}", "{type: conditional, condition: 仅限核验身份}")
    made = plan(folder.load(), ClusterState())
    lines = [str(action) for action in made.actions]
    assert "catalogue Subscription/portal-person: generation 1, requested" in lines
    assert not any(line.startswith("topic view.") for line in lines)


def in_state(state: ClusterState, key: str, change: dict[str, Any], managed_by: str | None = None) -> ClusterState:
    """The cluster with another status, or another manager, in one record."""
    record = CatalogueRecord.decode(key, state.records[key])
    changed = replace(record, status={**record.status, **change}, managed_by=managed_by or record.managed_by)
    return replace(state, records={**state.records, key: changed.encode()})


def test_yaml_never_reactivates_what_was_revoked(folder: Folder, applied: ClusterState) -> None:
    revoked = in_state(applied, "Subscription/portal-person", {"state": "revoked"})
    assert [type(action) for action in plan(folder.load(), revoked).actions] == [DeleteTopic]
    folder.replace(PORTAL, "  valid_until", "  withdrawn: true\n  valid_until")
    withdrawn = after(plan(folder.load(), revoked), revoked)
    folder.replace(PORTAL, "  withdrawn: true\n", "")
    [action] = plan(folder.load(), withdrawn).actions
    assert isinstance(action, PutRecord)
    assert action.record.status == {"state": "revoked"}


def test_an_approved_demand_that_is_changed_must_be_approved_again(folder: Folder) -> None:
    folder.replace(DATASET, "{type: unconditional}", "{type: conditional, condition: 仅限核验身份}")
    empty = ClusterState(authorizer=True)
    applied = after(plan(folder.load(), empty), empty)
    approved = in_state(applied, "Subscription/portal-person", {"state": "active"})
    folder.replace(PORTAL, "valid_until: 2099-12-31", "valid_until: 2199-12-31")
    [action] = [a for a in plan(folder.load(), approved).actions if isinstance(a, PutRecord)]
    assert action.record.status == {"state": "requested"}


def test_a_conditional_subscription_is_refused_where_the_cluster_checks_no_acls(
    folder: Folder, applied: ClusterState
) -> None:
    folder.replace(DATASET, "{type: unconditional}", "{type: conditional, condition: 仅限核验身份}")
    assert "the cluster checks no ACLs" in refusal(plan(folder.load(), applied))
    assert plan(folder.load(), replace(applied, authorizer=True)).refusals == ()


def test_only_what_the_same_workspace_applied_is_removed(folder: Folder, applied: ClusterState) -> None:
    text = (folder.path / PORTAL).read_text("utf-8")
    folder.add(PORTAL, text[: text.index("---\nkind: Subscriber")])
    made = plan(folder.load(), applied)
    assert [str(action) for action in made.actions if action.sign == "-"] == [
        "catalogue Subscriber/portal",
        "catalogue Subscription/portal-person",
        "topic view.portal-person.v1: 4 partitions, nobody subscribes to it",
    ]
    runtime = in_state(applied, "Subscription/portal-person", {}, managed_by="runtime")
    removed = [str(action) for action in plan(folder.load(), runtime).actions if action.sign == "-"]
    assert removed == ["catalogue Subscriber/portal"]


def test_what_another_workspace_manages_is_refused(folder: Folder, applied: ClusterState) -> None:
    other = in_state(applied, "Dataset/gongan.population", {}, managed_by="wuxi")
    text = refusal(plan(folder.load(), other))
    assert "Dataset/gongan.population is managed by wuxi" in text


def test_a_view_that_others_still_subscribe_to_is_not_removed(folder: Folder, applied: ClusterState) -> None:
    runtime = in_state(applied, "Subscription/portal-person", {}, managed_by="runtime")
    text = (folder.path / PORTAL).read_text("utf-8")
    folder.add(PORTAL, text[text.index("kind: Subscriber") : text.index("---\nkind: Subscription")])
    assert "View/portal-person/1 is gone from the workspace" in refusal(plan(folder.load(), runtime))


def test_a_topic_that_the_clusters_metrics_could_not_tell_apart_is_refused(folder: Folder) -> None:
    state = ClusterState(topics={"raw.gongan_population": TopicState(1, {})})
    text = refusal(plan(folder.load(), state))
    assert "topic raw.gongan.population and the cluster's raw.gongan_population differ only in '.' and '_'" in text


def test_a_code_list_too_large_for_a_record_is_refused(folder: Folder) -> None:
    rows = "".join(f"{number},{'名' * 20}\n" for number in range(20_000))
    folder.add("big.csv", "code,name\n" + rows)
    folder.add(
        "big.yaml",
        "kind: CodeList\nmetadata: {name: big}\nspec: {standard: x, revision: '1', codes: big.csv}\n",
    )
    assert "CodeList/big has" in refusal(plan(folder.load(), ClusterState()))


def test_a_plan_as_json_names_every_action(folder: Folder) -> None:
    made = plan(folder.load(), ClusterState()).json()
    assert made["partitions"] == {"before": 0, "after": 61}
    assert {action["action"] for action in made["actions"]} == {
        "create_topic",
        "set_offsets",
        "set_compatibility",
        "register_schema",
        "put_record",
    }
