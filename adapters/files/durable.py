"""Small files that are whole or not there, whenever the power fails."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from adapters.files.faults import no_room

if TYPE_CHECKING:
    from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Make what was renamed or removed in a folder durable."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def publish(temporary: Path, target: Path) -> None:
    """Give a file that was written its name, durably.

    Raises:
        SourceUnavailableError: no room.
    """
    try:
        opened = os.open(temporary, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
        temporary.replace(target)
        sync_folder(target.parent)
    except OSError as error:
        raise no_room(target.parent, error) from None


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file, whole or not at all; in ASCII, so that any file name comes back as it is.

    Raises:
        SourceUnavailableError: no room.
    """
    temporary = path.with_name(path.name + ".tmp")
    try:
        temporary.write_text(json.dumps(value), encoding="ascii")
    except OSError as error:
        raise no_room(path.parent, error) from None
    publish(temporary, path)


def read_json(path: Path) -> Any:
    """What a JSON file says; None if it is not there or not whole."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
