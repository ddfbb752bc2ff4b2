"""A login that the server refuses is told from a server that does not answer, each refusal with its fix."""

from __future__ import annotations

import psycopg
import pytest

from adapters.postgres.config import PostgresConfig
from adapters.postgres.login import connection_error
from bus.errors import SourceRefusedError, SourceUnavailableError

CONFIG = PostgresConfig(host="db", database="city", user="shuniu")
PLACE = 'connection failed: connection to server at "10.0.0.1", port 5432 failed: '


@pytest.mark.parametrize(
    ("text", "message", "fix"),
    [
        ('FATAL:  role "shuniu" does not exist', "no role shuniu", "create role shuniu login replication"),
        ('致命错误:  角色"shuniu"不存在', "no role shuniu", "create role shuniu login replication"),
        ('FATAL:  database "city" does not exist', "no database city", "psql -l"),
        ('致命错误:  数据库 "city" 不存在', "no database city", "psql -l"),
        ('FATAL:  password authentication failed for user "shuniu"', "the password", "BUS_ADAPTER_SCJG_2_PASSWORD"),
        ('致命错误:  用户 "shuniu" Password 认证失败', "the password", "BUS_ADAPTER_SCJG_2_PASSWORD"),
        ("fe_sendauth: no password supplied", "asks for a password", "BUS_ADAPTER_SCJG_2_PASSWORD"),
        ('FATAL:  role "shuniu" is not permitted to log in', "may not log in", "alter role shuniu login"),
        ('FATAL:  Peer authentication failed for user "shuniu"', "by password", "scram-sha-256"),
        (
            'FATAL:  no pg_hba.conf entry for host "10.0.0.2", user "shuniu", database "city", no encryption',
            "pg_hba.conf does not let role shuniu",
            "select pg_reload_conf()",
        ),
    ],
)
def test_a_login_that_is_refused_has_a_fix(text: str, message: str, fix: str) -> None:
    error = connection_error(psycopg.OperationalError(PLACE + text), "scjg-2", CONFIG)

    assert isinstance(error, SourceRefusedError)
    (finding,) = error.findings
    assert message in finding.message
    assert fix in finding.fix
    assert finding.where == "shuniu@db:5432/city"


@pytest.mark.parametrize(
    "text",
    [
        "Connection refused\n\tIs the server running on that host and accepting TCP/IP connections?",
        "FATAL:  the database system is starting up",
        "FATAL:  sorry, too many clients already",
        'FATAL:  LDAP authentication failed for user "shuniu"',
        "",
    ],
)
def test_what_passes_by_itself_is_waited_for(text: str) -> None:
    error = connection_error(psycopg.OperationalError(PLACE + text), "scjg", CONFIG)

    assert isinstance(error, SourceUnavailableError)
    assert error.where == "shuniu@db:5432/city"
