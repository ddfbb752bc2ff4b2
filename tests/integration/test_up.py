"""`bus up`: every role in one process."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.request import urlopen

from bus.demo.child import BusChild
from bus.testing.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

FREE_PORTS = ("--port", "0", "--registry-port", "0", "--console-port", "0")


async def test_it_tells_where_its_console_is_and_that_shows_the_flow(tmp_path: Path) -> None:
    with BusChild("bus-up", tmp_path, ["up", "--data-dir", str(tmp_path), *FREE_PORTS, "--json"], {}) as up:
        url = json.loads(await up.told('{"bootstrap"'))["console"]

        def shown() -> set[str]:
            try:
                with urlopen(f"{url}/api/health") as answer:
                    return {dataset["name"] for dataset in json.load(answer)["datasets"]}
            except HTTPError as busy:  # 503 until the first look is done
                busy.close()
                return set()

        await until(lambda: asyncio.to_thread(lambda: "gongan.population" in shown()), within=20, what="the flow")
