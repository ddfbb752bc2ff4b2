"""The two ways in which records go through a stage."""

from __future__ import annotations

import pytest

from bus.pipeline import native


@pytest.fixture(params=["reference", "compiled"])
def codec(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """By the reference, and by the compiled code."""
    if request.param == "reference":
        monkeypatch.setenv("BUS_CODEC", "reference")
    elif not native.is_built():
        pytest.skip("no C compiler here, so the bus runs its reference")
    return str(request.param)
