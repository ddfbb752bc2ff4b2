"""Every role in one small process tree, the broker and any workers apart: what `bus up` and the demo run."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bus.catalogue.apply import apply_loaded
from bus.catalogue.expiries import run_control
from bus.catalogue.view import View
from bus.catalogue.workspace import Workspace, default_workspace
from bus.children import keep_running
from bus.console.app import Site
from bus.console.server import ConsoleServer
from bus.control.instruments import of_bus
from bus.control.observer import Observer
from bus.credentials import Credentials, adapter_principal, as_principal
from bus.errors import WrongUseError
from bus.installed import make_adapter
from bus.own_broker import OwnBroker
from bus.pipeline.adapter_role import read_catalogue, run_adapter
from bus.pipeline.worker import run_worker
from bus.process import run_roles
from bus.pseudonym_keys import make_pseudonym_key
from bus.registry.server import RegistryServer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from bus.config import Settings
    from bus.metrics import Instrument


def adapter_files(given: Sequence[str]) -> dict[str, Path]:
    """NAME=FILE pairs.

    Raises:
        WrongUseError: not of that form, or no such file.
    """
    files = {}
    for pair in given:
        name, _, file = pair.partition("=")
        if not name or not Path(file).is_file():
            raise WrongUseError(f"--adapter {pair}: NAME=FILE is expected, and the file must exist")
        files[name] = Path(file)
    return files


class Up:
    """The roles of one process, and its children.

    Args:
        settings: cluster, bus id, data folder.
        port: of the embedded broker; None for the cluster of the settings.
        registry_port: 0 for a free one.
        workspace: applied first; the packaged one if None.
        adapters: adapter instances to run, with their configuration files; each under its own login.
        secured: the embedded broker has logins and ACLs.
        instruments: those of the roles, and of an onlooker of the whole bus, are added to these.
        console_port: of the operators' page, on loopback; 0 for a free one, None for no page.
        workers: the command of each worker that is to be a process of its own; one in this process if there is none.
    """

    def __init__(  # noqa: PLR0913  (what the command was told)
        self,
        settings: Settings,
        port: int | None,
        registry_port: int,
        workspace: Path | None,
        adapters: dict[str, Path],
        *,
        secured: bool = True,
        instruments: list[Instrument] | None = None,
        console_port: int | None = None,
        workers: Sequence[Sequence[str]] = (),
    ) -> None:
        self._settings = settings
        self._port = port
        self._registry_port = registry_port
        self._workspace = workspace
        self._adapters = adapters
        self._secured = secured
        self._instruments = instruments
        self._console_port = console_port
        self._workers = workers

    async def run(self, on_ready: Callable[[Settings, str | None], None]) -> None:
        """Bring everything up in order, tell the settings and the console's URL, and run until a signal.

        Raises:
            BusError: a role failed; the others are ended.
        """
        async with AsyncExitStack() as stack:
            settings = self._settings
            roles: list[Callable[[], Awaitable[None]]] = []
            if self._port is not None:
                broker = OwnBroker(settings, self._port, secured=self._secured)
                settings = await stack.enter_async_context(broker.serving())
                roles.append(broker.wait)
            registry = RegistryServer(settings, port=self._registry_port)
            await stack.enter_async_context(registry)
            settings = settings.model_copy(update={"registry_url": registry.url})
            if self._port is not None:
                Credentials(settings.data_dir).move(settings)
            workspace = Workspace.load(self._workspace or default_workspace())
            _make_pseudonym_keys(workspace, settings)
            await apply_loaded(workspace, settings)
            roles += [registry.wait, *self._worker_roles(settings)]
            roles += [partial(run_control, settings, self._instruments), *self._adapter_roles(settings)]
            console_url = None
            if self._instruments is not None or self._console_port is not None:
                observer = await stack.enter_async_context(Observer(settings))
            if self._instruments is not None:
                self._instruments += [registry.instrument, of_bus(observer)]
            if self._console_port is not None:
                console = ConsoleServer(observer.observe, Site(port=self._console_port))
                await stack.enter_async_context(console)
                console_url = console.url
                roles.append(console.wait)
            on_ready(settings, console_url)
            await run_roles(*roles)

    def _worker_roles(self, settings: Settings) -> list[Callable[[], Awaitable[None]]]:
        if not self._workers:
            return [partial(run_worker, settings, self._instruments)]
        return [partial(keep_running, settings, *command) for command in self._workers]

    def _adapter_roles(self, settings: Settings) -> list[Callable[[], asyncio.Future[None]]]:
        return [self._adapter_role(name, file, settings) for name, file in self._adapters.items()]

    def _adapter_role(self, name: str, file: Path, settings: Settings) -> Callable[[], asyncio.Future[None]]:
        async def role() -> None:
            datasets = (await read_catalogue(settings)).datasets_of(name)
            if not datasets:
                raise WrongUseError(f"--adapter {name}: no dataset of the catalogue names it in source.config")
            adapter = make_adapter(datasets[0].spec.source.adapter, name, file)
            login = as_principal(settings, adapter_principal(name))
            await run_adapter(adapter, login, instruments=self._instruments)

        return lambda: asyncio.ensure_future(role())


def _make_pseudonym_keys(workspace: Workspace, settings: Settings) -> None:
    """The secret keys that the workspace's views name and nobody has given: random ones, in the data folder."""
    for name in sorted({key for view in workspace.all(View) for key in view.spec.pseudonyms.values()}):
        make_pseudonym_key(name, settings.data_dir)
