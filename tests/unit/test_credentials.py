"""Logins in files: who finds which, and what is said when one cannot be used."""

from __future__ import annotations

import shlex
import stat
import threading
from typing import TYPE_CHECKING

import pytest

from bus.config import Settings
from bus.credentials import SUPERUSER, Credentials, CredentialsError, as_principal, found_login

if TYPE_CHECKING:
    from pathlib import Path

HERE = "127.0.0.1:19092"


def settings(folder: Path) -> Settings:
    return Settings.load(
        {}, bootstrap=HERE, security_protocol="SASL_PLAINTEXT", username="bus", password="b", data_dir=folder
    )


def test_a_login_is_made_once_and_then_stays(tmp_path: Path) -> None:
    credentials = Credentials(tmp_path)
    password = credentials.create("portal", settings(tmp_path))
    assert credentials.create("portal", settings(tmp_path)) == password
    assert len(password) == 32
    assert credentials.create("tax", settings(tmp_path)) != password
    assert credentials.names() == {"portal", "tax"}


def test_a_file_holds_what_a_shell_needs_and_only_its_owner_may_see_it(tmp_path: Path) -> None:
    credentials = Credentials(tmp_path)
    password = credentials.create("portal", settings(tmp_path))
    file = credentials.file("portal")
    assert dict(shlex.split(line)[0].split("=", 1) for line in file.read_text().splitlines()) == {
        "KAFKA_BOOTSTRAP": HERE,
        "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
        "KAFKA_USERNAME": "portal",
        "KAFKA_PASSWORD": password,
        "BUS_REGISTRY_URL": "http://127.0.0.1:8081",
        "BUS_ID": "shuniu",
    }
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(credentials.folder.stat().st_mode) == 0o700
    assert [each.name for each in credentials.folder.iterdir()] == ["portal.env"], "nothing half written is left"


def test_two_who_make_the_same_login_at_once_have_the_same_password(tmp_path: Path) -> None:
    made: list[str] = []
    threads = [
        threading.Thread(target=lambda: made.append(Credentials(tmp_path).create("bus", settings(tmp_path))))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 8
    assert len(set(made)) == 1


def test_a_broker_that_moved_takes_its_logins_along(tmp_path: Path) -> None:
    credentials = Credentials(tmp_path)
    password = credentials.create("portal", settings(tmp_path))
    kafka = settings(tmp_path).kafka.model_copy(update={"bootstrap": "127.0.0.1:7"})
    credentials.move(settings(tmp_path).model_copy(update={"kafka": kafka, "registry_url": "http://127.0.0.1:8"}))
    found = credentials.read("portal") or {}
    assert (found["KAFKA_BOOTSTRAP"], found["BUS_REGISTRY_URL"]) == ("127.0.0.1:7", "http://127.0.0.1:8")
    assert (found["KAFKA_USERNAME"], found["KAFKA_PASSWORD"]) == ("portal", password)


@pytest.mark.parametrize(
    ("environment", "option", "found"),
    [
        ({}, None, True),
        ({}, HERE, True),
        ({"KAFKA_BOOTSTRAP": HERE}, None, True),
        ({"BUS_ID": "city", "KAFKA_USERNAME": ""}, None, True),
        ({}, "elsewhere:9092", False),
        ({"KAFKA_BOOTSTRAP": "elsewhere:9092"}, None, False),
        ({"KAFKA_BOOTSTRAP": "elsewhere:9092"}, HERE, True),
        ({"KAFKA_USERNAME": "me"}, None, False),
        ({"KAFKA_SECURITY_PROTOCOL": "PLAINTEXT"}, None, False),
        ({"KAFKA_BOOTSTRAP": HERE, "KAFKA_USERNAME": "me", "KAFKA_PASSWORD": "p"}, None, False),
    ],
)
def test_a_login_counts_only_where_no_other_login_or_cluster_is_named(
    environment: dict[str, str], option: str | None, found: bool, tmp_path: Path
) -> None:
    Credentials(tmp_path).create(SUPERUSER, settings(tmp_path))
    login = found_login(environment, SUPERUSER, option, tmp_path)
    assert (login.get("KAFKA_USERNAME") == SUPERUSER) is found
    assert (login == {}) is not found


def test_where_there_is_no_login_none_is_found(tmp_path: Path) -> None:
    assert found_login({}, SUPERUSER, None, tmp_path) == {}
    assert Credentials(tmp_path).names() == frozenset()


def test_a_principal_is_taken_only_for_the_cluster_that_knows_it(tmp_path: Path) -> None:
    here = settings(tmp_path)
    Credentials(tmp_path).create("portal", here)
    assert as_principal(here, "portal").kafka.username == "portal"
    assert as_principal(here, "tax") == here
    there = here.model_copy(update={"kafka": here.kafka.model_copy(update={"bootstrap": "elsewhere:9092"})})
    assert as_principal(there, "portal") == there


def test_a_file_that_is_no_login_is_named(tmp_path: Path) -> None:
    credentials = Credentials(tmp_path)
    credentials.create(SUPERUSER, settings(tmp_path))
    credentials.file(SUPERUSER).write_text("KAFKA_PASSWORD='not closed\n")
    with pytest.raises(CredentialsError, match="NAME=VALUE") as caught:
        credentials.read(SUPERUSER)
    assert "not closed" not in str(caught.value)
    assert caught.value.where == str(credentials.file(SUPERUSER))


def test_a_login_that_may_not_be_read_is_named_with_the_way_out(tmp_path: Path) -> None:
    credentials = Credentials(tmp_path)
    credentials.file(SUPERUSER).mkdir(parents=True)  # as unreadable as another user's file, also for root
    with pytest.raises(CredentialsError) as caught:
        found_login({}, SUPERUSER, None, tmp_path)
    assert "KAFKA_USERNAME" in str(caught.value)
    assert str(credentials.file(SUPERUSER)) in str(caught.value)
