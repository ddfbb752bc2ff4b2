"""Logins that the bus made, one file a principal in `<data dir>/credentials`; for their owners' eyes only.

`set -a; . .bus/credentials/portal.env` lets any program of that shell log in as `portal`; the names are those of
`config.ENVIRONMENT`. Folder 0700, files 0600; a file is there whole or not at all.
"""

from __future__ import annotations

import os
import secrets
import shlex
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bus.config import ENVIRONMENT, Settings
from bus.errors import BusError

if TYPE_CHECKING:
    from collections.abc import Mapping

SUPERUSER: Final = "bus"
"""The login of the bus's own roles on a broker that it started; no ACL holds it back."""

KEPT: Final = frozenset(ENVIRONMENT.values()) - {"BUS_DATA_DIR", "BUS_LANES", "KAFKA_COMPRESSION"}
"""The variables of a file: where the cluster and the registry are, the login there, and the bus's id."""

SUFFIX: Final = ".env"
_ADDRESS: Final = frozenset({"KAFKA_BOOTSTRAP"})


class CredentialsError(BusError):
    """A login that the bus keeps cannot be used."""


def adapter_principal(instance: str) -> str:
    """The principal of an adapter instance; no subscriber's, whose names have no dot."""
    return f"adapter.{instance}"


def new_password() -> str:
    """192 random bits, in letters that no file format and no shell minds."""
    return secrets.token_urlsafe(24)


class Credentials:
    """The files of one folder; the folder is made with the first one.

    Every method raises CredentialsError when the folder or a file cannot be read or written by this user.
    """

    def __init__(self, data_dir: Path) -> None:
        self.folder = data_dir / "credentials"

    def file(self, principal: str) -> Path:
        """Where a principal's login is, or would be."""
        return self.folder / f"{principal}{SUFFIX}"

    def names(self) -> frozenset[str]:
        """The principals that have a file here."""
        try:
            found = [file.name for file in self.folder.iterdir()]
        except FileNotFoundError:
            return frozenset()
        except OSError as error:
            raise self._refused(error, self.folder) from None
        return frozenset(name.removesuffix(SUFFIX) for name in found if name.endswith(SUFFIX) and name[0] != ".")

    def read(self, principal: str) -> dict[str, str] | None:
        """A principal's variables; None if there is no file."""
        file = self.file(principal)
        try:
            lines = file.read_text("utf-8").splitlines()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self._refused(error, file) from None
        try:
            pairs = [shlex.split(line)[0].partition("=") for line in lines if line and not line.startswith("#")]
        except (ValueError, IndexError):
            raise CredentialsError("it has a line that is not NAME=VALUE", where=str(file)) from None
        return {name: value for name, _, value in pairs if name in KEPT}

    def create(self, principal: str, settings: Settings) -> str:
        """A principal's password: the one that stands there, or else a new one, with the addresses of the settings."""
        kafka = settings.kafka.model_copy(update={"username": principal})
        variables = settings.model_copy(update={"kafka": kafka}).environment() | {"KAFKA_PASSWORD": new_password()}
        self._put(principal, variables, instead=False)
        found = self.read(principal)
        if found is None or not found.get("KAFKA_PASSWORD"):
            raise CredentialsError("it holds no KAFKA_PASSWORD", where=str(self.file(principal)))
        return found["KAFKA_PASSWORD"]

    def move(self, settings: Settings) -> None:
        """Let every file name the addresses of the settings; for a broker that came back on another port."""
        addresses = {name: settings.environment()[name] for name in ("KAFKA_BOOTSTRAP", "BUS_REGISTRY_URL")}
        for principal in self.names():
            variables = self.read(principal) or {}
            if variables | addresses != variables:
                self._put(principal, variables | addresses, instead=True)

    def delete(self, principal: str) -> None:
        """Forget a login, if there is one."""
        try:
            self.file(principal).unlink(missing_ok=True)
        except OSError as error:
            raise self._refused(error, self.file(principal)) from None

    def _put(self, principal: str, variables: Mapping[str, str], *, instead: bool) -> None:
        """Write a file in one step: in place of the one that is there, or only if there is none."""
        text = "".join(f"{name}={shlex.quote(value)}\n" for name, value in variables.items() if name in KEPT)
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.folder.chmod(0o700)
            descriptor, written = tempfile.mkstemp(dir=self.folder, prefix=".")
            try:
                with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
                if instead:
                    os.replace(written, self.file(principal))  # noqa: PTH105  beside link
                elif not self.file(principal).exists():
                    os.link(written, self.file(principal))
            finally:
                Path(written).unlink(missing_ok=True)
        except FileExistsError:
            return
        except OSError as error:
            raise self._refused(error, self.file(principal)) from None

    @staticmethod
    def _refused(error: OSError, file: Path) -> CredentialsError:
        return CredentialsError(
            error.strerror or type(error).__name__,
            where=str(file),
            fix="run as the user who started the bus here, or log in by KAFKA_USERNAME and KAFKA_PASSWORD",
        )


def found_login(
    environment: Mapping[str, str], principal: str, bootstrap: str | None, data_dir: Path
) -> dict[str, str]:
    """The variables of the login that a command in this folder takes; none where another login or cluster is meant.

    Options go before the environment, and both before the file. The file counts whole or not at all: not when the
    environment says how to log in, nor when an option or the environment names another cluster than the file does.

    Raises:
        CredentialsError: the file is there, and this user may not read it.
    """
    given = {name for name, value in environment.items() if value and name.startswith("KAFKA_")} - _ADDRESS
    if given & KEPT:
        return {}
    login = Credentials(data_dir).read(principal) or {}
    wanted = bootstrap or environment.get("KAFKA_BOOTSTRAP") or login.get("KAFKA_BOOTSTRAP")
    return login if wanted == login.get("KAFKA_BOOTSTRAP") else {}


def as_principal(settings: Settings, principal: str) -> Settings:
    """The settings with a principal's own login, if the data folder holds one for that cluster; else as they are.

    Raises:
        CredentialsError: there is one, and this user may not read it.
    """
    if not settings.kafka.security_protocol.startswith("SASL"):
        return settings
    login = Credentials(settings.data_dir).read(principal) or {}
    if login.get("KAFKA_BOOTSTRAP") != settings.kafka.bootstrap:
        return settings
    return Settings.load({**settings.environment(), **login})
