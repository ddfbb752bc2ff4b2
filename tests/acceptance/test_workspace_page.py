"""`docs/workspace.md` is true: its commands run, those that need a cluster exist, its examples are read, and its tables
name every key."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest
from ruamel.yaml import YAML

from bus import cli
from bus.catalogue.golden import Example, Examples
from bus.catalogue.kinds import KINDS
from bus.catalogue.mapping import FieldRule
from bus.catalogue.view import ViewSpec

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    Start = Callable[..., subprocess.Popen[str]]

PAGE = Path(__file__).parents[2] / "docs" / "workspace.md"
REST_OF_A_VIEW = {"entity": "population.person", "revision": 1, "fields": ["id_number"]}


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)


def commands(language: str) -> list[list[str]]:
    lines = [line.removeprefix("$ ") for block in blocks(language) for line in block.splitlines()]
    return [shlex.split(line)[1:] for line in lines]


def test_the_commands_run_one_after_the_other(start: Start) -> None:
    found = commands("sh")
    assert [words[0] for words in found] == ["init", "validate", "mapping", "validate", "validate"]
    for words in found:
        process = start(*words)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, err) == (0, ""), words
        assert out


def test_the_commands_that_need_a_cluster_exist() -> None:
    for words in commands("console"):
        assert cli.bus.get_command(click.Context(cli.bus), words[0]) is not None


def documents() -> list[dict[str, Any]]:
    return [YAML(typ="safe").load(block) for block in blocks("yaml")]


@pytest.mark.parametrize("spec", [document["spec"] for document in documents() if "spec" in document])
def test_the_views_are_views(spec: dict[str, Any]) -> None:
    assert ViewSpec.model_validate(REST_OF_A_VIEW | spec)


def test_the_golden_file_is_one_and_its_keys_are_told() -> None:
    (golden,) = [document for document in documents() if "spec" not in document]
    assert len(Examples.model_validate(golden).examples) == 3
    told = keys_told(PAGE.read_text("utf-8").partition("## Golden examples")[2])
    assert set(told) == set(Examples.model_fields) | set(Example.model_fields) - {"name"}


def keys_told(text: str) -> dict[str, bool]:
    """The keys in the first table of a text, and whether they are in bold."""
    table = text[text.index("| key | means |") :].partition("\n\n")[0]
    cells = [line.split("|")[1] for line in table.splitlines()[2:]]
    return {name: bool(bold) for cell in cells for bold, name in re.findall(r"(\*\*)?`([a-z_]+)`", cell)}


@pytest.mark.parametrize("kind", [*KINDS, "rule"])
def test_the_tables_name_every_key_and_those_that_must_be_there(kind: str) -> None:
    text = PAGE.read_text("utf-8").partition("## All keys")[2]
    model: Any = FieldRule if kind == "rule" else KINDS[kind].model_fields["spec"].annotation
    told = keys_told(text.partition(f"**{kind}**")[2])
    assert told == {field.alias or name: field.is_required() for name, field in model.model_fields.items()}
