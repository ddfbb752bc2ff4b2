"""The one tree of errors, and the finding: what a check reports without stopping.

Every error says what happened, where, and how to mend it. The first line of a class's docstring is the summary that a
user sees; `detail`, `where` and `fix` are the instance's. Never put a record's value into any of them: errors are
logged, and records are personal data.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class Severity(StrEnum):
    """How much a finding matters: an error stops the action, a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a check found.

    Attributes:
        message: what is wrong, in one sentence.
        where: file:line, or topic/partition/offset, or the name of the resource or of the source's object.
        fix: what to do about it.
        severity: whether it stops the action.
    """

    message: str
    where: str = ""
    fix: str = ""
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        """`where: severity: message` and the fix on a line of its own, as compilers print."""
        head = f"{self.where}: " if self.where else ""
        tail = f"\n    fix: {self.fix}" if self.fix else ""
        return f"{head}{self.severity}: {self.message}{tail}"


class BusError(Exception):
    """The bus could not do that."""

    exit_code = 1

    def __init__(self, detail: str = "", *, where: str = "", fix: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.where = where
        self.fix = fix

    @property
    def summary(self) -> str:
        """The first line of the class's docstring, without its full stop."""
        return (type(self).__doc__ or "").strip().splitlines()[0].rstrip(".")

    @property
    def headline(self) -> str:
        """What happened."""
        return f"{self.summary}: {self.detail}" if self.detail else self.summary

    def __str__(self) -> str:
        """What happened, where, and the way out."""
        text = self.headline
        if self.where:
            text += f"\n  where: {self.where}"
        if self.fix:
            text += f"\n  fix: {self.fix}"
        return text


def in_a_line(error: Exception) -> str:
    """What an error says, in one line; of one that is not ours only its kind, since its text may hold values."""
    if not isinstance(error, BusError):
        return type(error).__name__
    return f"{error.headline} ({error.where})" if error.where else error.headline


class WrongUseError(BusError):
    """This cannot be done as it was asked."""

    exit_code = 2


class ConfigError(BusError):
    """A setting is missing or wrong."""

    exit_code = 2


class FindingsError(BusError):
    """The check found errors."""

    def __init__(self, findings: Sequence[Finding], detail: str = "") -> None:
        super().__init__(detail)
        self.findings = tuple(findings)

    def __str__(self) -> str:
        """The findings, one after the other."""
        return "\n".join([*(str(finding) for finding in self.findings), super().__str__()])


class WorkspaceError(FindingsError):
    """The workspace has errors; nothing was changed."""


class NotAWorkspaceError(BusError):
    """That folder is not a workspace."""

    exit_code = 2


class PlanRefusedError(FindingsError):
    """The plan is refused; nothing was changed."""


class DependencyError(BusError):
    """Something that the bus depends on does not answer; nothing was skipped."""


class BrokerUnavailableError(DependencyError):
    """The Kafka broker does not answer."""


class LoginRefusedError(BrokerUnavailableError):
    """The Kafka broker does not accept the login."""


class TopicUnknownError(BrokerUnavailableError):
    """The Kafka broker shows no such topic."""


class NotEntitledError(BusError):
    """The Kafka login is not entitled to that."""


class RegistryUnavailableError(DependencyError):
    """The schema registry does not answer."""


class SourceUnavailableError(DependencyError):
    """The department's source does not answer."""


class SourceRefusedError(FindingsError):
    """The source cannot be read as it is set up."""


class EmbeddedKafkaError(BusError):
    """The embedded Kafka broker did not start."""


class SchemaNotFoundError(BusError):
    """The registry has no such schema."""


class FencedError(BusError):
    """Another process has taken over this work; this one stops."""


class LostPositionError(BusError):
    """A committed offset or position that must exist is missing; starting over would double or lose records."""


class SnapshotRequiredError(BusError):
    """The cursor is lost or too old: changes may have been compacted away."""
