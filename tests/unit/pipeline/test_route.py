"""A shared record goes out to the views that it passes, projected and masked; a key that leaves a view leaves it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from bus.catalogue.avro_type import field_types
from bus.catalogue.predicate import Predicate
from bus.kafka.partitions import partition_of
from bus.pipeline.codec import Decoders, MissingSchemaError, UnknownSchemaError, decoder, encoder
from bus.pipeline.entity_views import EntityViews, ViewOutput
from bus.pipeline.mapping.mask import Pseudonym, compile_key
from bus.pipeline.memory import Memory
from bus.pipeline.record import one_by_one
from bus.pipeline.route import PartitionRouter, Route
from bus.pipeline.writer_schema import BadRecordError
from bus.wire import CloudEvent, Headers, frame, header_texts
from tests.stages import fetched, through

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bus.pipeline.record import Output

pytestmark = pytest.mark.usefixtures("codec")

SHARED = "shared.c.p"
MEMBERS = "_bus.members.c.p"
FULL = {
    "type": "record",
    "name": "p",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "phone", "type": "string"},
        {"name": "division", "type": "string"},
    ],
}
THIN = {"type": "record", "name": "p", "fields": [{"name": "id", "type": "string"}]}

DOWNTOWN, LAKESIDE, WOODS = "320508", "320506", "320507"

encode = encoder(5, FULL)


def event() -> Headers:
    return CloudEvent("0/1/1/m1", "c.p.v1", "urn:shuniu:t:1:g", "2026-11-22T00:00:00.000000Z").headers()


@dataclass
class Shared:
    value: bytes | None
    partition: int = 6
    key: bytes | None = b"k"
    topic: str = SHARED
    offset: int = 0
    headers: Headers = field(default_factory=event)


def living_in(division: str, offset: int = 0, key: str = "k") -> Shared:
    return Shared(encode({"id": key, "phone": "110", "division": division}), key=key.encode(), offset=offset)


def deleted(offset: int = 0, key: str = "k") -> Shared:
    return Shared(None, key=key.encode(), offset=offset)


def whole(record: dict[str, Any]) -> dict[str, Any]:
    return record


def thin(record: dict[str, Any]) -> dict[str, Any]:
    return {"id": record["id"]}


def everybody(topic: str = "view.whole.v1", topic_id: str = "A") -> ViewOutput:
    return ViewOutput(topic, 4, b"c.p.v1", 1, whole, encoder(6, FULL), topic_id=topic_id)


def district(division: str, topic_id: str = "A") -> ViewOutput:
    """The view of a district: who lives there, and nothing but the id."""
    lives_there = Predicate.model_validate({"field": "division", "eq": division})
    return ViewOutput(f"view.{division}.v1", 1, b"c.p.v1", 1, thin, encoder(7, THIN), lives_there, topic_id)


class Partition:
    """Partition 6 of the entity, as a lane that owns it holds it."""

    def __init__(
        self, *views: ViewOutput, position: int = 0, in_order: bool = False, feeds: Mapping[str, str] | None = None
    ) -> None:
        self.feeds = feeds
        self.decoders = Decoders()
        self.decoders.add(5, FULL)
        self.memory = Memory()
        self.kept: dict[bytes, bytes | None] = {}
        self.in_order = in_order
        self.adopt(*views, position=position)

    def adopt(self, *views: ViewOutput, position: int) -> None:
        """The catalogue says now that these are the views; live work stands at an offset."""
        entity = EntityViews(views, self.decoders, field_types(FULL), MEMBERS, in_order=self.in_order, feeds=self.feeds)
        changes = self.memory.adopt(entity.topic_ids, position)
        self.router = PartitionRouter(entity, 6, self.memory)
        self.written(self.router.kept(changes))

    def live(self, *records: Shared) -> list[tuple[str, str, bool]]:
        return self.written(through(Route({(SHARED, 6): self.router}), records))

    def scanned(self, *records: Shared, live_at: int = 0) -> list[tuple[str, str, bool]]:
        made = self.router.scanned(records)
        changes = self.memory.advance(records[-1].offset + 1, live_at)
        self.router.refresh()
        return self.written(list(one_by_one([*made, *self.router.kept(changes)])))

    def owned_by_another(self, *views: ViewOutput, changed: dict[bytes, int] | None = None) -> Partition:
        """The lane, opened by another worker: it knows what was kept, and which keys changed after the views joined."""
        other = Partition(in_order=self.in_order)
        for key, value in self.kept.items():
            other.memory.take(key, value)
        other.memory.changed.update(changed or {})
        other.kept = dict(self.kept)
        other.adopt(*views, position=0)
        return other

    def written(self, outputs: list[Output]) -> list[tuple[str, str, bool]]:
        """What goes to the views: view, key, and whether it is a record (else a tombstone)."""
        self.kept |= {output.key or b"": output.value for output in outputs if output.topic == MEMBERS}
        assert all(output.partition == 6 for output in outputs if output.topic == MEMBERS)
        return [
            (output.topic.split(".")[1], (output.key or b"").decode(), output.value is not None)
            for output in outputs
            if output.topic.startswith("view.")
        ]


# What every view gets.


def test_each_view_gets_its_own_record_id_and_partition() -> None:
    again = ViewOutput("view.thin.v2", 1, b"c.p.v1", 2, thin, encoder(7, THIN))
    router = Partition(everybody(), again).router
    one, two = through(Route({(SHARED, 6): router}), [living_in(DOWNTOWN)])

    assert [(each.topic, each.partition, each.key) for each in (one, two)] == [
        ("view.whole.v1", 2, b"k"),
        ("view.thin.v2", 0, b"k"),
    ]
    assert decoder(FULL)(one.value or b"") == {"id": "k", "phone": "110", "division": DOWNTOWN}
    assert decoder(THIN)(two.value or b"") == {"id": "k"}
    assert [dict(each.headers)["ce_id"] for each in (one, two)] == [b"0/1/1/m1/v1", b"0/1/1/m1/v2"]


def test_a_tombstone_goes_to_every_unfiltered_view() -> None:
    assert Partition(everybody(), everybody("view.more.v1")).live(deleted()) == [
        ("whole", "k", False),
        ("more", "k", False),
    ]


def test_a_schema_that_is_not_at_hand_is_asked_for() -> None:
    with pytest.raises(UnknownSchemaError):
        Partition(everybody()).live(Shared(frame(99) + b"x"))
    assert Route({})([]) == []


# Records of which no view can be made: of a foreign writer.

DLQ = "dlq.gongan.population"
FEEDS = {"1:g": "gongan.population", "1:h": "gongan.residents"}
FOREIGN = {"type": "record", "name": "f", "fields": [{"name": "other", "type": "string"}]}


def garbage(offset: int, key: str = "k", value: bytes = frame(5) + b"\xff") -> Shared:
    return Shared(value, key=key.encode(), offset=offset)


def letters(outputs: Iterable[Output]) -> list[tuple[str, bytes | None, dict[str, str]]]:
    """Topic, value, and what is told of each dead letter."""
    told = [(each, header_texts(each.headers)) for each in outputs if each.topic.startswith("dlq.")]
    reject = "bus_reject_"
    return [
        (each.topic, each.value, {name.removeprefix(reject): text for name, text in texts.items() if reject in name})
        for each, texts in told
    ]


@pytest.mark.parametrize("value", [frame(5) + b"\xff", b'{"id": "k"}', b""])
@pytest.mark.parametrize("views", [[everybody()], [district(DOWNTOWN)], [everybody(), district(DOWNTOWN)]])
def test_what_cannot_be_routed_becomes_a_dead_letter_and_all_around_it_is_routed(
    value: bytes, views: list[ViewOutput]
) -> None:
    partition = Partition(*views, feeds=FEEDS)
    before, after = living_in(DOWNTOWN, 4, "a"), living_in(DOWNTOWN, 6, "b")

    made = through(Route({(SHARED, 6): partition.router}), [before, garbage(5, "a", value), after])

    whole = Partition(*views).live(before, after)
    assert sorted(partition.written(made)) == sorted(whole)
    [(topic, original, told)] = letters(made)
    assert (topic, original) == (DLQ, value)
    assert (told["stage"], told["origin"], told["entity"]) == ("route", f"{SHARED}/6/5", "c.p")
    assert told["rule"] == "undecodable"


def test_a_record_of_another_kind_than_a_view_shows_becomes_a_dead_letter() -> None:
    partition = Partition(everybody(), feeds=FEEDS)
    partition.decoders.add(6, FOREIGN)

    [(_, _, told)] = letters(through(partition.router.live, [garbage(5, value=frame(6) + b"\x02k")]))
    assert told["rule"] == "schema"
    assert told["reason"].startswith("no view can be made of it (")


def test_a_key_keeps_what_the_views_had_of_it_and_its_next_change_is_as_if_nothing_had_been() -> None:
    partition = Partition(district(DOWNTOWN), district(LAKESIDE), feeds=FEEDS)

    assert partition.live(living_in(DOWNTOWN), garbage(1)) == [(DOWNTOWN, "k", True)]
    assert partition.live(living_in(LAKESIDE, 2)) == [(LAKESIDE, "k", True), (DOWNTOWN, "k", False)]


@pytest.mark.parametrize(
    "value",
    [encode({"id": "k", "phone": "110", "division": LAKESIDE}) + b"x", frame(6) + b"\x02k"],
    ids=["damaged", "foreign"],
)
def test_no_key_leaves_a_view_because_of_a_record_that_the_view_could_not_show(value: bytes) -> None:
    """Though the fields that filters read are there to be read, or are none."""
    partition = Partition(district(DOWNTOWN), feeds=FEEDS)
    partition.decoders.add(6, FOREIGN)
    partition.live(living_in(DOWNTOWN))

    made = through(partition.router.live, [garbage(1, value=value)])
    assert (len(letters(made)), partition.written(made)) == (1, [])
    assert partition.live(deleted(2)) == [(DOWNTOWN, "k", False)]


def test_a_key_that_is_none_is_never_remembered() -> None:
    """0xFF begins what the lane keeps of itself in the same topic."""
    partition = Partition(everybody(), district(DOWNTOWN), feeds=FEEDS)
    strange = living_in(DOWNTOWN, 1)
    strange.key = b"\xff\xfe"

    made = through(partition.router.live, [living_in(DOWNTOWN, 0), strange])
    assert [(told["origin"][-1], told["rule"]) for _, _, told in letters(made)] == [("1", "key")]
    assert sorted(partition.written(made)) == [(DOWNTOWN, "k", True), ("whole", "k", True)]
    partition.owned_by_another(everybody(), district(DOWNTOWN))


@pytest.mark.parametrize("is_deletion", [False, True])
@pytest.mark.parametrize("what", ["key", "id"])
def test_what_is_too_large_even_as_a_tombstone_becomes_a_dead_letter(what: str, is_deletion: bool) -> None:
    partition = Partition(everybody(), feeds=FEEDS)
    huge = deleted(1) if is_deletion else living_in(DOWNTOWN, 1)
    if what == "key":
        huge.key = b"k" * 2_000_000
    else:
        huge.headers = [("ce_id", b"1" * 2_000_000)]

    [(_, _, told)] = letters(through(partition.router.live, [huge]))
    assert told["rule"] == "too_large"


def test_the_letter_goes_to_the_dataset_whose_source_the_record_bears_and_else_to_the_first() -> None:
    router = Partition(everybody(), feeds=FEEDS).router
    others = garbage(1)
    others.headers = CloudEvent("0/2/1/m1", "c.p.v1", "urn:shuniu:t:1:h", "2026-11-22T00:00:00.000000Z").headers()
    nobodys = garbage(2)
    nobodys.headers = []

    made = through(router.live, [garbage(0), others, nobodys])

    assert [(topic, told["origin"][-1]) for topic, _, told in letters(made)] == [
        (DLQ, "0"),
        (DLQ, "2"),
        ("dlq.gongan.residents", "1"),
    ]


def test_a_record_is_told_once_however_many_views_are_filled_after_it() -> None:
    partition = Partition(everybody(), feeds=FEEDS)
    history = [living_in(DOWNTOWN, 0, "a"), garbage(1), living_in(DOWNTOWN, 2, "b")]
    assert len(letters(through(partition.router.live, history))) == 1
    partition.adopt(everybody(), district(DOWNTOWN), position=3)
    made = list(one_by_one(partition.router.scanned(history)))
    assert letters(made) == []
    assert partition.written(made) == [(DOWNTOWN, "a", True), (DOWNTOWN, "b", True)]


def test_the_scan_tells_of_what_no_view_has_met() -> None:
    partition = Partition(district(DOWNTOWN), position=3, feeds=FEEDS)
    made = list(one_by_one(partition.router.scanned([living_in(DOWNTOWN, 0, "a"), garbage(1)])))

    assert [told["origin"] for _, _, told in letters(made)] == [f"{SHARED}/6/1"]
    assert partition.written(made) == [(DOWNTOWN, "a", True)]


def test_what_is_bad_goes_by_itself_where_topics_are_counted() -> None:
    partition = Partition(district(DOWNTOWN), feeds=FEEDS)
    route = Route({(SHARED, 6): partition.router})

    assert route.fitting(fetched([living_in(DOWNTOWN, 4), garbage(5)]), most=10) == 1
    assert route.fitting(fetched([garbage(5), living_in(DOWNTOWN, 6)]), most=10) == 1


def test_nothing_is_passed_over_where_the_registry_lacks_the_schema() -> None:
    """It may be the wrong registry, and the record good."""
    partition = Partition(everybody(), district(DOWNTOWN), feeds=FEEDS)
    partition.decoders.add(8, None)
    records = [living_in(DOWNTOWN, 4), garbage(5, value=frame(8) + b"\x02k")]

    with pytest.raises(MissingSchemaError) as told:
        partition.live(*records)
    assert (told.value.schema_id, told.value.where) == (8, f"{SHARED}, partition 6, offset 5")

    partition.decoders.forget_missing(8)
    partition.decoders.add(8, FULL)
    records[1].value = frame(8) + (living_in(LAKESIDE).value or b"")[5:]
    assert partition.live(*records)[0] == ("whole", "k", True)


def test_without_a_dataset_that_feeds_the_entity_it_is_told_where_it_is() -> None:
    partition = Partition(district(DOWNTOWN), position=9)
    for look in (partition.router.scanned, partition.router.live):
        with pytest.raises(BadRecordError) as told:
            look(fetched([living_in(DOWNTOWN, 4), garbage(5)]))
        assert told.value.where == f"{SHARED}, partition 6, offset 5"


# Filters: entering, staying, leaving.


def test_a_resident_who_moves_leaves_one_district_and_enters_the_other() -> None:
    partition = Partition(district(DOWNTOWN), district(LAKESIDE), district(WOODS))

    assert partition.live(living_in(DOWNTOWN)) == [(DOWNTOWN, "k", True)]
    assert partition.live(living_in(LAKESIDE)) == [(LAKESIDE, "k", True), (DOWNTOWN, "k", False)]


def test_a_move_there_and_back_in_one_batch_is_told_step_by_step() -> None:
    partition = Partition(district(DOWNTOWN), district(LAKESIDE))

    told = partition.live(living_in(DOWNTOWN), living_in(LAKESIDE), living_in(DOWNTOWN))

    assert [each for each in told if each[0] == DOWNTOWN] == [
        (DOWNTOWN, "k", True),
        (DOWNTOWN, "k", False),
        (DOWNTOWN, "k", True),
    ]
    assert [each for each in told if each[0] == LAKESIDE] == [(LAKESIDE, "k", True), (LAKESIDE, "k", False)]


def test_a_view_that_never_had_the_key_hears_nothing_of_it_not_even_its_deletion() -> None:
    partition = Partition(district(DOWNTOWN), district(LAKESIDE), everybody())
    partition.live(living_in(DOWNTOWN))

    assert partition.live(deleted()) == [("whole", "k", False), (DOWNTOWN, "k", False)]
    assert partition.live(deleted(key="unknown")) == [("whole", "unknown", False)]


def test_membership_is_written_only_when_it_changes() -> None:
    partition = Partition(district(DOWNTOWN), district(LAKESIDE))
    partition.live(living_in(DOWNTOWN))
    assert partition.kept.pop(b"k") == b"\x02"  # the number of one view, in one byte

    partition.live(living_in(DOWNTOWN))
    assert b"k" not in partition.kept
    partition.live(living_in(LAKESIDE))
    assert partition.kept.pop(b"k") == b"\x01"
    partition.live(living_in("320999"))
    assert partition.kept.pop(b"k", "not written") is None


def test_a_lanes_next_owner_knows_who_was_in_which_view() -> None:
    views = district(DOWNTOWN), district(LAKESIDE)
    partition = Partition(*views)
    partition.live(living_in(DOWNTOWN))

    assert partition.owned_by_another(*views).live(deleted()) == [(DOWNTOWN, "k", False)]


def test_a_call_that_failed_has_changed_nothing() -> None:
    partition = Partition(district(DOWNTOWN), district(LAKESIDE))
    partition.live(living_in(DOWNTOWN))
    with pytest.raises(UnknownSchemaError):
        partition.live(living_in(LAKESIDE), Shared(frame(99) + b"x"))

    assert partition.live(living_in(LAKESIDE)) == [(LAKESIDE, "k", True), (DOWNTOWN, "k", False)]


def test_a_view_that_is_gone_gets_nothing_and_is_never_taken_for_a_newer_one() -> None:
    partition = Partition(district(DOWNTOWN), district(LAKESIDE))
    partition.live(living_in(DOWNTOWN))

    partition.adopt(district(LAKESIDE), district(WOODS), position=1)  # one leaves, and another comes
    assert partition.live(living_in(LAKESIDE, 1)) == [(LAKESIDE, "k", True)]


def test_nor_does_the_next_owner_take_it_for_a_newer_one() -> None:
    partition = Partition(district(LAKESIDE), district(DOWNTOWN))
    partition.live(living_in(DOWNTOWN))
    partition.adopt(district(LAKESIDE), position=1)

    other = partition.owned_by_another(district(LAKESIDE), district(WOODS))
    assert other.live(living_in(LAKESIDE, 1)) == [(LAKESIDE, "k", True)]


# Filling a view that is new.


def test_a_new_view_is_filled_with_what_was_there_before_it() -> None:
    partition = Partition(everybody())
    history = [living_in(DOWNTOWN, 0, "a"), living_in(LAKESIDE, 1, "b"), living_in(DOWNTOWN, 2, "c")]
    partition.live(*history)
    partition.adopt(everybody(), district(DOWNTOWN), position=3)

    assert partition.scanned(*history) == [(DOWNTOWN, "a", True), (DOWNTOWN, "c", True)]
    assert not partition.memory.filling
    assert partition.live(living_in(LAKESIDE, 3, "a")) == [("whole", "a", True), (DOWNTOWN, "a", False)]


def test_a_view_of_an_entity_that_nobody_has_read_yet_needs_no_filling() -> None:
    assert not Partition(district(DOWNTOWN)).memory.filling


def test_what_changes_while_a_view_is_filled_reaches_it_at_once_and_is_not_overwritten_by_the_scan() -> None:
    partition = Partition(everybody())
    history = [living_in(DOWNTOWN, 0), living_in(DOWNTOWN, 1)]
    partition.live(*history)
    partition.adopt(everybody(), district(DOWNTOWN), district(LAKESIDE), position=2)

    assert partition.scanned(history[0]) == [(DOWNTOWN, "k", True)]
    assert partition.live(living_in(LAKESIDE, 2)) == [
        ("whole", "k", True),
        (LAKESIDE, "k", True),
        (DOWNTOWN, "k", False),
    ]
    assert partition.scanned(history[1]) == []


def test_a_key_that_left_before_the_scan_came_to_it_is_never_told() -> None:
    partition = Partition(everybody())
    history = [living_in(DOWNTOWN, 0)]
    partition.live(*history)
    partition.adopt(everybody(), district(DOWNTOWN), position=1)
    partition.live(deleted(1))

    assert partition.scanned(*history) == []


def test_the_scan_tells_of_entering_and_leaving_too() -> None:
    partition = Partition(everybody())
    history = [living_in(DOWNTOWN, 0), living_in(LAKESIDE, 1), living_in(DOWNTOWN, 2), deleted(3)]
    partition.live(*history)
    partition.adopt(everybody(), district(DOWNTOWN), position=4)

    assert [has for _, _, has in partition.scanned(*history)] == [True, False, True, False]


def test_the_next_owner_goes_on_where_the_scan_stood_and_knows_what_changed_since_the_view_joined() -> None:
    views = everybody(), district(DOWNTOWN)
    partition = Partition(everybody())
    history = [living_in(DOWNTOWN, 0, "a"), living_in(DOWNTOWN, 1, "b"), living_in(DOWNTOWN, 2, "c")]
    partition.live(*history)
    partition.adopt(*views, position=3)
    partition.scanned(history[0])
    partition.live(living_in(LAKESIDE, 3, "b"))

    other = partition.owned_by_another(*views, changed={b"b": 3})
    [progress] = other.memory.filling.values()
    assert (progress.next, progress.until) == (1, 3)
    assert other.scanned(*history) == [(DOWNTOWN, "c", True)]


def test_a_view_that_comes_while_another_is_filled_is_filled_from_the_start() -> None:
    partition = Partition(everybody())
    history = [living_in(DOWNTOWN, 0, "a"), living_in(LAKESIDE, 1, "b"), living_in(LAKESIDE, 2, "c")]
    partition.live(*history[:2])
    partition.adopt(everybody(), district(LAKESIDE), position=2)
    partition.scanned(history[0])
    partition.live(history[2])
    partition.adopt(everybody(), district(LAKESIDE), district(DOWNTOWN), position=3)

    assert partition.scanned(*history) == [(DOWNTOWN, "a", True), (LAKESIDE, "b", True)]
    assert not partition.memory.filling


def test_a_change_between_two_joinings_is_scanned_for_the_later_one_only() -> None:
    partition = Partition(everybody())
    history = [living_in(DOWNTOWN, 0), living_in(DOWNTOWN, 1)]
    partition.live(history[0])
    first = district(DOWNTOWN)
    partition.adopt(everybody(), first, position=1)
    assert partition.live(history[1])[1:] == [(DOWNTOWN, "k", True)]
    second = ViewOutput(
        "view.second.v1", 1, b"c.p.v1", 1, thin, encoder(7, THIN), Predicate(field="division", prefix="3205"), "A"
    )
    partition.adopt(everybody(), first, second, position=2)

    assert partition.scanned(*history) == [("second", "k", True), ("second", "k", True)]


def test_a_topic_made_anew_under_its_old_name_is_filled_anew() -> None:
    partition = Partition(district(DOWNTOWN))
    partition.live(living_in(DOWNTOWN, 0))
    partition.adopt(district(DOWNTOWN, topic_id="B"), position=1)

    assert partition.scanned(living_in(DOWNTOWN, 0)) == [(DOWNTOWN, "k", True)]


def test_a_view_of_events_gets_all_of_them_in_order_and_live_ones_when_the_scan_has_caught_up() -> None:
    partition = Partition(everybody(), in_order=True)
    history = [living_in(DOWNTOWN, offset) for offset in range(5)]
    partition.live(*history[:2])
    partition.adopt(everybody(), district(DOWNTOWN), position=2)

    assert partition.live(history[2]) == [("whole", "k", True)]
    assert partition.scanned(history[0], history[1], live_at=3) == [(DOWNTOWN, "k", True)] * 2
    assert partition.memory.filling, "one more has come meanwhile"
    assert partition.scanned(history[2], live_at=3) == [(DOWNTOWN, "k", True)]
    assert not partition.memory.filling
    assert partition.live(history[3]) == [("whole", "k", True), (DOWNTOWN, "k", True)]


def test_the_state_of_a_view_can_be_read_by_others() -> None:
    partition = Partition(everybody())
    partition.adopt(everybody(), district(DOWNTOWN), position=10)

    assert partition.kept[b"\xffview.320508.v1"] == (
        b'{"state":"filling","next":0,"until":10,"number":2,"topic_id":"A"}'
    )
    partition.scanned(living_in(LAKESIDE, 9))
    assert b'"state":"live"' in (partition.kept[b"\xffview.320508.v1"] or b"")


def statistics() -> ViewOutput:
    """The view of one district in which nobody can be recognised."""
    lives_there = Predicate.model_validate({"field": "division", "eq": DOWNTOWN})
    hide = Pseudonym(b"k" * 32)
    key = compile_key(["id"], {"id": hide})

    def hidden(record: dict[str, Any]) -> dict[str, Any]:
        return {"id": hide(record["id"])}

    show = encoder(7, THIN)
    return ViewOutput("view.statistics.v1", 4, b"c.p.v1", 1, hidden, show, lives_there, "A", key, hide.once)


def test_a_pseudonymised_view_shows_the_key_nowhere_and_its_tombstones_find_the_record() -> None:
    router = Partition(statistics()).router

    arrived, *_ = through(router.live, [living_in(DOWNTOWN, key="secret-id")])
    left, *_ = through(router.live, [living_in(WOODS, offset=1, key="secret-id")])

    assert (arrived.key, arrived.partition) == (left.key, left.partition)
    assert (arrived.value is None, left.value is None) == (False, True)
    assert arrived.partition == partition_of(arrived.key or b"", 4)
    for made in (arrived, left):
        assert b"secret-id" not in b"".join([made.key or b"", made.value or b"", *(body for _, body in made.headers)])


def test_the_id_of_a_change_is_shown_as_a_pseudonym_where_the_key_is_one() -> None:
    plain, hiding = Partition(district(DOWNTOWN)).router, Partition(statistics()).router
    for happens in (living_in(DOWNTOWN), deleted(1)):
        (shown, *_), (hidden, *_) = (through(router.live, [happens]) for router in (plain, hiding))
        expected = dict(shown.headers)
        expected["ce_id"] = Pseudonym(b"k" * 32).once(expected["ce_id"])
        assert dict(hidden.headers) == expected


# How many records fit into one transaction.


def test_as_many_records_are_taken_at_once_as_write_to_few_enough_topics() -> None:
    partition = Partition(district(DOWNTOWN), district(LAKESIDE), district(WOODS))
    partition.live(living_in(WOODS, 0, "was-in-the-woods"))
    records = fetched(
        [
            living_in(DOWNTOWN, 1, "a"),
            living_in(DOWNTOWN, 2, "b"),
            living_in("110101", 3, "nowhere"),
            living_in(LAKESIDE, 4, "was-in-the-woods"),  # a record there, and a tombstone in the woods
            living_in(DOWNTOWN, 5, "c"),
        ]
    )
    fitting = partition.router.fitting

    assert fitting(records, 4) == 5, "three views, and the topic of who is in which"
    assert fitting(records, 3) == 3
    assert fitting(records[3:], 2) == 1, "what one record becomes is not torn apart"
