"""What stands in the way of reading dumps from a folder; every finding with what mends it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from adapters.files.inbox import DONE, FAILED, HELD, Inbox
from adapters.files.names import shown
from bus.spi import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from adapters.files.config import FilesConfig


def findings(
    config: FilesConfig, inbox: Inbox, state: Path, datasets: Sequence[str], keys: Mapping[str, Sequence[str]]
) -> list[Finding]:
    """Findings about the folder, the datasets to be read, and what lies there."""
    found = [finding for name in datasets for finding in _dataset(config, name, tuple(keys.get(name, ())))]
    found += _folder(config.folder, state)
    if not any(finding.severity is Severity.ERROR for finding in found):
        found += _content(config, inbox)
    return found


def _dataset(config: FilesConfig, name: str, key: tuple[str, ...]) -> Iterator[Finding]:
    chosen = config.datasets.get(name)
    if chosen is None:
        yield Finding(
            "the adapter's configuration does not describe this dataset",
            where=name,
            fix=f"add it to `datasets`, or name one of those there: {', '.join(config.datasets)}",
        )
    elif key and key != chosen.key:
        yield Finding(
            f"the Dataset's key is {', '.join(key)}, the configuration's {', '.join(chosen.key)}",
            where=name,
            fix="make `key` the same in both, in the same order",
        )


def _folder(folder: Path, state: Path) -> Iterator[Finding]:
    if not folder.is_dir():
        yield Finding("there is no such folder", where=str(folder), fix=f"create it: mkdir -p {folder}")
        return
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        yield Finding(
            "the adapter may not read and write there",
            where=str(folder),
            fix=f"give its user the right: chmod u+rwx {folder}",
        )
        return
    for name in (DONE, FAILED):
        target = folder / name
        if target.exists() and target.stat().st_dev != folder.stat().st_dev:
            yield Finding(
                "it is on another disk, so a dump cannot be moved there in one step",
                where=str(target),
                fix="let it be a plain folder",
            )
    parent = next((each for each in (state, *state.parents) if each.exists()), folder)
    if not os.access(parent, os.W_OK | os.X_OK):
        yield Finding(
            "the adapter's state cannot be written there",
            where=str(state),
            fix="set `state` to a folder that can be written",
        )


def _content(config: FilesConfig, inbox: Inbox) -> Iterator[Finding]:
    for name in inbox.strangers():
        several = inbox.datasets_of(name)
        yield Finding(
            f"it fits the patterns of {', '.join(several)}" if several else "it fits the pattern of no dataset",
            where=shown(name),
            fix="let the patterns `files` differ" if several else "rename it, add a dataset for it, or take it away",
            severity=Severity.WARNING,
        )
    for arrival in inbox.arrivals():
        name = arrival.identity.name
        held = inbox.beside(name, HELD)
        if not arrival.whole and not held.exists():
            mark = shown(inbox.beside(name, config.marker_suffix).name)
            marker = f", or put {mark} beside it" if config.ready == "marker" else ""
            yield Finding("it may still be written", where=shown(name), fix=f"wait{marker}", severity=Severity.WARNING)
        if held.exists():
            yield Finding(
                "it waits for a person",
                where=shown(name),
                fix=f"see {shown(held.name)} beside it",
                severity=Severity.WARNING,
            )
