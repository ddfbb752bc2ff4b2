"""`bus dlq …`: what was rejected and why; take it up again once the mapping is mended."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import sys
import time
from collections import deque
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Final

import click

from bus.commands.hinting import HintingGroup
from bus.commands.options import cluster, settings
from bus.errors import WrongUseError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

    from bus.catalogue.catalogue import Catalogue
    from bus.catalogue.dataset import Dataset
    from bus.config import Settings
    from bus.pipeline.asking import Outcome
    from bus.pipeline.command import Answer, Redrive, Selection
    from bus.pipeline.rejects import DeadLetter, RejectCount, RejectStates

WHAT_TO_DO: Final = {
    "open": "mend the mapping, raise its `revision` and `bus apply` it, then: bus dlq redrive --dataset {}; "
    "or mend the row at the source",
    "superseded": "nothing: a later change of the key is good, or was rejected in its turn",
    "redriven": "nothing: it was taken up again and is on shared",
    "at_source": "it cannot be redriven, since no record of raw with a key stands behind it; mend it at the source",
}
OF_SHARED: Final = (
    "find out who writes to shared besides the bus, and take that right away; "
    "views keep what they had of the key until its next change at the source"
)
"""What to do about a reject of the stage `route`."""


def selecting(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say which rejects are meant."""
    for option in (
        click.option("--key", help="The record key, as the DLQ has it."),
        click.option("--until", metavar="TIME", help="Rejected before then; like --since."),
        click.option("--since", metavar="TIME", help="Rejected then or later: 2026-11-22T08:00, or 90m, 12h, 7d ago."),
        click.option("--field", help="The field that broke the rule."),
        click.option("--rule", help="The rule that was broken: codes, date, required …"),
    ):
        function = option(function)
    return cluster(function)


@click.group(name="dlq", cls=HintingGroup)
def command() -> None:
    """Rejected records: list, show, redrive.

    A reject is open until a later change of its key is good (superseded) or it was taken up again (redriven).
    """


@command.command()
@click.option("--dataset", help="Of this dataset only.")
@selecting
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def ls(
    dataset: str | None, bootstrap: str | None, registry_url: str | None, as_json: bool, **chosen: str | None
) -> None:
    """Count rejects by dataset, rule and field, with what became of them."""
    selection = _selection(chosen)
    counts = asyncio.run(_counted(settings(bootstrap, registry_url), dataset, selection))
    if as_json:
        click.echo(json.dumps([_count_told(count) for count in counts], ensure_ascii=False, indent=2))
    else:
        click.echo("\n".join(_table(counts)) if counts else "no rejects")


@command.command()
@click.argument("reject", required=False, metavar="[DATASET/OFFSET]")
@click.option("--dataset", help="Of this dataset only.")
@click.option("-n", "--limit", default=5, show_default=True, type=click.IntRange(1), help="The newest so many.")
@selecting
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def show(
    reject: str | None,
    *,
    dataset: str | None,
    limit: int,
    bootstrap: str | None,
    registry_url: str | None,
    as_json: bool,
    **chosen: str | None,
) -> None:
    """Show rejects with the original records, decoded: one, or the newest.

    This shows personal data: it needs the right to read the DLQ, and is not for passing on.
    """
    selection = _selection(chosen)
    offset = None
    if reject is not None:
        dataset, offset = _named(reject)
    shown = asyncio.run(_shown(settings(bootstrap, registry_url), dataset, offset, selection, limit))
    if offset is not None and not shown:
        raise WrongUseError(f"there is no reject {reject}", fix=f"see: bus dlq show --dataset {dataset}")
    if shown:
        click.echo("note: the records below are personal data; do not pass them on", err=True)
    for told in shown:
        click.echo(json.dumps(told, ensure_ascii=False, default=str) if as_json else "\n".join(_lines(told)))
    if not shown and not as_json:
        click.echo("no rejects")


@command.command()
@click.option("--dataset", required=True, help="Whose rejects.")
@selecting
@click.option("--dry-run", is_flag=True, help="Only say what would become of them; nothing is written.")
@click.option("--patience", default="30s", show_default=True, help="Give up when no lane has moved for so long.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def redrive(
    *,
    dataset: str,
    bootstrap: str | None,
    registry_url: str | None,
    dry_run: bool,
    patience: str,
    as_json: bool,
    **chosen: str | None,
) -> None:
    """Take up open rejects again, under the mappings as they are now.

    Done by the workers, each key in its order: a key with a later change is left alone. What is still rejected stays
    open. To give the command twice does no harm. Ends with 1 if not every lane has answered.
    """
    from bus.pipeline.asking import silent_lanes

    seconds = _milliseconds(patience, "--patience") / 1000
    selection = _selection(chosen)
    asked, outcome = asyncio.run(
        _redriven(settings(bootstrap, registry_url), dataset, selection, seconds, dry_run=dry_run)
    )
    if as_json:
        click.echo(json.dumps(_outcome_told(asked, outcome), ensure_ascii=False, indent=2))
    elif not outcome.silent or outcome.answer.matched:  # of lanes that all are silent there is nothing to sum up
        click.echo("\n".join(_summary(asked, outcome.answer)))
    if outcome.silent:
        raise silent_lanes(asked, outcome)


