"""Adapters that are installed here, by entry point, and their configurations."""

from __future__ import annotations

import os
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from bus.catalogue.load import did_you_mean, keys_at
from bus.errors import ConfigError, WrongUseError
from bus.spi import variables

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pydantic import BaseModel
    from pydantic_core import ErrorDetails

    from bus.spi import Adapter

GROUP: Final = "bus.adapters"


def adapter_kinds() -> list[str]:
    """The kinds of adapters that are installed."""
    return sorted(entry.name for entry in entry_points(group=GROUP))


def adapter_class(kind: str) -> type[Adapter[Any]]:
    """The class of a kind.

    Raises:
        WrongUseError: no such adapter, or one whose own libraries are missing.
    """
    found = entry_points(group=GROUP, name=kind)
    if not found:
        raise WrongUseError(f"no adapter is called {kind!r}", fix=f"installed are: {', '.join(adapter_kinds())}")
    try:
        loaded: type[Adapter[Any]] = next(iter(found)).load()
    except ImportError as error:
        raise WrongUseError(
            f"adapter {kind} needs {error.name}, which is not installed", fix=f"pip install 'shuniu[{kind}]'"
        ) from None
    return loaded


def make_adapter(kind: str, name: str, file: Path | None, environment: Mapping[str, str] | None = None) -> Adapter[Any]:
    """An adapter instance, configured by a YAML file and, over it, by `BUS_ADAPTER_<NAME>_<FIELD>` variables.

    Args:
        kind: of the adapter.
        name: of the instance, as datasets name it in `source.config`.
        file: YAML with the configuration's fields; may be left out if variables give all.
        environment: the process's by default. Secrets belong here.

    Raises:
        ConfigError: the file cannot be read, or a field is missing, unknown or wrong; never with a secret's value.
    """
    chosen = adapter_class(kind)
    values = _file_values(file) if file is not None else {}
    prefix = variables(name)
    environment = os.environ if environment is None else environment
    values |= {key.removeprefix(prefix).lower(): value for key, value in environment.items() if key.startswith(prefix)}
    try:
        config = chosen.config_model.model_validate(values)
    except ValidationError as error:
        told, close = _told(chosen.config_model, error.errors(include_input=False, include_url=False))
        raise ConfigError(
            told,
            where=f"configuration of adapter {name}" + (f", {file}" if file else ""),
            fix=f"{close}bus adapter spec {kind} shows every field; {prefix}<FIELD> in the environment sets one",
        ) from None
    return chosen(name, config)


def _told(model: type[BaseModel], errors: Sequence[ErrorDetails]) -> tuple[str, str]:
    """What is wrong with a configuration, never with a value of it, and what an unknown field may have meant.

    A misspelt field is unknown, and the one that was meant is missing: the first tells of the second.
    """
    told, meant = [], []
    for error in sorted(errors, key=lambda error: error["type"] != "extra_forbidden"):
        *path, last = error["loc"] or ("",)
        field = ".".join(str(part) for part in error["loc"])
        if error["type"] == "extra_forbidden":
            told.append(f"no field is called {field}")
            meant.append(did_you_mean(str(last), keys_at(model, path)))
        elif error["type"] == "missing":
            told.append(f"{field} is missing")
        else:
            message = error["msg"].removeprefix("Value error, ")
            told.append(f"{field}: {message}" if field else message)
    close = next(filter(None, meant), "")
    return "; ".join(told), f"{close} " if close else ""


def _file_values(file: Path) -> dict[str, Any]:
    try:
        found = YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8"))
    except MarkedYAMLError as error:  # its text may quote the file, which may hold a secret
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark is not None else ""
        raise ConfigError("not YAML", where=f"{file}{line}", fix="mend that line, or the one before it") from None
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise ConfigError(
            type(error).__name__, where=str(file), fix="it must be a readable YAML file in UTF-8"
        ) from None
    if not isinstance(found, dict):
        raise ConfigError("fields and values are expected", where=str(file))
    return found
