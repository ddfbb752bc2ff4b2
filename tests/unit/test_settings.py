"""Settings go on to processes of one's own, whole."""

from __future__ import annotations

from pathlib import Path

from bus.config import Settings


def test_settings_go_on_to_a_process_by_environment() -> None:
    settings = Settings.load({}, bootstrap="h:1", password="s", ca_file=Path("/ca.pem"), bus_id="b", lanes=2)

    assert Settings.load(settings.environment()) == settings
