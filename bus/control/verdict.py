"""The rules by which a verdict is found: pure functions from what was seen to verdict, cause and next action.

An adapter writes a heartbeat every 5 s whether its source has changes or not, so that quiet is told from dead; so does
a worker. "No progress" is judged by who looks on: nothing was committed for some seconds while records waited.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bus.control.health import Judged, Verdict
from bus.errors import Severity

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping, Sequence

    from bus.errors import Finding

SILENT_SECONDS: Final = 20.0
"""Heartbeats come every 5 s; after four that did not come, nobody is there."""

WAITING_SECONDS: Final = 10.0
"""Records that wait longer without any progress are stalled: after a killed worker, data flows again within 15 s."""

UNMOVED_SECONDS: Final = 3.0
"""What an onlooker must have seen without any progress; a lane's pace may be 1 s, its transaction 2 s."""

SUBSCRIBER_UNMOVED_SECONDS: Final = 5.5
"""The same of a subscriber: Kafka's clients commit every 5 s unless they are told otherwise."""

OFFLINE_RECORDS: Final = 10_000
"""A subscriber that many records behind is worth a word."""

OK: Final = Judged()


def worst(parts: Iterable[Judged]) -> Judged:
    """The worst verdict of several, with its cause and action; of equals the first."""
    return max(parts, key=lambda part: part.verdict.severity, default=OK)


def told(judged: Judged) -> dict[str, Any]:
    """The four fields, to be given on to a part."""
    return {"verdict": judged.verdict, "code": judged.code, "cause": judged.cause, "action": judged.action}


def span(seconds: float) -> str:
    """A duration as people say it: `12 s`, `4 min`, `3 h`, `2 d`."""
    for unit, size, until in (("s", 1, 120), ("min", 60, 7_200), ("h", 3_600, 172_800)):
        if seconds < until:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86_400:.0f} d"


