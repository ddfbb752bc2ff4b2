"""`docs/workspace.md` is true: its commands run, those that need a cluster exist, and its views are views."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest
from ruamel.yaml import YAML

from bus import cli
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


def views() -> list[dict[str, Any]]:
    return [YAML(typ="safe").load(block)["spec"] for block in blocks("yaml")]


@pytest.mark.parametrize("spec", views())
def test_the_views_are_views(spec: dict[str, Any]) -> None:
    assert ViewSpec.model_validate(REST_OF_A_VIEW | spec)
