"""What every command does for its users' mistakes: a hint, a place, a way out, the right exit code; no traceback."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest

from bus import cli
from bus.config import Settings
from bus.kafka.embedded import EmbeddedKafka
from bus.testing.registry_thread import RegistryThread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Start = Callable[..., subprocess.Popen[str]]

NOBODY_THERE = {"KAFKA_BOOTSTRAP": "127.0.0.1:1", "BUS_REGISTRY_URL": "http://127.0.0.1:1"}
CPU_SECONDS = 0.5


def all_commands() -> Iterator[list[str]]:
    """The words of every command, of groups' commands too."""
    context = click.Context(cli.bus)
    for name in cli.bus.list_commands(context):
        yield [name]
        command = cli.bus.get_command(context, name)
        if isinstance(command, click.Group):
            yield from ([name, inner] for inner in command.list_commands(context))


def ended(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Exit code, output and errors of a command in this process."""
    with pytest.raises(SystemExit) as end:
        cli.main(arguments)
    out, err = capsys.readouterr()
    return int(end.value.code or 0), out, err


def test_help_costs_little_and_imports_no_client_of_kafka() -> None:
    code = (
        "import sys\nfrom bus.cli import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n"
        "    print(sorted(sys.modules), file=sys.stderr)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stderr
    out, err = process.stdout.read(), process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    assert "validate" in out
    heavy = {"faust", "mode", "aiokafka", "confluent_kafka", "fastavro", "pydantic", "psycopg", "rich", "asyncio"}
    assert heavy.isdisjoint(json.loads(err.replace("'", '"')))
    assert used.ru_utime + used.ru_stime < CPU_SECONDS


@pytest.mark.parametrize("words", list(all_commands()), ids=" ".join)
def test_every_command_says_what_it_does(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = ended([*words, "--help"], capsys)
    assert code == 0
    told = out.split("\n\n")[1].strip()
    assert told.split("\n")[0][-1] in ".:,;" or len(told) > 40
    assert told.startswith(told[0].upper())


def test_the_help_of_control_tells_when_a_subscription_ends_and_how_to_have_it_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, out, _ = ended(["control", "--help"], capsys)
    assert code == 0
    told = " ".join(out.split())
    assert "at midnight in the time zone of this machine (TZ)" in told
    assert "set a later `valid_until` and run `bus apply`" in told
    assert "ALTER and DESCRIBE on the cluster" in told
    assert "--metrics-port" in told


def test_the_table_of_commands_is_the_folder_of_commands() -> None:
    from bus import commands

    helpers = {"__init__", "options", "hinting"}
    modules = {file.stem for file in Path(commands.__path__[0]).glob("*.py")} - helpers
    assert modules == set(cli.COMMANDS)


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["tpics"], "Did you mean topics?"),
        (["frobnicate"], "There are adapter, apply"),
        (["adapter", "chek"], "Did you mean check?"),
        (["mapping", "tst"], "Did you mean test?"),
        (["--hlp"], "--help"),
        (["plan", "--jsn"], "--json"),
        (["tail"], "Missing argument 'TOPIC'"),
        (["tail", "x", "--limit", "0"], "--limit"),
        (["demo", "--for", "soon"], "30s, 5m, 1h"),
        (["demo", "--report", "/nowhere/report.json"], "there is no such folder"),
        (["validate", "/nowhere"], "there is no such folder"),
        (["plan", "/nowhere"], "there is no such folder"),
        (["plan", "--bootstrap", "nonsense"], "is not host:port"),
        (["apply", "--registry", "http://["], "an http:// or https:// URL"),
        (["apply", "--registry", "ftp://foo"], "an http:// or https:// URL"),
        (["validate", "/etc/passwd"], "that is not a folder"),
        (["validate", "--schema", "Datset"], "one of Department, Dataset"),
        (["catalogue", "--kind", "Datset"], "one of Department, Dataset"),
        (["adapter", "spec", "oracle"], "installed are: files, postgres"),
        (["up", "--adapter", "gongan"], "NAME=FILE is expected"),
        (["adapter", "run", "x", "--config", "/nowhere"], "does not exist"),
    ],
)
def test_wrong_use_ends_with_2_and_a_hint(arguments: list[str], hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = ended(arguments, capsys)
    assert code == 2
    assert hint in err


def test_a_setting_that_cannot_be_used_names_its_variable(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BUS_LANES", "many")
    code, _, err = ended(["plan"], capsys)
    assert (code, "BUS_LANES" in err) == (2, True)


def test_a_broker_that_is_down_is_named_with_the_way_out(start: Start) -> None:
    commands = ["plan", "apply", "tail x", "topics", "catalogue", "export", "worker", "control"]
    commands += ["adapter run gongan", "adapter check gongan", "adapter discover gongan", "registry --port 0"]
    commands += ["up --bootstrap 127.0.0.1:1 --registry-port 0"]
    running = {command: start(*command.split(), **NOBODY_THERE) for command in commands}
    for command, process in running.items():
        _, err = process.communicate(timeout=90)
        assert process.returncode == 1, (command, err)
        assert err.startswith("bus: The Kafka broker does not answer"), (command, err)
        assert "where: 127.0.0.1:1" in err, command
        assert "fix: " in err, command
        assert "Traceback" not in err, command


def test_a_reader_that_goes_away_is_no_fault(start: Start) -> None:
    process = start("adapter", "spec", "postgres")
    assert process.stdout
    assert process.stderr
    process.stdout.close()
    err = process.stderr.read()
    process.wait(30)
    process.stderr.close()
    assert "Traceback" not in err
    assert "Exception ignored" not in err


def test_a_terminal_without_chinese_gets_question_marks(start: Start) -> None:
    process = start("--help", PYTHONIOENCODING="latin-1")
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    assert "??" in out


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, list[str]]]:
    """A workspace of `bus init`, applied to a cluster of its own; and the options that name the cluster."""
    folder = tmp_path_factory.mktemp("city") / "mycity"
    with EmbeddedKafka(tmp_path_factory.mktemp("kafka")) as kafka:
        settings = Settings.load({}, bootstrap=kafka.bootstrap)
        with RegistryThread(settings.kafka) as registry:
            options = ["--bootstrap", kafka.bootstrap, "--registry", registry.url]
            for arguments in (["init", str(folder)], ["apply", str(folder), *options]):
                with pytest.raises(SystemExit, match="0"):
                    cli.main(arguments)
            yield folder, options


def told_as_json(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> Any:
    """What a command with `--json` says."""
    code, out, _ = ended([*arguments, "--json"], capsys)
    assert code == 0
    return json.loads(out)


def test_a_new_workspace_validates_and_its_examples_pass(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(["init", str(tmp_path / "苏州")], capsys)[0] == 0
    told = told_as_json(["validate", str(tmp_path / "苏州")], capsys)
    assert (told["workspace"], told["findings"]) == ("苏州", [])
    assert [run["findings"] for run in told_as_json(["mapping", "test", str(tmp_path / "苏州")], capsys)] == [[]]
    assert ended(["init", str(tmp_path / "苏州")], capsys)[0] == 2


def test_topics_tells_what_each_is_for(city: tuple[Path, list[str]], capsys: pytest.CaptureFixture[str]) -> None:
    found = {line["topic"]: line for line in told_as_json(["topics", *city[1]], capsys)}
    assert found["raw.scjg.companies"]["purpose"] == "changes of dataset scjg.companies"
    assert found["view.portal-company.v1"]["partitions"] == 4
    assert found["_bus.catalogue"]["records"] >= 9
    assert "__consumer_offsets" not in found
    assert "rejects of dataset scjg.companies" in ended(["topics", *city[1]], capsys)[1]


def test_the_catalogue_lists_every_resource_with_its_manager_and_state(
    city: tuple[Path, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    rows = told_as_json(["catalogue", *city[1]], capsys)
    assert {row["managedBy"] for row in rows} == {"mycity"}
    assert [row["state"] for row in rows if row["kind"] == "Subscription"] == ["active"]
    assert [row["revision"] for row in rows if row["kind"] == "View"] == [1]
    assert len(told_as_json(["catalogue", *city[1], "--kind", "Department"], capsys)) == 2


def test_what_is_exported_is_a_workspace_again(
    city: tuple[Path, list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "the catalogue's managers: mycity" in ended(["export", *city[1]], capsys)[2]
    code, out, _ = ended(["export", *city[1], "--managed-by", "mycity"], capsys)
    assert code == 0
    (tmp_path / "workspace.yaml").write_text("kind: Workspace\nmetadata: {name: mycity}\n")
    (tmp_path / "exported.yaml").write_text(out, "utf-8")
    told = told_as_json(["validate", str(tmp_path)], capsys)
    assert [finding["severity"] for finding in told["findings"]] == ["warning"]  # golden examples stay behind
    assert sum(told["resources"].values()) == 9


def test_plan_and_apply_speak_json(city: tuple[Path, list[str]], capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("plan", "apply"):
        assert told_as_json([command, str(city[0]), *city[1]], capsys)["actions"] == []


def test_adapter_list_speaks_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert told_as_json(["adapter", "list"], capsys)["postgres"]["snapshot"] is True


@pytest.mark.parametrize("command", ["plan", "apply"])
def test_a_golden_example_that_differs_is_a_warning(
    command: str, city: tuple[Path, list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(city[0], tmp_path / "city")
    golden = tmp_path / "city/companies/companies.golden.yaml"
    golden.write_text(golden.read_text("utf-8").replace("has: {founded: 2020-05-01}", "has: {founded: 2020-05-02}"))
    told = told_as_json([command, str(tmp_path / "city"), *city[1]], capsys)
    warned = [finding for finding in told["findings"] if "中文日期" in finding["message"]]
    assert [(finding["severity"], finding["fix"]) for finding in warned] == [("warning", "see `bus mapping test`")]
    assert told["actions"] == []
