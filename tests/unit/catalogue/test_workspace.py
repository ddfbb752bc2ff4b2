from __future__ import annotations

import resource
import subprocess
import sys
from typing import TYPE_CHECKING

from bus.catalogue.codelist import CodeList
from bus.catalogue.dataset import Dataset
from bus.catalogue.entity import Entity
from bus.testing.workspaces import population_resources

if TYPE_CHECKING:
    from tests.unit.catalogue.conftest import Bus, Folder


def test_a_workspace_knows_its_resources_by_kind_and_name() -> None:
    workspace = population_resources()
    assert workspace.name == "suzhou"
    assert workspace.named(Dataset)["gongan.population"].spec.key == ("sfzh",)
    assert list(workspace.resources["View"]) == ["View/portal-person/1"]


def test_files_that_a_resource_names_are_part_of_it() -> None:
    workspace = population_resources()
    assert workspace.named(CodeList)["ethnicity"].names()["56"] == "基诺族"
    assert workspace.named(CodeList)["divisions"].names()["320508"] == "姑苏区"
    assert workspace.named(Entity)["population.person"].spec.avro["name"] == "person"


def test_a_digest_changes_with_the_content_and_not_with_the_writing(folder: Folder) -> None:
    before = folder.load().named(Dataset)["gongan.population"].digest()
    folder.replace("gongan/population.yaml", "key: [sfzh]", "key:\n    - sfzh  # the same")
    assert folder.load().named(Dataset)["gongan.population"].digest() == before
    folder.replace("gongan/population.yaml", "retention: 7d", "retention: 8d")
    assert folder.load().named(Dataset)["gongan.population"].digest() != before
    assert before.startswith("sha256:")


def test_a_change_in_a_file_that_a_resource_names_changes_its_digest(folder: Folder) -> None:
    before = folder.load().named(CodeList)["sex"].digest()
    folder.replace("codelists/sex.csv", "女性", "女")
    assert folder.load().named(CodeList)["sex"].digest() != before


def test_hidden_folders_are_not_read(folder: Folder) -> None:
    folder.add(".git/x.yaml", "kind: Nonsense\n")
    assert folder.load().findings == ()


def test_a_broken_resource_does_not_make_the_references_to_it_dangle(bus: Bus, folder: Folder) -> None:
    folder.replace("population/person.yaml", "nature: state", "nature: stat")
    assert "1 error," in bus("validate", folder.path).out


def test_validate_takes_less_than_a_second_with_the_start_of_python() -> None:
    """Processor time of the whole process, which nothing else on the machine makes longer; it waits for nothing."""

    def seconds() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", "from bus.cli import main; main()", "validate"], check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime

    assert min(seconds() for _ in range(5)) < 1.0
