"""Secret keys come from the environment or a file that only its owner may read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bus.errors import ConfigError
from bus.pseudonym_keys import make_pseudonym_key, pseudonym_key

if TYPE_CHECKING:
    from pathlib import Path


def test_a_key_is_made_once_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    make_pseudonym_key("statistics", tmp_path)
    made = pseudonym_key("statistics", tmp_path, {})
    make_pseudonym_key("statistics", tmp_path)

    assert pseudonym_key("statistics", tmp_path, {}) == made
    assert len(made) == 64
    assert (tmp_path / "pseudonym-keys" / "statistics").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "pseudonym-keys").stat().st_mode & 0o777 == 0o700


def test_the_environment_comes_first(tmp_path: Path) -> None:
    make_pseudonym_key("city-statistics", tmp_path)
    given = {"BUS_PSEUDONYM_KEY_CITY_STATISTICS": "e" * 32}

    assert pseudonym_key("city-statistics", tmp_path, given) == b"e" * 32


def test_a_key_that_is_not_there_is_named_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no pseudonym key 'statistics'") as raised:
        pseudonym_key("statistics", tmp_path, {})
    assert "BUS_PSEUDONYM_KEY_STATISTICS" in str(raised.value.fix)


def test_a_short_key_is_refused_and_not_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="shorter than 32") as raised:
        pseudonym_key("s", tmp_path, {"BUS_PSEUDONYM_KEY_S": "short-secret"})
    assert "short-secret" not in f"{raised.value} {raised.value.where} {raised.value.fix}"
