"""The console as people see it: in a real Chromium, over a made-up city."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import Error as PlaywrightError
from playwright.async_api import async_playwright

from bus.console.app import Site
from bus.console.server import ConsoleServer
from bus.control.health import BusHealth, Judged, LatestReject, Verdict
from bus.errors import BrokerUnavailableError
from bus.testing.waiting import until
from tests.made_up_city import Feed, city, every_verdict, judged

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser, Page

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
PROMISED_SECONDS = 2.0

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (Debian: apt-get install chromium)"),
]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        await started.close()


@dataclass
class Screen:
    """A page, and what a browser complains of."""

    page: Page
    feed: Feed
    url: str
    complaints: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    async def open(self, query: str = "?lang=en") -> None:
        await self.page.goto(f"{self.url}/{query}")
        await self.page.wait_for_selector(".node, .empty")

    async def listens(self) -> None:
        """Wait until what the page shows comes from the stream."""
        first = int(await self.js("document.getElementById('pulse').dataset.number"))
        await self.becomes(f"document.getElementById('pulse').dataset.number > {first + 1}")

    async def seen(self, text: str, within: float = PROMISED_SECONDS) -> float:
        """The seconds until the page shows a text."""
        begun = time.monotonic()
        await self.page.get_by_text(text).first.wait_for(timeout=within * 1_000)
        return time.monotonic() - begun

    async def js(self, expression: str) -> Any:
        async with asyncio.timeout(10):
            return await self.page.evaluate(expression)

    async def becomes(self, expression: str) -> None:
        """Wait for it; playwright's own waiting needs `eval`, which the page's policy forbids."""

        async def holds() -> Any:
            try:
                return await self.js(expression)
            except (PlaywrightError, TimeoutError):  # a page that is just being loaded has nothing to say
                return False

        await until(holds, within=60, what=expression)


@asynccontextmanager
async def screen(
    browser: Browser, health: BusHealth, *, site: Site | None = None, **context: Any
) -> AsyncIterator[Screen]:
    """A console over that health, with a page that is not opened yet."""
    feed = Feed(health)
    async with ConsoleServer(feed.observe, site or Site()) as server:
        await until(lambda: feed.looks > 0, within=20)
        viewed = await browser.new_context(**{"viewport": {"width": 1920, "height": 1080}, **context})
        page = await viewed.new_page()
        made = Screen(page, feed, server.url)
        page.on("console", lambda message: made.complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: made.complaints.append(str(error)))
        page.on("dialog", lambda dialog: made.complaints.append(f"dialog {dialog.message}"))
        page.on("request", lambda request: made.asked.append(request.url))
        try:
            yield made
        finally:
            await viewed.close()


async def test_the_first_load_takes_less_than_a_second(browser: Browser) -> None:
    seconds = []
    for _ in range(3):  # the best of three: other tests may have the processors
        async with screen(browser, every_verdict(60)) as seen:
            await seen.open()
            loaded = "performance.getEntriesByType('navigation')[0].loadEventEnd"
            await seen.becomes(f"{loaded} > 0")
            painted = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
            await seen.becomes(f"{painted} > 0")
            seconds.append(max(await seen.js(loaded), await seen.js(painted)) / 1_000)
    assert min(seconds) < 1.0, seconds


async def test_it_asks_nobody_else_and_the_browser_complains_of_nothing(browser: Browser) -> None:
    async with screen(browser, every_verdict()) as seen:
        await seen.open()
        await seen.page.wait_for_selector("#rates canvas")  # the charts' library works under the policy too
        await seen.listens()
        assert {urlsplit(url).netloc for url in seen.asked} == {urlsplit(seen.url).netloc}
        assert seen.complaints == []


async def test_a_verdict_is_on_the_page_within_two_seconds(browser: Browser) -> None:
    async with screen(browser, city(12)) as seen:
        await seen.open()
        await seen.listens()
        await seen.seen("All is well")
        said = Judged(verdict=Verdict.FAILED, code="x", cause="the disk of bus-7 is full", action="make room on it")
        seen.feed.health = judged(city(12), 3, said)
        await seen.seen("the disk of bus-7 is full")
        await seen.seen("make room on it", within=0.5)
        node = seen.page.locator('[data-node="dataset-renshe.population"]')
        assert "FAILED" in (await node.get_attribute("class") or "")
        seen.feed.health = city(12)
        await seen.seen("Nobody is needed")
        assert seen.complaints == []


async def test_a_reject_is_on_the_page_within_two_seconds(browser: Browser) -> None:
    async with screen(browser, city(3)) as seen:
        await seen.open()
        await seen.listens()
        fresh = LatestReject(
            time=time.time(), dataset="scjg.licences", rule="codes", field="zt", reason="is unheard of"
        )
        seen.feed.health = replace(seen.feed.health, rejects=(fresh, *seen.feed.health.rejects))
        await seen.seen("is unheard of")
        assert "scjg.licences" in await seen.page.locator("#rejects li").first.inner_text()


async def test_a_rate_is_on_the_page_within_two_seconds(browser: Browser) -> None:
    async with screen(browser, city(3)) as seen:
        await seen.open()
        await seen.listens()
        busy = tuple(replace(each, rate=7_000.0) for each in seen.feed.health.datasets)
        seen.feed.health = replace(seen.feed.health, datasets=busy)
        await seen.seen("21.0k")


async def test_a_dead_broker_is_told_and_its_return_too(browser: Browser) -> None:
    async with screen(browser, city(3)) as seen:
        await seen.open()
        await seen.listens()
        seen.feed.error = BrokerUnavailableError("no answer", where="127.0.0.1:9", fix="start it")
        await seen.seen("The bus is not seen")
        assert await seen.page.locator("#lost").is_visible()
        assert await seen.page.locator(".node").count() > 10
        seen.feed.error = None
        await seen.page.locator("#lost").wait_for(state="detached", timeout=PROMISED_SECONDS * 1_000)


async def test_a_page_that_hears_nothing_says_so_and_goes_on_when_the_console_is_back(browser: Browser) -> None:
    feed = Feed(city(3))
    viewed = await browser.new_context()
    page = await viewed.new_page()
    async with ConsoleServer(feed.observe) as first:
        await page.goto(f"{first.url}/?lang=zh")
        await page.get_by_text("无需人工处理").first.wait_for()
        await until(lambda: feed.looks > 3, within=20)
        port = first.port
    await page.locator("#silent").wait_for(state="visible", timeout=8_000)
    assert "控制台没有回音" in await page.locator("#silent").inner_text()
    feed.health = every_verdict()
    async with ConsoleServer(feed.observe, Site(port=port)):
        await page.locator("#silent").wait_for(state="hidden", timeout=8_000)
        await page.get_by_text("适配器 minzheng 已失效").first.wait_for(timeout=2_000)
    await viewed.close()


async def test_a_page_that_never_reached_its_stream_loads_itself_again(browser: Browser) -> None:
    async with screen(browser, city(3)) as seen:
        await seen.page.route("**/live*", lambda route: route.abort())
        await seen.open()
        await seen.page.locator("#silent").wait_for(state="visible", timeout=30_000)
        await seen.page.unroute("**/live*")
        await seen.page.locator("#silent").wait_for(state="hidden", timeout=20_000)
        await seen.listens()


async def test_a_page_of_an_older_console_loads_itself_again(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    async with screen(browser, city(3)) as seen:
        await seen.open()
        await seen.listens()
        loaded_at = await seen.js("performance.timeOrigin")
        monkeypatch.setattr("bus.console.pages.VERSION", "another")
        await seen.becomes(f"performance.timeOrigin > {loaded_at}")
        await seen.becomes("document.getElementById('pulse')")
        await seen.listens()


@pytest.mark.parametrize(
    ("width", "height", "datasets", "language"),
    [
        (1280, 720, 1, "zh"), (1280, 720, 3, "en"), (1280, 720, 12, "zh"), (1280, 720, 60, "en"), (1280, 720, 60, "zh"),
        (1920, 1080, 1, "en"), (1920, 1080, 3, "zh"), (1920, 1080, 12, "en"), (1920, 1080, 60, "zh"),
        (3840, 2160, 12, "zh"),
    ],
)  # fmt: skip
async def test_everything_has_its_place_on_the_screen(
    browser: Browser, width: int, height: int, datasets: int, language: str
) -> None:
    health = every_verdict(datasets) if datasets >= 12 else city(datasets)
    async with screen(browser, health, viewport={"width": width, "height": height}) as seen:
        await seen.open(f"?lang={language}")
        assert await seen.js("document.documentElement.scrollWidth") <= width
        assert await seen.js("document.documentElement.scrollHeight") <= height
        boxes = await seen.js(BOXES)
        for kind, column in boxes.items():
            for box in column:
                assert 0 <= box["left"] < box["right"] <= width, kind
                assert 0 <= box["top"] < box["bottom"] <= height, kind
                assert box["inner"] <= box["bottom"] - box["top"] + 1, f"{kind}: {box['id']} is cut"
                assert box["facts"] <= 1, f"{kind}: the figures of {box['id']} are cut"
            for above, below in pairwise(column):
                assert above["bottom"] <= below["top"], kind
        assert max(await seen.js(MISSED), default=0.0) <= 2.0  # pixels between an edge's ends and its nodes
        if folder := os.environ.get("CONSOLE_SCREENSHOTS"):
            await seen.page.wait_for_selector("#rates canvas")
            await seen.page.screenshot(path=Path(folder) / f"{width}x{height}-{datasets}-{language}.png")


BOXES = """() => Object.fromEntries([...document.querySelectorAll('.column')].map((column) => [column.className,
    [...column.querySelectorAll('.node')].map((node) => {
        const { left, right, top, bottom } = node.getBoundingClientRect(), line = node.querySelector('.facts');
        const facts = Math.max(...[line, ...line.children].map((each) => each.scrollWidth - each.clientWidth));
        return { left, right, top, bottom, inner: node.scrollHeight, id: node.id, facts };
    })]))"""

MISSED = """() => [...document.querySelectorAll('.edge')].flatMap((edge) => {
    const path = edge.querySelector('.bed'), matrix = path.getScreenCTM(), length = path.getTotalLength();
    return [[edge.dataset.from, 0, 'right'], [edge.dataset.to, length, 'left']].flatMap(([id, at, side]) => {
        const end = path.getPointAtLength(at).matrixTransform(matrix);
        const box = document.getElementById(id).getBoundingClientRect();
        return [Math.abs(end.y - (box.top + box.bottom) / 2), Math.abs(end.x - box[side])];
    });
})"""


async def test_every_part_has_a_row_when_all_are_asked_for(browser: Browser) -> None:
    async with screen(browser, every_verdict(60), viewport={"width": 1280, "height": 720}) as seen:
        await seen.open()
        await seen.page.locator("a.others").first.click()
        await seen.page.wait_for_url("**all=1**")
        assert await seen.page.locator(".column.dataset .node").count() == 60
        assert await seen.js("document.documentElement.scrollHeight") <= 720
        await seen.page.locator('[data-node="dataset-shuiju.inspections"]').scroll_into_view_if_needed()
        assert await seen.page.locator('[data-node="dataset-shuiju.inspections"]').is_visible()


async def test_the_keyboard_reaches_every_part_and_traces_its_way(browser: Browser) -> None:
    async with screen(browser, city(3)) as seen:
        await seen.open()
        await seen.listens()  # a page that cannot connect for 10 s loads itself anew, which takes the focus away
        await seen.page.keyboard.press("Tab")
        assert await seen.js("document.activeElement.className") == "skip"
        for _ in range(10):
            await seen.page.keyboard.press("Tab")
            if await seen.js("document.activeElement.classList.contains('node')"):
                break
        assert await seen.js("document.activeElement.id") == "department-gongan"
        assert "公安局" in await seen.page.locator("#tip").inner_text()
        lit = "[...document.querySelectorAll('.node.lit')].map((node) => node.id)"
        way = ["department-gongan", "dataset-gongan.population", "entity-population.gongan"]
        assert (await seen.js(lit))[:3] == way
        await seen.listens()
        assert await seen.js("document.activeElement.id") == "department-gongan"  # the focus outlives what comes in
        assert len(await seen.js(lit)) == 5
        await seen.page.keyboard.press("Escape")
        assert await seen.js(lit) == []
        assert not await seen.page.locator("#tip").is_visible()


async def test_nothing_moves_for_those_who_want_it_still(browser: Browser) -> None:
    async with screen(browser, every_verdict(), reduced_motion="reduce") as still:
        await still.open()
        assert await still.js("document.getAnimations().length") == 0
    async with screen(browser, every_verdict()) as moving:
        await moving.open()
        assert await moving.js("document.getAnimations().length") > 0


@pytest.mark.parametrize(
    ("locale", "word", "other"), [("zh-CN", "需要人工处理", "English"), ("en-GB", "Needs a person now", "中文")]
)
async def test_the_browsers_language_is_spoken_and_the_other_is_one_click_away(
    browser: Browser, locale: str, word: str, other: str
) -> None:
    async with screen(browser, city(3), locale=locale) as seen:
        await seen.open("")
        await seen.seen(word)
        assert (await seen.js("document.documentElement.lang"))[:2] == locale[:2]
        await seen.page.get_by_text(other, exact=True).click()
        await seen.page.get_by_text(word).first.wait_for(state="detached")
        assert (await seen.js("document.documentElement.lang"))[:2] != locale[:2]


@pytest.mark.parametrize("scheme", ["dark", "light"])
async def test_texts_stand_out_from_what_is_behind_them(browser: Browser, scheme: str) -> None:
    """WCAG 2.2 §1.4.3: at least 4.5 to 1."""
    async with screen(browser, every_verdict(), color_scheme=scheme) as seen:
        await seen.open()
        ratios = await seen.js(CONTRASTS)
        assert len(ratios) == 18
        assert {pair: ratio for pair, ratio in ratios.items() if ratio < 4.5} == {}


CONTRASTS = """() => {
    const style = getComputedStyle(document.documentElement), found = {};
    const light = (name) => {
        const value = style.getPropertyValue(name).trim().slice(1);
        const parts = [0, 2, 4].map((at) => parseInt(value.slice(at, at + 2), 16) / 255);
        const [r, g, b] = parts.map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const texts = ['--text', '--muted', '--flow', '--ok', '--paused', '--stale', '--stalled', '--failed', '--lost'];
    for (const text of texts)
        for (const ground of ['--panel', '--raised']) {
            const [high, low] = [light(text), light(ground)].sort((a, b) => b - a);
            found[`${text} ${ground}`] = (high + 0.05) / (low + 0.05);
        }
    return found;
}"""


async def test_light_or_dark_is_the_systems_choice_until_somebody_chooses(browser: Browser) -> None:
    async with screen(browser, city(3), color_scheme="light") as seen:
        await seen.open()
        ground = "getComputedStyle(document.body).backgroundColor"
        light = await seen.js(ground)
        await seen.page.locator("#theme").click()
        dark = await seen.js(ground)
        assert dark != light
        await seen.page.reload()
        assert await seen.js(ground) == dark
        await seen.open("?lang=en&theme=light")
        assert await seen.js(ground) == light


async def test_hostile_names_do_nothing_in_a_real_browser(browser: Browser) -> None:
    hostile = "<img src=x onerror=alert(1)><script>alert(2)</script>\"' onmouseover='alert(3)"
    health = city(3)
    broken = replace(health.datasets[0], title=hostile)
    health = replace(
        health,
        bus_id=hostile,
        datasets=(broken, *health.datasets[1:]),
        rejects=(LatestReject(time=health.time, dataset=hostile, rule=hostile, field=hostile, reason=hostile),),
    )
    health = judged(health, 0, Judged(verdict=Verdict.FAILED, code=hostile, cause=hostile, action=hostile))
    async with screen(browser, health) as seen:
        await seen.open()
        await seen.page.locator(".column.dataset .node").first.hover()
        assert "<img src=x" in await seen.page.locator("#tip").inner_text()
        assert await seen.page.locator("img").count() == 0
        assert seen.complaints == []
