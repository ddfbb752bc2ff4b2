from __future__ import annotations

import asyncio
import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import pytest

import bus.console
from bus.console.app import Site
from bus.console.server import ConsoleServer
from bus.console.watch import IDLE, Watch
from bus.errors import BrokerUnavailableError
from bus.http_server import PortTakenError
from bus.testing.waiting import until
from tests.made_up_city import Feed, city, every_verdict

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bus.control.health import BusHealth

VENDOR = Path(bus.console.__file__).parent / "static" / "vendor"
DEAD = BrokerUnavailableError("no answer", where="127.0.0.1:9", fix="start it")


@pytest.fixture
def feed() -> Feed:
    return Feed()


@pytest.fixture
async def console(feed: Feed) -> AsyncIterator[ConsoleServer]:
    async with ConsoleServer(feed.observe, interval=0.05) as server:
        await until_state(server, "live")
        yield server


async def get(url: str, **headers: str) -> tuple[aiohttp.ClientResponse, str]:
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
        return answer, await answer.text()


async def until_state(server: ConsoleServer, state: str) -> None:
    async def reached() -> bool:
        _, text = await get(f"{server.url}/api/health")
        return bool(json.loads(text)["console"]["state"] == state)

    await until(reached, within=10, what=f"state {state}")


async def test_the_page_comes_with_strict_security_headers(console: ConsoleServer) -> None:
    for path in ("/", "/api/health", "/static/console.js", "/nowhere"):
        answer, _ = await get(console.url + path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "server" not in answer.headers


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
async def test_it_answers_reading_alone(console: ConsoleServer, method: str) -> None:
    async with aiohttp.ClientSession() as session:
        for path in ("/", "/live", "/api/health", "/static/console.css"):
            async with session.request(method, console.url + path) as answer:
                assert answer.status == 405
                assert answer.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("127.0.0.1", 200), ("localhost:1234", 200), ("LOCALHOST", 200), ("[::1]:80", 200), ("127.8.9.1", 200),
        ("evil.example", 421), ("localhost.evil.example", 421), ("10.0.0.7", 421), ("127.0.0.1.evil.example", 421),
        ("[::1", 200), ("", 421),
    ],
)  # fmt: skip
async def test_on_loopback_it_answers_to_loopbacks_names_alone(console: ConsoleServer, name: str, status: int) -> None:
    answer, _ = await get(f"{console.url}/api/trend", Host=name)
    assert answer.status == status


@pytest.mark.parametrize(
    ("name", "status"),
    [("10.0.0.7:8080", 200), ("console.city.example", 200), ("localhost", 200), ("evil.example", 421)],
)
async def test_elsewhere_it_answers_to_addresses_and_to_the_names_it_was_given(
    feed: Feed, name: str, status: int
) -> None:
    site = Site(host="0.0.0.0", names=("Console.City.Example",))
    async with ConsoleServer(feed.observe, site) as server:
        answer, _ = await get(f"{server.url}/api/trend", Host=name)
    assert answer.status == status


async def test_the_language_is_the_browsers_unless_one_is_asked_for(console: ConsoleServer) -> None:
    _, chinese = await get(console.url, **{"Accept-Language": "zh-CN,en;q=0.5"})
    _, english = await get(f"{console.url}/?lang=en", **{"Accept-Language": "zh-CN,en;q=0.5"})
    assert "需要人工处理" in chinese
    assert "Needs a person now" in english


async def test_the_health_is_served_as_bus_status_prints_it(console: ConsoleServer, feed: Feed) -> None:
    answer, text = await get(f"{console.url}/api/health")
    told = json.loads(text)
    assert answer.status == 200
    assert told.pop("console") == {"state": "live"}
    assert told.keys() == feed.health.as_json().keys()
    assert told["datasets"] == feed.health.as_json()["datasets"]


