"""Why a record cannot go on: the rule that it broke, where, in one sentence. Never its value: records are personal."""

from __future__ import annotations

from dataclasses import dataclass


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


class RejectedError(Exception):
    """A rule's way out of the middle of a record; it never leaves the stage."""

    def __init__(self, reject: Reject) -> None:
        super().__init__(reject.rule)
        self.reject = reject
