"""The broker of `bus up` and `bus kafka`: guarded from the start, and neither opened nor closed by mistake."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Self

import pytest

from bus.config import Connection, Settings
from bus.credentials import SUPERUSER, Credentials, CredentialsError, found_login
from bus.errors import BrokerUnavailableError, EmbeddedKafkaError
from bus.kafka.admin import Admin, NewTopic
from bus.own_broker import OwnBroker


class CommandLines:
    """Watches the command lines of all processes for a text, as any user of the machine can."""

    def __init__(self, told: str) -> None:
        self.seen: set[str] = set()
        self._told = told
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        while not self._end.is_set():
            for file in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    text = file.read_bytes().decode(errors="replace")
                except OSError:
                    continue
                self.seen.update({"format"} if "@" in text and ".format-" in text else set())
                self.seen.update({text} if self._told in text else set())

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path)


def test_a_guarded_broker_keeps_its_login_over_restarts_and_ports(settings: Settings) -> None:
    first = OwnBroker(settings, 0)
    password = (Credentials(settings.data_dir).read(SUPERUSER) or {})["KAFKA_PASSWORD"]
    with CommandLines(password) as lines, first:
        Admin(first.settings.kafka).create_topics([NewTopic("kept")])
        with pytest.raises(BrokerUnavailableError):
            Admin(Connection(bootstrap=first.kafka.bootstrap), timeout=2).topics()
    assert lines.seen == {"format"}, "formatting was seen, and no password"

    with OwnBroker(settings, 0) as again:
        assert again.settings.kafka.password.get_secret_value() == password
        found = Settings.load(found_login({}, SUPERUSER, None, settings.data_dir))
        assert found.kafka.bootstrap == again.kafka.bootstrap
        assert "kept" in Admin(found.kafka).topics()

    with pytest.raises(EmbeddedKafkaError, match="made with logins") as opened:
        OwnBroker(settings, 0, secured=False).start()
    assert "without --insecure" in str(opened.value)

    Credentials(settings.data_dir).delete(SUPERUSER)
    with pytest.raises(CredentialsError, match="gone") as lost:
        OwnBroker(settings, 0)
    assert "server.properties" in str(lost.value)


@pytest.fixture
def open_data(settings: Settings) -> Settings:
    """A folder of a broker without logins, as every earlier version made it."""
    with OwnBroker(settings, 0, secured=False) as broker:
        Admin(broker.settings.kafka).create_topics([NewTopic("open")])
    file = settings.data_dir / "kafka" / "embedded.json"
    identity = json.loads(file.read_text())
    del identity["secured"]
    file.write_text(json.dumps(identity))
    return settings


def test_open_data_are_not_guarded_in_silence(open_data: Settings) -> None:
    with pytest.raises(EmbeddedKafkaError, match="made without logins") as refused:
        OwnBroker(open_data, 0).start()
    for way_out in ("--data-dir", "move this one away", "--insecure"):
        assert way_out in str(refused.value)
    assert Credentials(open_data.data_dir).names() == frozenset()

    with OwnBroker(open_data, 0, secured=False) as broker:
        assert "open" in Admin(broker.settings.kafka).topics()