async def test_a_dead_broker_leaves_the_page_up_and_is_told(
    console: ConsoleServer, feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bus.console.watch.IDLE", 0.1)
    feed.error = DEAD
    await until_state(console, "lost")
    answer, text = await get(f"{console.url}/api/health")
    assert answer.status == 503
    assert json.loads(text)["console"]["where"] == "127.0.0.1:9"
    assert json.loads(text)["bus_id"] == "suzhou"
    answer, page = await get(f"{console.url}/?lang=en")
    assert answer.status == 200
    assert "The bus is not seen" in page
    feed.error = None
    await until_state(console, "live")
    assert "The bus is not seen" not in (await get(f"{console.url}/?lang=en"))[1]


async def test_a_broker_that_is_dead_from_the_start_does_not_keep_the_page_down() -> None:
    async with ConsoleServer(Feed(error=DEAD).observe, interval=0.05) as server:
        await until_state(server, "lost")
        assert (await get(server.url))[0].status == 200


async def events(server: ConsoleServer, count: int) -> list[str]:
    """The first events of a stream."""
    found: list[str] = []
    async with aiohttp.ClientSession() as session, session.get(f"{server.url}/live?lang=en") as answer:
        assert answer.content_type == "text/event-stream"
        async for line in answer.content:
            text = line.decode()
            if text.startswith("id: "):
                found.append("")
            if len(found) > count:
                break
            if text.startswith("data: "):
                found[-1] += text.removeprefix("data: ")
    return found[:count]


async def test_every_observation_reaches_those_who_watch(console: ConsoleServer, feed: Feed) -> None:
    feed.health = every_verdict()
    assert "adapter minzheng is dead" in (await events(console, 3))[-1]


async def test_many_who_watch_cost_one_observation(feed: Feed) -> None:
    async with ConsoleServer(feed.observe, interval=0.1) as server:
        seen = await asyncio.gather(*(events(server, 3) for _ in range(8)))
    assert all(len(each) == 3 for each in seen)
    assert feed.looks <= 6


async def test_it_ends_at_once_although_somebody_watches(feed: Feed) -> None:
    server = ConsoleServer(feed.observe, interval=0.05)
    await server.start()
    watching = asyncio.create_task(events(server, 10_000))
    await until(lambda: feed.looks >= 3, within=5)
    await asyncio.wait_for(server.stop(), 5)
    assert len(await watching) >= 1


async def test_a_taken_port_is_told(console: ConsoleServer, feed: Feed) -> None:
    with pytest.raises(PortTakenError):
        await ConsoleServer(feed.observe, Site(port=console.port)).start()


async def test_it_looks_seldom_while_nobody_watches_and_at_once_when_somebody_comes(feed: Feed) -> None:
    watch = Watch(feed.observe, interval=0.01)
    running = asyncio.create_task(watch.run())
    try:
        await asyncio.wait_for(watch.newer(0), 5)
        await asyncio.sleep(0.2)  # nothing is waited for: that nothing comes, twenty intervals long, is what is tried
        assert feed.looks == 1
        with watch.watching():
            await asyncio.wait_for(watch.newer(2), IDLE / 2)
    finally:
        running.cancel()


async def test_a_slow_look_is_told_and_not_cut_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bus.console.watch.PATIENCE", 0.05)
    answer = asyncio.Event()

    async def slow() -> BusHealth:
        await answer.wait()
        return city(3)

    watch = Watch(slow)
    running = asyncio.create_task(watch.run())
    try:
        lost = await asyncio.wait_for(watch.newer(0), 5)
        assert lost.lost is not None
        answer.set()
        while (seen := await asyncio.wait_for(watch.newer(lost.number), 5)).lost is not None:
            lost = seen
        assert seen.health is not None
    finally:
        running.cancel()


async def test_static_files_are_kept_for_ever_under_addresses_that_change_with_them(console: ConsoleServer) -> None:
    _, page = await get(console.url)
    (address,) = re.findall(r'href="(static/console\.css\?[0-9a-f]{12})"', page)
    answer, text = await get(f"{console.url}/{address}")
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert address.endswith(hashlib.sha256(text.encode()).hexdigest()[:12])


@pytest.mark.parametrize("path", ["/static/../pages.py", "/static/%2e%2e/pages.py", "/static/", "/static/vendor"])
async def test_nothing_beside_the_static_files_is_served(console: ConsoleServer, path: str) -> None:
    assert (await get(console.url + path))[0].status == 404


def test_vendored_files_are_those_that_their_readme_names() -> None:
    readme = (VENDOR / "README.md").read_text(encoding="utf-8")
    named = dict(re.findall(r"\| `([\w.-]+\.js)` \|.*`([0-9a-f]{64})` \|", readme))
    assert named == {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in VENDOR.glob("*.js")}
