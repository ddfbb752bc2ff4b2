"""The workspaces that the bench makes are valid ones."""

from __future__ import annotations

import shutil
from pathlib import Path

import bus.bench
from bus.bench import districts, quiet
from bus.bench.events import LIGHT_ROW, changes
from bus.catalogue.mapping import Mapping
from bus.catalogue.view import View
from bus.catalogue.workspace import Workspace, default_workspace
from bus.wire import view_topic

BENCH = Path(bus.bench.__file__).parent


def bench_workspace(target: Path) -> Path:
    shutil.copytree(default_workspace(), target)
    shutil.copytree(BENCH / "workspace", target / "bench")
    return target / "bench"


def test_each_district_has_a_view_of_its_own(tmp_path: Path) -> None:
    bench = bench_workspace(tmp_path / "made")
    districts.write_views(BENCH / "workspace_view.yaml", bench / "view.yaml", 100)

    views = Workspace.load(tmp_path / "made").all(View)

    made = {view_topic(view.name, view.spec.revision) for view in views if view.spec.entity == "bench.person"}
    assert made == set(districts.topics(100))


def test_everybody_lives_in_one_of_the_districts_and_stays_there() -> None:
    homes: dict[bytes, set[str]] = {}
    for key, event in districts.moved(changes(25_000, LIGHT_ROW), 100):
        homes.setdefault(key, set()).add((event["after"] or event["before"])["xzqhdm"])

    assert {home for each in homes.values() for home in each} == {districts.code(number) for number in range(100)}
    assert all(len(each) == 1 for each in homes.values())


def test_quiet_datasets_are_mapped_each_to_an_entity_of_its_own(tmp_path: Path) -> None:
    bench = bench_workspace(tmp_path / "made")
    quiet.write_workspace(bench / "bench.yaml", bench / "quiet.yaml", 12)

    mapped = {each.spec.dataset: each.spec.entity for each in Workspace.load(tmp_path / "made").all(Mapping)}

    for number in range(12):
        assert mapped[quiet.dataset_name(number)] == quiet.entity_name(number)
