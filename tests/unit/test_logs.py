"""Logs: one JSON object a line, and nothing of an error's text, which may quote a row."""

from __future__ import annotations

import json
import logging
import sys
import warnings
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from bus import cli, logs
from bus.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "11010519491231002X"


@pytest.fixture(autouse=True)
def _json(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("BUS_LOG", "json")
    hook = sys.excepthook
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    logs.configure()
    yield
    structlog.reset_defaults()
    root.handlers, sys.excepthook = handlers, hook
    root.setLevel(level)
    logging.captureWarnings(capture=False)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    err = capsys.readouterr().err
    assert SECRET not in err
    return [json.loads(line) for line in err.splitlines()]


def failure() -> ValueError:
    """An error whose text quotes a value."""
    with pytest.raises(ValueError, match=SECRET) as caught:
        int(SECRET)
    return caught.value


def test_an_errors_text_is_left_out_and_its_places_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    structlog.get_logger().error("rule failed", exc_info=failure(), topic="raw.a.b")
    logging.getLogger("some.library").error("task failed", exc_info=failure())
    sys.excepthook(ValueError, failure(), failure().__traceback__)

    told = lines(capsys)

    assert [line["event"] for line in told] == ["rule failed", "task failed", "ended by a fault"]
    assert [line["error"] for line in told] == ["ValueError"] * 3
    assert all("test_logs.py:" in line["places"][-1] for line in told)
    assert told[0]["topic"] == "raw.a.b"
    assert told[1]["logger"] == "some.library"


def test_warnings_of_python_are_lines_too(capsys: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    assert lines(capsys)[0]["level"] == "warning"


def test_the_error_that_a_command_ends_with_is_a_line_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP", "nonsense")
    with pytest.raises(SystemExit) as end:
        cli.main(["status", "--once"])
    assert end.value.code == 2
    (line,) = lines(capsys)
    assert (line["event"], line["error"]) == ("ended", "ConfigError")
    assert line["where"].endswith("KAFKA_BOOTSTRAP")


def test_another_form_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUS_LOG", "xml")
    with pytest.raises(ConfigError, match="xml"):
        logs.configure()
