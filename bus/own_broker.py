"""The broker that `bus up` and `bus kafka` start here: only those get in whom the bus gave a login."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, Self

from bus.config import Connection
from bus.credentials import SUPERUSER, Credentials, CredentialsError
from bus.errors import DependencyError, EmbeddedKafkaError
from bus.kafka.embedded import EmbeddedKafka, made_secured
from bus.kafka.server_properties import Security

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import TracebackType

    from bus.config import Settings

WATCH_SECONDS: Final = 0.5


class OwnBroker:
    """An embedded Kafka in `<data dir>/kafka`; its superuser's login is `<data dir>/credentials/bus.env`.

    Args:
        settings: for the data folder, and what else the logins tell: the registry's address, the bus's id.
        port: of the broker; 0: the last one, or a free one.
        secured: with logins and ACLs; without, every process of this machine reads and writes everything.

    Attributes:
        settings: those of the bus's own roles, once it was started.

    Raises:
        CredentialsError: the superuser's login cannot be read or written, or is lost.
    """

    def __init__(self, settings: Settings, port: int, *, secured: bool = True) -> None:
        self.settings = settings
        self._credentials = Credentials(settings.data_dir)
        self._folder = settings.data_dir / "kafka"
        self._login = self._superuser(port) if secured else Connection()
        self._security = Security({SUPERUSER: self._login.password.get_secret_value()}, SUPERUSER) if secured else None
        self.kafka = EmbeddedKafka(self._folder, port, security=self._security)

    def start(self) -> Settings:
        """Start it; the settings of the bus's own roles.

        Raises:
            EmbeddedKafkaError: it cannot be started; with what to do.
        """
        self.kafka.start()
        connection = self._login.model_copy(update={"bootstrap": self.kafka.bootstrap})
        self.settings = self.settings.model_copy(update={"kafka": connection})
        if self._security is None:
            self._credentials.delete(SUPERUSER)  # of a broker that was here before; it would only mislead
        else:
            self._credentials.create(SUPERUSER, self.settings)
            self._credentials.move(self.settings)
        return self.settings

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Settings]:
        """Started, then stopped; what fails because it has died is told as its death.

        Raises:
            EmbeddedKafkaError: it cannot be started, or has ended by itself.
        """
        try:
            yield await asyncio.to_thread(self.start)
        except DependencyError:
            self.check()
            raise
        finally:
            self.kafka.stop()

    async def wait(self) -> None:
        """Once it is started: watch it, without end.

        Raises:
            EmbeddedKafkaError: it has ended by itself.
        """
        while True:
            self.check()
            await asyncio.sleep(WATCH_SECONDS)

    def check(self) -> None:
        """See that it runs, once it is started.

        Raises:
            EmbeddedKafkaError: it has ended by itself.
        """
        if not self.kafka.is_running:
            raise EmbeddedKafkaError(
                "its JVM ended: killed, or out of memory or of disk",
                where=str(self._folder / "logs"),
                fix="see the last lines there; start again: nothing that was acknowledged is lost",
            )

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        self.kafka.stop()

    def _superuser(self, port: int) -> Connection:
        """Its login; kept before the broker learns it, so that no crash loses it."""
        made = made_secured(self._folder)
        if made and self._credentials.read(SUPERUSER) is None:
            raise CredentialsError(
                "the superuser's is gone, and the broker's data know it only as a hash",
                where=str(self._credentials.file(SUPERUSER)),
                fix=f"put the file back; its password also stands in {self._folder / 'server.properties'}",
            )
        login = {
            "bootstrap": f"127.0.0.1:{port or 9092}",
            "security_protocol": "SASL_PLAINTEXT",
            "username": SUPERUSER,
            "password": "unused",
        }
        connection = Connection.model_validate(login)
        if made is False:
            return connection  # not started, because its data are open; see EmbeddedKafka.start
        given = self.settings.model_copy(update={"kafka": connection})
        password = self._credentials.create(SUPERUSER, given)
        return Connection.model_validate(login | {"password": password})
