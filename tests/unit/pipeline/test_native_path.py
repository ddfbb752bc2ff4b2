"""A worker says at its start which data path it takes: the compiled one, or the reference, and why."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from bus.config import CODEC, CODECS, Settings
from bus.pipeline import native

needs_compiler = pytest.mark.skipif(not native.is_built(), reason="the data path is not compiled here")


@needs_compiler
@pytest.mark.parametrize("codec", ["", "compiled"])
def test_the_compiled_data_path_is_told(monkeypatch: pytest.MonkeyPatch, codec: str) -> None:
    monkeypatch.setenv(CODEC, codec)
    with capture_logs() as told:
        native.tell_path()
    assert told == [{"event": "data path: compiled", "log_level": "info"}]


@needs_compiler
def test_a_compiled_data_path_that_is_left_out_is_told_with_the_way_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CODEC, "reference")
    with capture_logs() as told:
        native.tell_path()
    [line] = told
    assert line["event"].startswith("data path: reference")
    assert "unset BUS_CODEC" in line["fix"]


def test_a_data_path_that_is_not_built_is_told_with_the_way_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "Interpreter", None)
    with capture_logs() as told:
        native.tell_path()
    [line] = told
    assert line["event"].startswith("not compiled")
    assert "C compiler" in line["fix"]


@pytest.mark.parametrize("codec", ["", *CODECS])
def test_every_known_codec_is_a_setting_that_works(codec: str) -> None:
    assert Settings.load({CODEC: codec}) == Settings()
