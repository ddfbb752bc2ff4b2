"""What is said of a login that a broker refuses, whichever client was refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bus.config import LOGIN_FIX
from bus.errors import LoginRefusedError

if TYPE_CHECKING:
    from bus.config import Connection


def refused(connection: Connection, where: str) -> LoginRefusedError:
    """The error for a broker there that does not accept the connection's login, or wants one and is given none."""
    if not connection.username:
        fix = f"set KAFKA_SECURITY_PROTOCOL, KAFKA_USERNAME and KAFKA_PASSWORD: {LOGIN_FIX}"
        return LoginRefusedError("none is set, and it closes the connection", where=where, fix=fix)
    return LoginRefusedError(
        f"{connection.username!r} with this password",
        where=where,
        fix="check KAFKA_USERNAME and KAFKA_PASSWORD; `bus apply` keeps the logins that it makes in "
        ".bus/credentials/<login>.env",
    )
