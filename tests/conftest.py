"""What holds for all tests."""

from __future__ import annotations

from hypothesis import settings

# A case takes its time where other tests, or other work, have the processor; pytest's own deadline stays.
settings.register_profile("bus", deadline=None)
settings.load_profile("bus")
