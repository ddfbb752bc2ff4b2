"""`docs/operating.md` is true: its commands run, and it knows every cause, verdict and column."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from bus import cli, control
from bus.control.health import Verdict
from bus.testing.office import VIEW, Office, credit_codes
from bus.testing.waiting import until

if TYPE_CHECKING:
    from bus.config import Settings

PAGE = Path(__file__).parents[2] / "docs" / "operating.md"


@pytest.fixture(scope="module")
def page() -> str:
    return PAGE.read_text("utf-8")


def commands(page: str, language: str) -> list[list[str]]:
    """The words of every command in blocks of a language."""
    blocks = re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)
    lines = [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith("bus ")]


async def test_the_commands_run(page: str, tmp_path: Path) -> None:
    found = commands(page, "sh")
    assert [words[0] for words in found] == ["status", "status", "dlq", "dlq"]
    async with Office(tmp_path) as office:
        office.worker()
        office.adapter()
        await office.register([*credit_codes(10), "no credit code"])

        async def ok() -> bool:
            health = await office.observer.observe()
            return health.ok and health.views[0].records == 10 and health.datasets[0].open_rejects == 1

        await until(ok, within=60)
        for words in found:
            code, text = await ran(words, office.settings)
            assert code == 0, text
            assert VIEW in text or "scjg" in text or "no credit code" in text


async def ran(words: list[str], settings: Settings) -> tuple[int | None, str]:
    """Exit code and output of a command."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bus", *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=os.environ | settings.environment(),
    )
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, out.decode()


def test_the_commands_that_run_on_exist_with_their_options(page: str) -> None:
    for words in commands(page, "console"):
        context = click.Context(cli.bus)
        command = cli.bus.get_command(context, words[0])
        if isinstance(command, click.Group):
            command = command.get_command(click.Context(command), words[1])
        assert command is not None
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known


def test_the_page_knows_every_cause_and_every_verdict(page: str) -> None:
    sources = [file.read_text("utf-8") for file in Path(control.__path__[0]).glob("*.py")]
    codes = {code for source in sources for code in re.findall(r'code="([a-z-]+)"', source)}
    causes = page[page.index("## The causes") : page.index("## For programs")]
    told = set(re.findall(r"`([a-z]+-[a-z]+|filling)`", causes))
    assert told == codes
    verdicts = re.findall(r"^\| ([A-Z]+) \|", page, re.MULTILINE)
    assert verdicts == [str(verdict) for verdict in Verdict]


def test_the_page_names_metrics_that_exist(page: str) -> None:
    from bus import metrics

    named = set(re.findall(r"shuniu_[a-z_]+", page))
    assert named <= {metric.name for metric in metrics.ALL} | {f"{metric.name}_total" for metric in metrics.ALL}
    assert len(named) >= 4
