"""The registry's error answers, with the codes that Confluent's clients know."""

from __future__ import annotations

from bus.errors import BusError


class RefusedError(BusError):
    """The registry refused the request.

    Attributes:
        code: `error_code` of the answer; its first three digits are the HTTP status.
        message: for the person who reads the client's log.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    @property
    def status(self) -> int:
        """The HTTP status."""
        return int(str(self.code)[:3])


def unknown_subject(subject: str) -> RefusedError:
    """40401: there is no such subject."""
    return RefusedError(40401, f"Subject '{subject}' not found.")


def unknown_version(version: int) -> RefusedError:
    """40402: the subject has no such version."""
    return RefusedError(40402, f"Version {version} not found.")


def unknown_schema() -> RefusedError:
    """40403: no schema with this id, or not under this subject."""
    return RefusedError(40403, "Schema not found")


def subject_soft_deleted(subject: str) -> RefusedError:
    """40404: deleted already, softly."""
    return RefusedError(40404, f"Subject '{subject}' was soft deleted. Set permanent=true to delete permanently")


def subject_not_soft_deleted(subject: str) -> RefusedError:
    """40405: hard before soft."""
    return RefusedError(40405, f"Subject '{subject}' was not deleted first before being permanently deleted")


def version_soft_deleted(subject: str, version: int) -> RefusedError:
    """40406: deleted already, softly."""
    text = f"Subject '{subject}' Version {version} was soft deleted. Set permanent=true to delete permanently"
    return RefusedError(40406, text)


def version_not_soft_deleted(subject: str, version: int) -> RefusedError:
    """40407: hard before soft."""
    return RefusedError(
        40407, f"Subject '{subject}' Version {version} was not deleted first before being permanently deleted"
    )


def no_own_level(subject: str) -> RefusedError:
    """40408: the subject takes the global compatibility level."""
    return RefusedError(40408, f"Subject '{subject}' does not have subject-level compatibility configured")


def no_own_mode(subject: str) -> RefusedError:
    """40409: the subject takes the global mode."""
    return RefusedError(40409, f"Subject '{subject}' does not have subject-level mode configured")


def incompatible(subject: str, messages: list[str]) -> RefusedError:
    """409: the schema breaks readers or writers of an earlier one."""
    details = "; ".join(messages)
    return RefusedError(
        409, f"Schema being registered is incompatible with an earlier schema for subject '{subject}': {details}"
    )


def invalid_schema(reason: str) -> RefusedError:
    """42201: no schema that this registry takes."""
    return RefusedError(42201, f"Invalid schema: {reason}")


def invalid_version(text: str) -> RefusedError:
    """42202: neither a version number nor `latest`."""
    return RefusedError(
        42202,
        f"The specified version '{text[:40]}' is not a valid version id. Allowed values are between "
        '[1, 2^31-1] and the string "latest"',
    )


def invalid_level() -> RefusedError:
    """42203: no compatibility level."""
    return RefusedError(
        42203,
        "Invalid compatibility level. Valid values are none, backward, forward, full, backward_transitive, "
        "forward_transitive, and full_transitive",
    )


def invalid_mode() -> RefusedError:
    """42204: no mode."""
    return RefusedError(42204, "Invalid mode. Valid values are READWRITE, READONLY, READONLY_OVERRIDE and IMPORT")


def not_permitted(reason: str) -> RefusedError:
    """42205: the mode does not permit it."""
    return RefusedError(42205, reason)


def referenced(subject: str, version: int) -> RefusedError:
    """42206: another schema refers to it."""
    return RefusedError(42206, f"One or more references exist to the schema {subject} version {version}")


def invalid_subject(subject: str) -> RefusedError:
    """42208: the name cannot be one."""
    return RefusedError(42208, f"The specified subject {subject[:80]!r} is not a valid")
