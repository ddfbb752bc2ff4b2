"""What a plan consists of. Each action can be done twice without harm."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from bus.catalogue.acl_text import in_words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bus.catalogue.record import CatalogueRecord
    from bus.catalogue.topics import Topic
    from bus.kafka.principals import Acl


@dataclass(frozen=True, slots=True)
class CreateTopic:
    """Make a topic."""

    topic: Topic
    sign = "+"

    def __str__(self) -> str:
        """One line for people."""
        config = ", ".join(f"{name}={value}" for name, value in self.topic.config.items())
        return f"topic {self.topic.name}: {plural(self.topic.partitions, 'partition')}, {config}"

    def json(self) -> dict[str, Any]:
        """JSON values."""
        return {"action": "create_topic", **asdict(self.topic)}


@dataclass(frozen=True, slots=True)
class RenewTopic:
    """Delete a view's topic that an apply cut short has left, and make it again.

    Workers forget a view when its last subscription goes: they would fill the topic a second time, behind what is
    there.
    """

    topic: Topic
    sign = "~"

    def __str__(self) -> str:
        """One line for people."""
        return f"topic {self.topic.name}: left by a withdrawal that was cut short; emptied, and filled anew"

    def json(self) -> dict[str, Any]:
        """JSON values."""
        return {"action": "renew_topic", **asdict(self.topic)}


@dataclass(frozen=True, slots=True)
class DeleteTopic:
    """Delete the topic of a view that nobody subscribes to any more; `view` is its key in the catalogue."""

    name: str
    view: str
    partitions: int
    sign = "-"

    def __str__(self) -> str:
        """One line for people."""
        return f"topic {self.name}: {plural(self.partitions, 'partition')}, nobody subscribes to it"

    def json(self) -> dict[str, Any]:
        """JSON values."""
        return {"action": "delete_topic", **asdict(self)}


@dataclass(frozen=True, slots=True)
class AlterTopic:
    """Change settings of a topic; `before` holds None where the topic had none of its own."""

    name: str
    before: Mapping[str, str | None]
    after: Mapping[str, str]
    sign = "~"

    def __str__(self) -> str:
        """One line for people."""
        changes = (f"{name}: {self.before[name] or '(cluster)'} → {value}" for name, value in self.after.items())
        return f"topic {self.name}: {', '.join(changes)}"

    def json(self) -> dict[str, Any]:
        """JSON values."""
        return {"action": "alter_topic", "name": self.name, "before": dict(self.before), "after": dict(self.after)}


@dataclass(frozen=True, slots=True)
class SetOffsets:
    """Let a group start at the beginning of partitions where it has no offset."""

    group: str
    topic: str
    partitions: tuple[int, ...]
    sign = "+"

    def __str__(self) -> str:
        """One line for people."""
        return f"offsets of {self.group}: {self.topic} from 0 in {plural(len(self.partitions), 'partition')}"

    def json(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "action": "set_offsets",
            "group": self.group,
            "topic": self.topic,
            "partitions": list(self.partitions),
            "offset": 0,
        }


@dataclass(frozen=True, slots=True)
class SetCompatibility:
    """Set a subject's own compatibility level."""

    subject: str
    before: str | None
    level: str

    @property
    def sign(self) -> str:
        """New, or changed."""
        return "~" if self.before else "+"

    def __str__(self) -> str:
        """One line for people."""
        return f"compatibility of {self.subject}: {f'{self.before} → ' if self.before else ''}{self.level}"

    def json(self) -> dict[str, Any]:
        """JSON values."""
        return {"action": "set_compatibility", **asdict(self)}


@dataclass(frozen=True, slots=True)
class RegisterSchema:
    """Register a schema as a subject's next version."""

    subject: str
    schema: dict[str, Any]
    version: int

    @property
    def sign(self) -> str:
        """New, or changed."""
        return "~" if self.version > 1 else "+"

    def __str__(self) -> str:
        """One line for people."""
        return f"schema {self.subject}: version {self.version}, {plural(len(self.schema['fields']), 'field')}"

    def json(self) -> dict[str, Any]:
        """JSON values."""
        return {"action": "register_schema", **asdict(self)}


@dataclass(frozen=True, slots=True)
class PutRecord:
    """Write a resource into the catalogue.

    Attributes:
        key: of the record.
        record: the new one.
        before: the value that it replaces, which must still stand there.
        ended: it is a subscription that is in force by its state, and whose last day is over.
    """

    key: str
    record: CatalogueRecord
    before: bytes | None
    ended: bool = False

    @property
    def sign(self) -> str:
        """New, or changed."""
        return "~" if self.before else "+"

    def __str__(self) -> str:
        """One line for people."""
        state = f", {'ended' if self.ended else self.record.status['state']}" if "state" in self.record.status else ""
        return f"catalogue {self.key}: generation {self.record.generation}{state}"

    def json(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "action": "put_record",
            "key": self.key,
            "generation": self.record.generation,
            "digest": self.record.digest,
            "status": self.record.status,
        }


@dataclass(frozen=True, slots=True)
class DeleteRecord:
    """Take a resource out of the catalogue."""

    key: str
    before: bytes
    sign = "-"

    def __str__(self) -> str:
        """One line for people."""
        return f"catalogue {self.key}"

    def json(self) -> dict[str, Any]:
        """JSON values."""
        return {"action": "delete_record", "key": self.key}


@dataclass(frozen=True, slots=True)
class CreateUser:
    """Make a principal's login; its password goes to the data folder, and nowhere else."""

    name: str
    sign = "+"

    def __str__(self) -> str:
        """One line for people."""
        return f"login {self.name}: its password will be in credentials/{self.name}.env"

    def json(self) -> dict[str, Any]:
        """JSON values."""
        return {"action": "create_user", **asdict(self)}


@dataclass(frozen=True, slots=True)
class DeleteUser:
    """Delete the login of a principal that is gone, and its file in the data folder."""

    name: str
    sign = "-"

    def __str__(self) -> str:
        """One line for people."""
        return f"login {self.name}, and credentials/{self.name}.env"

    def json(self) -> dict[str, Any]:
        """JSON values."""
        return {"action": "delete_user", **asdict(self)}


@dataclass(frozen=True, slots=True)
class AllowAcls:
    """Let a principal do more."""

    principal: str
    acls: tuple[Acl, ...]
    sign = "+"

    def __str__(self) -> str:
        """One line for people."""
        return f"{self.principal} may {in_words(self.acls)}"

    def json(self) -> dict[str, Any]:
        """JSON values."""
        return {"action": "allow_acls", **asdict(self)}


@dataclass(frozen=True, slots=True)
class WithdrawAcls:
    """Let a principal do less, at once."""

    principal: str
    acls: tuple[Acl, ...]
    sign = "-"

    def __str__(self) -> str:
        """One line for people."""
        return f"{self.principal} may no longer {in_words(self.acls)}"

    def json(self) -> dict[str, Any]:
        """JSON values."""
        return {"action": "withdraw_acls", **asdict(self)}


Action = (
    CreateTopic
    | RenewTopic
    | AlterTopic
    | SetOffsets
    | SetCompatibility
    | RegisterSchema
    | PutRecord
    | DeleteTopic
    | DeleteRecord
    | CreateUser
    | DeleteUser
    | AllowAcls
    | WithdrawAcls
)


def plural(count: int, noun: str) -> str:
    """`1 field`, `1,200 fields`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
