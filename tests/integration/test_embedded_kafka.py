"""The embedded broker: a real Kafka that keeps its data, and never outlives its owner."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bus.config import Connection
from bus.errors import EmbeddedKafkaError
from bus.kafka import probe
from bus.kafka.admin import Admin, NewTopic
from bus.kafka.embedded import EmbeddedKafka

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OWNER = """
import sys, pathlib
from bus.kafka.embedded import EmbeddedKafka
kafka = EmbeddedKafka(pathlib.Path(sys.argv[1]))
kafka.start()
print(kafka._jvm_pid, flush=True)
sys.stdin.read()
"""


def admin(kafka: EmbeddedKafka) -> Admin:
    return Admin(Connection(bootstrap=kafka.bootstrap))


def eventually(condition: Callable[[], bool], within: float = 30.0) -> bool:
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    with EmbeddedKafka(tmp_path_factory.mktemp("kafka")) as running:
        yield running


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A process of its own that owns a broker, and the JVM's process id."""
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout
    pid = int(process.stdout.readline())
    yield process, pid
    process.kill()
    process.communicate()


def test_it_answers_as_soon_as_start_returns(kafka: EmbeddedKafka) -> None:
    admin(kafka).create_topics([NewTopic("answered", 2)])

    assert admin(kafka).topics()["answered"].partitions == 2


def test_data_and_port_are_kept_between_runs(kafka: EmbeddedKafka) -> None:
    admin(kafka).create_topics([NewTopic("kept", 3)])
    before = kafka.bootstrap

    kafka.restart()

    assert kafka.bootstrap == before
    assert admin(kafka).topics()["kept"].partitions == 3


def test_after_a_kill_it_comes_back_with_the_same_data_on_the_same_port(kafka: EmbeddedKafka) -> None:
    admin(kafka).create_topics([NewTopic("survives", 1)])
    before = kafka.bootstrap

    kafka.kill()
    assert not kafka.is_running
    kafka.start()

    assert kafka.bootstrap == before
    assert "survives" in admin(kafka).topics()


def test_a_new_object_on_the_same_folder_finds_port_and_data(tmp_path: Path) -> None:
    with EmbeddedKafka(tmp_path) as first:
        admin(first).create_topics([NewTopic("found", 1)])
    with EmbeddedKafka(tmp_path) as second:
        assert second.bootstrap == first.bootstrap
        assert "found" in admin(second).topics()


def test_a_second_start_on_the_same_folder_says_who_runs_there(kafka: EmbeddedKafka) -> None:
    with pytest.raises(EmbeddedKafkaError) as refused:
        EmbeddedKafka(kafka._dir).start()

    assert f"process {os.getpid()} already runs one" in str(refused.value)
    assert str(kafka._dir) in str(refused.value)
    assert admin(kafka).topics() is not None


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(EmbeddedKafkaError) as refused:
            EmbeddedKafka(tmp_path, port).start()

    assert f"port {port} is taken" in str(refused.value)
    assert "--port" in refused.value.fix


def test_a_port_that_is_taken_while_it_starts_is_left_for_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        chosen = iter([taken])
        free_port, is_free = probe.free_port, probe.is_free
        monkeypatch.setattr(probe, "free_port", lambda: next(chosen, 0) or free_port())
        monkeypatch.setattr(probe, "is_free", lambda port: port == taken or is_free(port))  # as it was a moment before

        with EmbeddedKafka(tmp_path) as kafka:
            admin(kafka).create_topics([NewTopic("found", 1)])
    with EmbeddedKafka(tmp_path) as again:
        assert again.bootstrap == kafka.bootstrap != f"127.0.0.1:{taken}"
        assert "found" in admin(again).topics()


def test_a_port_that_was_asked_for_and_is_taken_while_it_starts_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        is_free, before = probe.is_free, iter([True])
        monkeypatch.setattr(probe, "is_free", lambda each: (each == port and next(before, False)) or is_free(each))
        with pytest.raises(EmbeddedKafkaError) as refused:
            EmbeddedKafka(tmp_path, port).start()

    assert f"port {port} is taken" in str(refused.value)


def test_chosen_ports_are_none_that_outgoing_connections_get() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        given = {server.getsockname()[1], client.getsockname()[1]}

    assert min(given) > max(probe.SERVER_PORTS) >= probe.free_port() >= min(probe.SERVER_PORTS)


def test_a_jvm_that_dies_leaves_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedKafkaError) as refused:
        EmbeddedKafka(tmp_path, properties={"num.io.threads": "none"}).start()

    assert "num.io.threads" in str(refused.value)


def test_the_jvm_ends_when_its_owner_is_killed(owner: tuple[subprocess.Popen[bytes], int], tmp_path: Path) -> None:
    process, jvm = owner

    process.send_signal(signal.SIGKILL)

    assert eventually(lambda: not is_alive(jvm))
    with EmbeddedKafka(tmp_path) as after:  # and its folder is free at once
        assert after.is_running


def test_the_jvm_ends_when_its_owner_gets_sigterm(owner: tuple[subprocess.Popen[bytes], int]) -> None:
    process, jvm = owner

    process.send_signal(signal.SIGTERM)

    assert eventually(lambda: not is_alive(jvm))


@pytest.mark.skipif(sys.platform != "linux", reason="the signal at the parent's death is Linux's")
def test_the_jvm_ends_when_its_guardian_is_killed(owner: tuple[subprocess.Popen[bytes], int]) -> None:
    _, jvm = owner
    guardian = int(Path(f"/proc/{jvm}/stat").read_text().rpartition(")")[2].split()[1])

    os.kill(guardian, signal.SIGKILL)

    assert eventually(lambda: not is_alive(jvm))


def test_the_command_runs_in_the_foreground_until_a_signal(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from bus.cli import main; main()", "kafka", "--port", "0"]
    process = subprocess.Popen([*command, "--data-dir", str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert "Apache Kafka serves 127.0.0.1:" in process.stdout.readline()

    process.send_signal(signal.SIGTERM)

    assert process.wait(30) == 0