def _selection(chosen: Mapping[str, str | None]) -> Selection:
    from bus.pipeline.command import Selection

    since, until = (_moment(chosen[name], f"--{name}") for name in ("since", "until"))
    return Selection(chosen["rule"], chosen["field"], since, until, chosen["key"])


def _moment(text: str | None, option: str) -> int | None:
    """Milliseconds since 1970 of a time, or of a duration ago."""
    if text is None:
        return None
    try:
        return int(dt.datetime.fromisoformat(text).timestamp() * 1000)
    except ValueError:
        return int(time.time() * 1000) - _milliseconds(text, option)


def _milliseconds(text: str, option: str) -> int:
    from pydantic import TypeAdapter, ValidationError

    from bus.catalogue.duration import Duration, milliseconds

    try:
        return milliseconds(TypeAdapter[str](Duration).validate_python(text))
    except ValidationError:
        times = " or a time (2026-11-22, 2026-11-22T08:00, 2026-11-22T08:00+08:00)" if option != "--patience" else ""
        raise WrongUseError(f"{option} {text!r}", fix=f"a duration (30s, 5m, 12h, 7d){times}") from None


def _named(reject: str) -> tuple[str, int]:
    dataset, _, offset = reject.rpartition("/")
    if not dataset or not offset.isdecimal():
        raise WrongUseError(f"{reject!r} names no reject", fix="DATASET/OFFSET, as `bus dlq show` prints it")
    return dataset, int(offset)


@asynccontextmanager
async def _rejects_of(
    chosen: Settings, dataset: str | None
) -> AsyncIterator[tuple[Catalogue, list[Dataset], RejectStates]]:
    """The catalogue, the datasets that are meant, and what became of their rejects."""
    from bus.pipeline.adapter_role import read_catalogue
    from bus.pipeline.rejects import RejectStates

    catalogue = await read_catalogue(chosen)
    if dataset is not None and dataset not in catalogue.datasets:
        known = ", ".join(sorted(catalogue.datasets)) or "none"
        raise WrongUseError(f"there is no dataset {dataset}", fix=f"there are: {known}")
    datasets = [each for name, each in sorted(catalogue.datasets.items()) if dataset in {None, name}]
    async with RejectStates(chosen.kafka, {each.spec.department for each in datasets}) as states:
        yield catalogue, datasets, states


async def _counted(chosen: Settings, dataset: str | None, selection: Selection) -> list[RejectCount]:
    from bus.pipeline.rejects import RejectCounts, dead_letters

    counts = RejectCounts()
    async with _rejects_of(chosen, dataset) as (_, datasets, states):
        async for letter in dead_letters(chosen.kafka, [each.name for each in datasets], selection, states):
            counts.add(letter)
    return counts.sorted()


async def _shown(
    chosen: Settings, dataset: str | None, offset: int | None, selection: Selection, limit: int
) -> list[dict[str, Any]]:
    from bus.kafka.registry_client import SchemaRegistry
    from bus.pipeline.codec import Decoders
    from bus.pipeline.decoded import decoded
    from bus.pipeline.rejects import dead_letters

    async with _rejects_of(chosen, dataset) as (_, datasets, states):
        newest: deque[DeadLetter] = deque(maxlen=limit)
        async for letter in dead_letters(chosen.kafka, [each.name for each in datasets], selection, states):
            if offset in {None, letter.offset}:
                newest.append(letter)
    decoders = Decoders()
    async with SchemaRegistry(chosen.registry_url) as registry:
        return [_letter_told(letter) | {"record": await decoded(letter.value, decoders, registry)} for letter in newest]


async def _redriven(
    chosen: Settings, dataset: str, selection: Selection, patience: float, *, dry_run: bool
) -> tuple[Redrive, Outcome]:
    from bus.pipeline.asking import answers, lanes_of, send
    from bus.pipeline.command import Redrive

    async with _rejects_of(chosen, dataset) as (catalogue, datasets, states):
        if not catalogue.mappings_of(dataset):
            raise WrongUseError(f"dataset {dataset} has no mapping", fix="add one to the workspace, then: bus apply")
        _refuse_unknown(states, dataset, selection)
        lanes = await lanes_of(chosen.kafka, datasets[0])
        asked = Redrive.new(dataset, selection, time.time(), dry_run=dry_run)
        await send(chosen.kafka, asked)
        with _bar(dry_run=dry_run) as tell:
            return asked, await answers(states, asked, lanes, tell, patience)


