"""An adapter's configuration: all that is wrong is told at once, with the field that was meant, never with a value."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bus.errors import ConfigError
from bus.installed import make_adapter

if TYPE_CHECKING:
    from pathlib import Path


def refused(kind: str, file: Path, text: str, environment: dict[str, str] | None = None) -> ConfigError:
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        make_adapter(kind, "register", file, environment or {})
    return caught.value


def test_a_misspelt_field_comes_first_and_with_the_one_that_was_meant(tmp_path: Path) -> None:
    error = refused("postgres", tmp_path / "register.yaml", "database: people\nusr: bus_reader\n")
    assert error.detail == "no field is called usr; user is missing"
    assert error.fix.startswith("did you mean 'user'?")
    assert error.where.endswith("register.yaml")


def test_a_field_within_a_dataset_is_told_with_its_place(tmp_path: Path) -> None:
    text = "folder: in\ndatasets:\n  person:\n    file: '*.csv'\n    columns: [ID]\n    key: [ID]\n"
    error = refused("files", tmp_path / "register.yaml", text)
    assert error.detail == "no field is called datasets.person.file; datasets.person.files is missing"
    assert error.fix.startswith("did you mean 'files'?")


def test_what_does_not_fit_is_told_without_the_value(tmp_path: Path) -> None:
    environment = {"BUS_ADAPTER_REGISTER_PORT": "hunter2"}
    error = refused("postgres", tmp_path / "register.yaml", "database: people\nuser: bus_reader\n", environment)
    assert error.detail.startswith("port: ")
    assert "hunter2" not in f"{error.detail} {error.where} {error.fix}"


def test_what_is_no_yaml_is_told_by_its_line_and_not_quoted(tmp_path: Path) -> None:
    error = refused("postgres", tmp_path / "register.yaml", "database: people\npassword: [hunter2\nuser: a\n")
    assert error.detail == "not YAML"
    assert error.where.endswith("register.yaml:3")
    assert "hunter2" not in str(error)
