"""A small bus to look at: the workspace that `bus init` makes, with its table of companies, on servers of its own."""

from __future__ import annotations

import asyncio
import json
import shutil
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final, Self

import psycopg

from bus.catalogue.apply import apply_workspace
from bus.catalogue.workspace import starter_workspace
from bus.config import Settings
from bus.control.observer import Observer
from bus.kafka.embedded import EmbeddedKafka
from bus.pipeline.mapping.check_digits import credit_check_digit
from bus.testing.postgres import PostgresServer
from bus.testing.processes import BusProcesses
from bus.testing.registry_thread import RegistryThread
from bus.testing.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from types import TracebackType

    from bus.children import BusProcess
    from bus.control.health import BusHealth

DATASET: Final = "scjg.companies"
ENTITY: Final = "enterprise.company"
VIEW: Final = "view.portal-company.v1"
TABLE: Final = (
    "create table companies (tyshxydm text primary key, qymc text, clrq text, zt text, gxsj timestamptz default now())"
)


def credit_codes(count: int, start: int = 0) -> list[str]:
    """So many unified credit codes whose check digits are right; nobody has them."""
    bodies = [f"91320500DEM{number:06d}" for number in range(start, start + count)]
    return [body + credit_check_digit(body) for body in bodies]


class Office:
    """A register of companies, a worker, an adapter, an onlooker; `async with Office(folder) as office`.

    Args:
        folder: for the broker's data, the workspace, configurations and logs.
    """

    def __init__(self, folder: Path) -> None:
        self.kafka = EmbeddedKafka(folder / "kafka")
        self.postgres = PostgresServer()
        self.processes = BusProcesses(folder)
        self.settings = Settings()
        self.workspace = folder / "workspace"
        self._folder = folder
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Start the servers, apply the workspace, make the table; worker and adapter are started by each test."""
        await asyncio.gather(asyncio.to_thread(self.kafka.start), asyncio.to_thread(self.postgres.start))
        self._stack.callback(self.kafka.stop)
        self._stack.push(self.postgres)
        self._stack.enter_context(self.processes)
        settings = Settings.load({}, bootstrap=self.kafka.bootstrap)
        registry = self._stack.enter_context(RegistryThread(settings.kafka))
        self.settings = settings.model_copy(update={"registry_url": registry.url})
        shutil.copytree(starter_workspace(), self.workspace)
        await self.apply()
        await self.sql(TABLE)
        self.observer = await self._stack.enter_async_context(Observer(self.settings))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End everything; the processes before the servers that they need."""
        await asyncio.to_thread(self.processes.__exit__, None, None, None)
        await self._stack.aclose()

    async def apply(self) -> None:
        """Make the cluster what the workspace says."""
        await apply_workspace(self.workspace, self.settings)

    async def sql(self, statement: str, rows: Sequence[tuple[str, ...]] = ()) -> None:
        """Run a statement, in one transaction for each of the rows of its parameters."""
        async with await psycopg.AsyncConnection.connect(**self.postgres.parameters(), autocommit=True) as connection:
            for row in rows or [()]:
                await connection.execute(statement.encode(), row)

    async def register(self, codes: Sequence[str], status: str = "存续") -> None:
        """Companies are founded."""
        rows = [(code, f"公司{code[-6:]}", "2020-01-01", status) for code in codes]
        await self.sql("insert into companies (tyshxydm, qymc, clrq, zt) values (%s, %s, %s, %s)", rows)

    def worker(self, *options: str) -> BusProcess:
        """Start a worker."""
        return self.processes.start(self.settings, "worker", *options)

    def adapter(self, *options: str) -> BusProcess:
        """Start the register's adapter."""
        config = self._folder / "scjg.yaml"
        config.write_text(f"host: 127.0.0.1\nport: {self.postgres.port}\ndatabase: postgres\nuser: postgres\n")
        return self.processes.start(self.settings, "adapter", "run", "scjg", "--config", str(config), *options)

    async def observed(self, condition: Callable[[BusHealth], object], *, within: float = 30.0) -> BusHealth:
        """The first observation that fulfils a condition."""
        last: list[BusHealth] = []

        async def holds() -> bool:
            await asyncio.sleep(0.3)  # rates are taken between two observations
            last[:] = [await self.observer.observe()]
            return bool(condition(last[0]))

        try:
            await until(holds, within=within, what="that picture of the bus")
        except AssertionError as error:
            picture = json.dumps(last[0].as_json(), ensure_ascii=False)
            raise AssertionError(f"{error}; the last one: {picture}") from None
        return last[0]

    async def status(self, *options: str) -> tuple[int, str]:
        """Exit code and output of `bus status`."""
        process = self.processes.start(self.settings, "status", *options)
        return await asyncio.to_thread(process.wait), process.text()