def counted(count: int, noun: str) -> str:
    """How many there are: `1 record`, `1,234 records`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


# --- adapters ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterSeen:
    """What is known of an adapter.

    Attributes:
        silent_seconds: since its last heartbeat; None if there never was one.
        state, error, host, pid: as it told last.
    """

    name: str
    silent_seconds: float | None = None
    state: str = ""
    error: str = ""
    host: str = ""
    pid: int | None = None


def judge_adapter(seen: AdapterSeen) -> Judged:
    """Dead, waiting for its source, or well; a quiet source is well."""
    if seen.silent_seconds is None:
        return Judged(
            verdict=Verdict.STALLED,
            code="adapter-never",
            cause=f"adapter {seen.name} has never been heard of",
            action=f"start it: {_command('run', seen)}",
        )
    if seen.state in {"failed", "stopped"} or seen.silent_seconds > SILENT_SECONDS:
        return _ended(seen, seen.silent_seconds)
    if seen.state == "waiting":
        return Judged(
            verdict=Verdict.STALLED,
            code="adapter-waiting",
            cause=f"adapter {seen.name} cannot go on ({seen.error or 'it starts again and again'}; {_where(seen)})",
            action=f"see what it waits for: {_command('check', seen)}; it goes on by itself, nothing is lost",
        )
    if seen.state == "paused":
        return Judged(
            verdict=Verdict.PAUSED,
            code="adapter-paused",
            cause=f"adapter {seen.name} is paused",
            action=f"let it go on: {_command('run', seen)}",
        )
    return OK


def _ended(seen: AdapterSeen, silent: float) -> Judged:
    run = _command("run", seen)
    if seen.state == "failed":
        return Judged(
            verdict=Verdict.FAILED,
            code="adapter-failed",
            cause=f"adapter {seen.name} ended {span(silent)} ago with {seen.error} ({_where(seen)})",
            action=f"see why: {_command('check', seen)}; mend it, then {run}",
        )
    if seen.state == "stopped":
        return Judged(
            verdict=Verdict.STALLED,
            code="adapter-stopped",
            cause=f"adapter {seen.name} was stopped {span(silent)} ago ({_where(seen)})",
            action=f"start it: {run}",
        )
    return Judged(
        verdict=Verdict.STALLED,
        code="adapter-silent",
        cause=f"adapter {seen.name} is dead or cut off: not heard of for {span(silent)} ({_where(seen)})",
        action=f"look at process {seen.pid} on {seen.host} and its network; start it again: {run}",
    )


def _command(name: str, seen: AdapterSeen) -> str:
    """The command to be given for it; only who operates it knows where its configuration is."""
    return f"bus adapter {name} {seen.name} --config FILE"


def _where(seen: AdapterSeen | WorkerSeen) -> str:
    return f"{seen.host}, process {seen.pid}"


# --- workers ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSeen:
    """What is known of a worker process; as of `AdapterSeen`.

    Attributes:
        failures: lane → what it failed of.
        waiting: lane → why it opens again and again without going on.
        relieved: another worker is alive, who takes the lanes of a dead one.
    """

    name: str
    silent_seconds: float
    state: str = "running"
    host: str = ""
    pid: int | None = None
    failures: Mapping[int, str] | None = None
    waiting: Mapping[int, str] | None = None
    relieved: bool = False


def judge_worker(seen: WorkerSeen) -> Judged:
    """Dead, with a lane that failed or does not go on, or well. That a dead one is missed is told by what lags."""
    where = _where(seen)
    gone = seen.state == "stopped" or seen.silent_seconds > SILENT_SECONDS
    if gone and seen.relieved:
        return Judged(cause=f"ended {span(seen.silent_seconds)} ago ({where}); others have its lanes")
    if gone:
        how = "was stopped" if seen.state == "stopped" else "is dead or cut off: not heard of for"
        ago = f"{span(seen.silent_seconds)} ago" if seen.state == "stopped" else span(seen.silent_seconds)
        return Judged(
            verdict=Verdict.STALLED,
            code="worker-silent",
            cause=f"the worker on {where} {how} {ago}, and no other runs",
            action="start one: bus worker",
        )
    if seen.failures:
        _, reason = min(seen.failures.items())
        lost = "committed offset" in reason
        return Judged(
            verdict=Verdict.FAILED,
            code="lane-failed",
            cause=f"{_lanes(seen.failures)} of the worker on {where} fails: {reason}",
            action="see its log for topic, partition and offset" + ("; a lost offset is never guessed" if lost else ""),
        )
    if seen.waiting:
        _, reason = min(seen.waiting.items())
        return Judged(
            verdict=Verdict.STALLED,
            code="lane-waiting",
            cause=f"{_lanes(seen.waiting)} of the worker on {where} cannot go on: {reason}",
            action="mend that; see its log for `lane opens again`. It tries again by itself, nothing is lost",
        )
    return OK


def _lanes(told: Mapping[int, str]) -> str:
    """The first of them, which is the one that is told of, and how many more there are."""
    return f"lane {min(told)}" + (f" (and {len(told) - 1} more)" if len(told) > 1 else "")


# --- what flows -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderSeen:
    """How far a stage has read a topic.

    Attributes:
        topic: its input.
        group: that holds its offsets.
        missing: partitions without a committed offset, or with one that lies before the log's start.
        lag: records to be read.
        waiting_seconds: how long the oldest of them has been there.
        unmoved_seconds: for how long an onlooker has seen no progress.
        workers: how many are alive.
    """

    topic: str
    group: str
    missing: Sequence[int] = ()
    lag: int = 0
    waiting_seconds: float | None = None
    unmoved_seconds: float = 0.0
    workers: int = 1


def _wait(lag: int) -> str:
    return f"{counted(lag, 'record')} {'waits' if lag == 1 else 'wait'}"


def judge_reader(seen: ReaderSeen) -> Judged:
    """FAILED without an offset, STALLED with lag and no progress."""
    if seen.missing:
        numbers = ", ".join(map(str, sorted(seen.missing)))
        return Judged(
            verdict=Verdict.FAILED,
            code="offset-missing",
            cause=f"group {seen.group} has no valid offset on {seen.topic}, partition {numbers}",
            action="never guess it: a new topic gets its offsets by `bus apply`, a lost one needs a new snapshot",
        )
    if not seen.lag:
        return OK
    waiting = seen.waiting_seconds or 0.0
    if not seen.workers:
        return Judged(
            verdict=Verdict.STALLED,
            code="no-worker",
            cause=f"{_wait(seen.lag)} on {seen.topic}, the oldest for {span(waiting)}: no worker runs",
            action="start one: bus worker",
        )
    if waiting >= WAITING_SECONDS and seen.unmoved_seconds >= UNMOVED_SECONDS:
        return Judged(
            verdict=Verdict.STALLED,
            code="no-progress",
            cause=f"{_wait(seen.lag)} on {seen.topic}, the oldest for {span(waiting)}, and none is taken",
            action="look at the workers' logs for `lane opens again` or `lane FAILED`",
        )
    return OK


def is_undecided(seen: ReaderSeen) -> bool:
    """Whether only a longer look tells a stalled reader from a slow one."""
    waits = seen.lag > 0 and not seen.missing and seen.workers > 0 and (seen.waiting_seconds or 0.0) >= WAITING_SECONDS
    return waits and seen.unmoved_seconds < UNMOVED_SECONDS


def judge_freshness(what: str, freshness: float | None, promise: float, owner: str) -> Judged:
    """STALE past the promise.

    Args:
        what: `dataset gongan.population`.
        freshness: everything up to so many seconds ago is there; None if it is not known.
        promise: seconds.
        owner: who promised.
    """
    if freshness is None or freshness <= promise:
        return OK
    return Judged(
        verdict=Verdict.STALE,
        code="past-promise",
        cause=f"{what} is {span(freshness)} old; {span(promise)} were promised",
        action=f"call {owner}" if owner else "look at what comes before it in the flow",
    )


def judge_notices(what: str, notices: Sequence[Finding]) -> Judged:
    """STALLED while something of a source waits for a person, or was refused and not mended.

    Args:
        what: `dataset scjg.enterprises`.
        notices: that its adapter tells, what waits first.
    """
    if not notices:
        return OK
    first = notices[0]
    same = sum(each.severity is first.severity for each in notices)
    which = f"{first.where or 'something of its source'}{f' (and {same - 1} more)' if same > 1 else ''}"
    if first.severity is Severity.WARNING:
        return Judged(
            verdict=Verdict.STALLED,
            code="source-refused",
            cause=f"{what}: {which} was refused, and nothing newer came: {first.message}",
            action=first.fix,
        )
    return Judged(
        verdict=Verdict.STALLED,
        code="source-waits",
        cause=f"{what}: {which} waits for a person: {first.message}",
        action=first.fix,
    )


def judge_view(topic: str, filled: float, *, exists: bool, unrouted: Sequence[str] = ()) -> Judged:
    """FAILED without its topic, or where workers route nothing to it; one that is being filled is well, and says so.

    Args:
        topic: of the view.
        filled: share of what was there before it, 0.0 to 1.0.
        exists: whether there is the topic.
        unrouted: why workers route nothing to it, and what to do; empty if they do.
    """
    if not exists:
        return Judged(
            verdict=Verdict.FAILED,
            code="topic-missing",
            cause=f"{topic} does not exist: nothing is routed to it",
            action="have it made again: bus apply",
        )
    if unrouted:
        why, action = unrouted
        cause = f"nothing is routed to {topic}: {why}"
        return Judged(verdict=Verdict.FAILED, code="view-unrouted", cause=cause, action=action)
    if filled < 1.0:
        return Judged(code="filling", cause=f"being filled with what was there before it: {filled:.0%}")
    return OK


def judge_subscription(view: Judged, seen: ReaderSeen | None) -> Judged:
    """STALLED when its group takes nothing of what waits; else as its view.

    Args:
        view: that it receives.
        seen: how far its group has read; None if no group is visible.
    """
    if not view.ok:
        return view
    if seen is None:
        return Judged(code="no-group", cause="no consumer group of its is visible on the view's topic")
    waiting = _waiting(seen)
    if seen.lag and waiting >= WAITING_SECONDS and seen.unmoved_seconds >= SUBSCRIBER_UNMOVED_SECONDS:
        return Judged(
            verdict=Verdict.STALLED,
            code="subscriber-silent",
            cause=f"{_wait(seen.lag)} for group {seen.group}, the oldest for {span(waiting)}, and none is taken",
            action="ask the subscriber whether its system runs",
        )
    if seen.lag > OFFLINE_RECORDS:
        return Judged(code="subscriber-behind", cause=f"{seen.lag:,} records behind, and catching up")
    return OK


def judge_ended(valid_until: dt.date) -> Judged:
    """OK: nothing waits for a subscriber that may not read any more.

    Args:
        valid_until: its subscription's last day.
    """
    told = f"ended with {valid_until}: its subscriber may not read the view any more"
    action = "if it is still needed, set a later `valid_until` and run `bus apply`; else remove the subscription"
    return Judged(code="subscription-ended", cause=told, action=action)


def is_subscription_undecided(seen: ReaderSeen) -> bool:
    """Whether only a longer look tells a silent subscriber from one that catches up."""
    old = seen.waiting_seconds is None or seen.waiting_seconds >= WAITING_SECONDS
    return seen.lag > 0 and old and seen.unmoved_seconds < SUBSCRIBER_UNMOVED_SECONDS


def _waiting(seen: ReaderSeen) -> float:
    """How long the oldest record has waited; where it could not be read, for as long as none was taken."""
    return max(seen.waiting_seconds or 0.0, seen.unmoved_seconds)
