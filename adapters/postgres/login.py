"""A login that the server refuses: it answers, so waiting does not help; each refusal with its way out.

Libpq tells no SQLSTATE (class 28, or 3D000) of a connection that fails, only the server's text, in the language of the
server (`lc_messages`): known here in English and Chinese. Any other text remains a source that does not answer.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from adapters.postgres.tables import quoted
from bus.spi import Finding, SourceRefusedError, SourceUnavailableError, variables

if TYPE_CHECKING:
    import psycopg

    from adapters.postgres.config import PostgresConfig

_REFUSALS: Final = (
    (
        r"no password supplied|没有提供(?:口令|密码)",
        "the server asks for a password and there is none",
        "put the password of {role} into {variable}",
    ),
    (
        r'FATAL:\s+password authentication failed|用户\s*".*"\s*(?:Password|密码|口令)\s*认证失败',
        "the server refuses the password of role {role}, or there is no such role",
        "put its password into {variable}; for a new one: alter role {role} password '…'; if it is missing: {create}",
    ),
    (
        r'FATAL:\s+role ".*" does not exist|角色\s*".*"\s*不存在',
        "the server has no role {role}",
        "{create}; or name another one as `user`",
    ),
    (
        r'FATAL:\s+database ".*" does not exist|数据库\s*".*"\s*不存在',
        "the server has no database {database}",
        "name one that it has as `database`; psql -l lists them",
    ),
    (
        r'FATAL:\s+role ".*" is not permitted to log in|角色\s*".*".*登录',
        "role {role} may not log in",
        "alter role {role} login",
    ),
    (
        r"pg_hba\.conf",
        "the server's pg_hba.conf does not let role {role} into database {database} from here",
        "add to pg_hba.conf: host {database} {role} <address of this machine>/32 scram-sha-256; then: {reload}",
    ),
    (
        r'FATAL:\s+(?:Ident|Peer) authentication failed|用户\s*".*"\s*的?\s*(?:Ident|Peer)\s*认证失败',
        "the server does not log role {role} in by password",
        "let pg_hba.conf have scram-sha-256 for role {role}; then: {reload}",
    ),
)
"""What the server says, what it means, and the fix."""


def connection_error(
    error: psycopg.Error, adapter: str, config: PostgresConfig
) -> SourceRefusedError | SourceUnavailableError:
    """What a failed connection means: the server refuses the login, or it does not answer.

    Args:
        error: of the attempt to connect.
        adapter: the instance's name.
        config: how it tried.
    """
    if (found := _refusal(str(error), adapter, config)) is None:
        return SourceUnavailableError(first_line(error), where=place(config))
    message, fix = found
    return SourceRefusedError([Finding(message, where=place(config), fix=fix)], f"adapter {adapter}")


def first_line(error: BaseException) -> str:
    """The first line of a server's message; what follows may quote data."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def place(config: PostgresConfig) -> str:
    """Where the database is, without the password."""
    return f"{config.user}@{config.host}:{config.port}/{config.database}"


def _refusal(text: str, adapter: str, config: PostgresConfig) -> tuple[str, str] | None:
    """What is wrong with the login, and its fix; None if it is not the login."""
    role = quoted(config.user)
    words = {
        "role": role,
        "database": quoted(config.database),
        "variable": f"{variables(adapter)}PASSWORD",
        "create": f"create role {role} login replication password '…'",
        "reload": "select pg_reload_conf()",
    }
    for pattern, message, fix in _REFUSALS:
        if re.search(pattern, text):
            return message.format(**words), fix.format(**words)
    return None
