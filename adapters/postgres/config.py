"""What a department says about its PostgreSQL."""

from __future__ import annotations

import re
from typing import Any

from pydantic import Field, SecretStr

from bus.spi import AdapterConfig


class PostgresConfig(AdapterConfig):
    """How to reach the database, and the names of what the adapter keeps there.

    The login role needs LOGIN, REPLICATION, and SELECT on the tables; to create the publication by itself it must own
    them, else somebody who does creates it (`bus adapter check` prints the statement).
    """

    host: str = Field(default="localhost", description="host name, or the folder of the server's Unix socket")
    port: int = Field(default=5432, ge=1, le=65535)
    database: str = Field(min_length=1)
    user: str = Field(min_length=1)
    password: SecretStr = SecretStr("")
    sslmode: str = Field(default="prefer", pattern="^(disable|allow|prefer|require|verify-ca|verify-full)$")
    slot: str = Field(
        default="", pattern=r"^[a-z0-9_]{0,63}$", description="replication slot; shuniu_<adapter> if empty"
    )
    publication: str = Field(
        default="", pattern=r"^[a-z0-9_]{0,63}$", description="publication; shuniu_<adapter> if empty"
    )

    def connect_arguments(self) -> dict[str, Any]:
        """Libpq's parameters; dates in ISO form and times in UTC, so that every value has one text."""
        return {
            "host": self.host,
            "port": self.port,
            "dbname": self.database,
            "user": self.user,
            "password": self.password.get_secret_value() or None,
            "sslmode": self.sslmode,
            "connect_timeout": 10,
            "client_encoding": "UTF8",  # whatever the database itself keeps its texts in
            # A server that vanished without a word (power, network) is noticed within about 11 s.
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
            "tcp_user_timeout": 11_000,
            "application_name": "shuniu",
            "options": "-c datestyle=ISO -c intervalstyle=iso_8601 -c timezone=UTC -c bytea_output=hex"
            " -c extra_float_digits=3 -c statement_timeout=0 -c idle_in_transaction_session_timeout=0",
        }

    def slot_name(self, adapter: str) -> str:
        """The slot's name for an adapter instance."""
        return self.slot or "shuniu_" + re.sub(r"[^a-z0-9_]", "_", adapter)

    def publication_name(self, adapter: str) -> str:
        """The publication's name for an adapter instance."""
        return self.publication or "shuniu_" + re.sub(r"[^a-z0-9_]", "_", adapter)