def _refuse_unknown(states: RejectStates, dataset: str, selection: Selection) -> None:
    """A rule or field that no reject of the dataset was ever for is mistyped."""
    from bus.pipeline.open_rejects import Entry

    verdicts = [
        verdict
        for key, entry in states.entries.items()
        if key.dataset == dataset
        for verdict in Entry.decode(entry).verdicts
    ]
    for what, asked, known in (
        ("rule", selection.rule, {verdict.rule for verdict in verdicts}),
        ("field", selection.field, {verdict.field for verdict in verdicts if verdict.field}),
    ):
        if asked is not None and asked not in known:
            there = ", ".join(sorted(known)) or "none"
            raise WrongUseError(f"{dataset} has no rejects of {what} {asked!r}", fix=f"there are: {there}")


@contextmanager
def _bar(*, dry_run: bool) -> Iterator[Callable[[Answer], None]]:
    """A progress bar, where standard error is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("dry run" if dry_run else "redriving", total=None)
        yield lambda answer: bar.update(task, completed=answer.worked, total=answer.matched or None)


def _time(milliseconds: int) -> str:
    return dt.datetime.fromtimestamp(milliseconds / 1000).astimezone().isoformat(timespec="seconds")


def _count_told(count: RejectCount) -> dict[str, Any]:
    from bus.pipeline.rejects import STATES

    told: dict[str, Any] = {"dataset": count.dataset, "rule": count.rule, "field": count.field}
    told |= {state: count.states[state] for state in STATES}
    return told | {"first": _time(count.first), "last": _time(count.last)}


def _table(counts: list[RejectCount]) -> Iterator[str]:
    rows = [_count_told(count) for count in counts]
    rows = [{name: f"{value:,}" if isinstance(value, int) else value for name, value in row.items()} for row in rows]
    widths = {name: max(len(name), *(len(row[name]) for row in rows)) for name in rows[0]}
    numbers = {"open", "superseded", "redriven", "at_source"}
    for row in [{name: name.replace("_", " ") for name in widths}, *rows]:
        yield "  ".join(
            row[name].rjust(width) if name in numbers else row[name].ljust(width) for name, width in widths.items()
        ).rstrip()


def _letter_told(letter: DeadLetter) -> dict[str, Any]:
    from bus.wire import header_texts

    return {
        "reject": f"{letter.dataset}/{letter.offset}",
        "state": letter.state,
        "stage": letter.stage,
        "rule": letter.rule,
        "field": letter.field,
        "reason": letter.reason,
        "entity": letter.entity,
        "time": _time(letter.time),
        "origin": letter.origin,
        "key": None if letter.key is None else letter.key.decode("utf-8", "replace"),
        "headers": header_texts(letter.headers),
        "to_do": OF_SHARED if letter.stage == "route" else WHAT_TO_DO[letter.state].format(letter.dataset),
    }


def _lines(told: Mapping[str, Any]) -> Iterator[str]:
    yield f"{told['reject']}  {told['state']}  {told['time']}"
    yield f"  why     {told['rule']}{' of ' + told['field'] if told['field'] else ''}: {told['reason']}"
    for name in ("stage", "origin", "key"):
        if told[name]:
            yield f"  {name:<7} {told[name]}"
    yield f"  record  {json.dumps(told['record'], ensure_ascii=False, default=str)}"
    yield f"  to do   {told['to_do']}"


def _outcome_told(asked: Redrive, outcome: Outcome) -> dict[str, Any]:
    answer = outcome.answer
    return {
        "command": asked.id,
        "dataset": asked.dataset,
        "dry_run": asked.dry_run,
        "matched": answer.matched,
        "redriven": answer.redriven,
        "rejected": dict(answer.rejected),
        "superseded": answer.superseded,
        "gone": answer.gone,
        "silent_lanes": list(outcome.silent),
    }


def _summary(asked: Redrive, answer: Answer) -> Iterator[str]:
    from bus.catalogue.actions import plural

    yield f"{asked.dataset}: {plural(answer.matched, 'open reject')} selected" + (" (dry run)" if asked.dry_run else "")
    yield f"  {'would be redriven' if asked.dry_run else 'redriven'}: {answer.redriven:,}"
    for rule, count in sorted(answer.rejected.items(), key=lambda each: (-each[1], each[0])):
        yield f"  still rejected by {rule}: {count:,}"
    if answer.superseded:
        yield f"  superseded meanwhile: {answer.superseded:,}"
    if answer.gone:
        yield f"  gone from raw and from the dead letters, still open: {answer.gone:,}; have the source send them anew"
