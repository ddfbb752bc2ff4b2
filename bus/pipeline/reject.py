"""Why a record cannot go on: the rule that it broke, where, in one sentence. Never its value: records are personal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bus.pipeline.writer_schema import BadRecordError
from bus.wire import BadFrameError, BadKeyError

if TYPE_CHECKING:
    from bus.errors import BusError


@dataclass(frozen=True, slots=True)
class Reject:
    """A verdict on a record.

    Attributes:
        rule: name of the rule, stable: `required`, `pattern`, `date`, `codes`, `gb11643`, `missing_field` …
        field: the field that broke it; empty if it is the whole record.
        reason: one sentence for the owner of the data, without any value of the record.
    """

    rule: str
    field: str
    reason: str


UNDECODABLE: Final = (BadRecordError, BadFrameError, BadKeyError)
"""What is raised for a record that cannot be decoded."""


def undecodable(error: BusError) -> Reject:
    """The verdict on it."""
    return Reject(rule="undecodable", field="", reason=f"{error.summary}: {error.detail}")


class RejectedError(Exception):
    """A rule's way out of the middle of a record; it never leaves the stage."""

    def __init__(self, reject: Reject) -> None:
        super().__init__(reject.rule)
        self.reject = reject
