"""The day that it is where the bus runs: what plans and expiries go by."""

from __future__ import annotations

import datetime as dt


def now() -> dt.datetime:
    """The moment, in this machine's time zone (`TZ`)."""
    return dt.datetime.now().astimezone()


def next_day(moment: dt.datetime) -> dt.datetime:
    """When the day after a moment begins in this machine's time zone."""
    return dt.datetime.combine(moment.date() + dt.timedelta(days=1), dt.time.min).astimezone()
