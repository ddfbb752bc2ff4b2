"""The secret keys of pseudonyms: from the environment or a file, never from the catalogue or a topic.

A view that shows a field as a pseudonym names its key. Whoever has it can try all values: keep it like a password.
"""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING, Final

from bus.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PREFIX: Final = "BUS_PSEUDONYM_KEY_"
FOLDER: Final = "pseudonym-keys"
SHORTEST: Final = 32
"""Characters of a key: as many as SHA-256 has bytes (RFC 2104, section 3)."""


def variable(name: str) -> str:
    """The environment variable of a key."""
    return PREFIX + name.upper().replace("-", "_").replace(".", "_")


def pseudonym_key(name: str, data_dir: Path, environment: Mapping[str, str] | None = None) -> bytes:
    """The key of that name.

    Args:
        name: as views name it.
        data_dir: of the settings; the key may lie in it.
        environment: the process's by default.

    Raises:
        ConfigError: there is none, it cannot be read, or it is too short.
    """
    file = data_dir / FOLDER / name
    given = (os.environ if environment is None else environment).get(variable(name))
    try:
        key = (file.read_text(encoding="utf-8") if given is None else given).strip()
    except FileNotFoundError:
        fix = f"set {variable(name)}, or start `bus up` anew, which makes the file {file} at its start"
        raise ConfigError(f"there is no pseudonym key {name!r}", where=variable(name), fix=fix) from None
    except OSError as error:
        raise ConfigError(f"pseudonym key {name!r} cannot be read: {error.strerror}", where=str(file)) from None
    if len(key) < SHORTEST:
        where = variable(name) if given is not None else str(file)
        raise ConfigError(f"pseudonym key {name!r} is shorter than {SHORTEST} characters", where=where)
    return key.encode()


def make_pseudonym_key(name: str, data_dir: Path) -> None:
    """Make a random key of that name in the data folder, for its owner's eyes; one that is there or given stays."""
    folder = data_dir / FOLDER
    file = folder / name
    if variable(name) in os.environ or file.exists():
        return
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = folder / f".{name}.part"
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as opened:
        opened.write(secrets.token_hex(32) + "\n")
        opened.flush()
        os.fsync(opened.fileno())
    part.rename(file)
