"""`bus apply` on a real Kafka with a real registry: done once, nothing the second time, mended after a cut."""

from __future__ import annotations

import asyncio
import gc
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from bus import cli
from bus.catalogue import apply as applying
from bus.catalogue.actions import CreateTopic, PutRecord
from bus.catalogue.apply import WRITER, StaleCatalogueError, apply_plan, read_state
from bus.catalogue.catalogue import Catalogue
from bus.catalogue.plan import Plan, plan
from bus.catalogue.workspace import Workspace
from bus.config import Settings
from bus.errors import FencedError, PlanRefusedError
from bus.kafka.compacted import CompactedTopic
from bus.kafka.embedded import EmbeddedKafka
from bus.registry.server import RegistryServer
from bus.testing.workspaces import population_workspace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path


@pytest.fixture
async def settings(tmp_path: Path) -> AsyncIterator[Settings]:
    """A cluster and a registry of their own."""
    with EmbeddedKafka(tmp_path / "kafka") as kafka:
        found = Settings.load({}, bootstrap=kafka.bootstrap)
        async with RegistryServer(found, "127.0.0.1", 0) as server:
            yield found.model_copy(update={"registry_url": server.url})


async def test_a_workspace_is_applied_once_and_mended_after_a_cut(settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "city"
    population_workspace(folder)
    workspace = Workspace.load(folder)
    empty = await read_state(settings, workspace)
    made = plan(workspace, empty)

    topics_only = replace(made, actions=tuple(a for a in made.actions if isinstance(a, CreateTopic))[:5])
    await apply_plan(topics_only, settings)
    rest = plan(workspace, await read_state(settings, workspace))
    assert 0 < len(rest.actions) < len(made.actions)
    await apply_plan(rest, settings)

    state = await read_state(settings, workspace)
    again = plan(workspace, state)
    assert again.actions == ()
    await apply_plan(again, settings)
    assert [view.name for view in Catalogue.from_records(state.records).subscribed_views()] == ["portal-person"]

    await _a_stale_plan_writes_nothing(settings, workspace, made)
    await _a_refused_plan_changes_nothing(settings, folder)


async def _a_stale_plan_writes_nothing(settings: Settings, workspace: Workspace, made: Plan) -> None:
    """The first plan says that the catalogue is empty; it no longer is."""
    before = await read_state(settings, workspace)
    stale = replace(made, actions=tuple(a for a in made.actions if isinstance(a, PutRecord)))
    with pytest.raises(StaleCatalogueError, match="plan again"):
        await apply_plan(stale, settings)
    assert await read_state(settings, workspace) == before


async def _a_refused_plan_changes_nothing(settings: Settings, folder: Path) -> None:
    file = folder / "gongan" / "population.yaml"
    file.write_text(
        file.read_text("utf-8").replace("partitions: 4", "partitions: 6").replace("retention: 7d", "retention: 8d")
    )
    workspace = Workspace.load(folder)
    before = await read_state(settings, workspace)
    with pytest.raises(PlanRefusedError, match="their order would be lost"):
        await apply_plan(plan(workspace, before), settings)
    assert await read_state(settings, workspace) == before


class Overtaken(CompactedTopic):
    """A writer whom another one fences just before it writes."""

    async def put(self, items: Mapping[str, bytes | None]) -> None:
        async with CompactedTopic(self._connection, self._topic, writer=WRITER):
            pass
        await super().put(items)


async def test_of_two_applies_the_loser_is_told_once(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    population_workspace(tmp_path / "city")
    workspace = Workspace.load(tmp_path / "city")
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    monkeypatch.setattr(applying, "CompactedTopic", Overtaken)

    with pytest.raises(FencedError, match="Another process"):
        await apply_plan(plan(workspace, await read_state(settings, workspace)), settings)

    for _ in range(3):
        gc.collect()
        await asyncio.sleep(0)
    assert told == []


@pytest.mark.parametrize("command", ["plan", "apply"])
def test_a_broker_that_is_down_is_named_with_what_to_do(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([command, "--bootstrap", "127.0.0.1:1"])
    text = capsys.readouterr().err
    assert ended.value.code == 1
    assert "The Kafka broker does not answer" in text
    assert "where: 127.0.0.1:1" in text
    assert "KAFKA_BOOTSTRAP" in text


def test_a_workspace_with_errors_is_not_planned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "workspace.yaml").write_text("kind: Workspace\nmetadata: {name: x}\n")
    (tmp_path / "a.yaml").write_text("kind: Subscriber\nmetadata: {name: a}\nspec: {department: nobody}\n")
    with pytest.raises(SystemExit) as ended:
        cli.main(["plan", str(tmp_path), "--bootstrap", "127.0.0.1:1"])
    assert ended.value.code == 1
    assert f"{tmp_path}/a.yaml:3: error: there is no Department 'nobody'" in capsys.readouterr().err
