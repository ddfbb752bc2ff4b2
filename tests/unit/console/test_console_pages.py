from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

from bus.console.language import CODES, Code, language
from bus.console.pages import Look, Pages
from bus.console.problems import problems
from bus.console.watch import Moment
from bus.control.health import BusHealth, Judged, LatestReject, Verdict
from bus.errors import BrokerUnavailableError, Finding
from tests.made_up_city import city, every_verdict, judged, noticed

if TYPE_CHECKING:
    from collections.abc import Sequence

DATASET = "scjg.population"
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{ 7 * 7 }}"


class Tags(HTMLParser):
    """Every tag with its attributes, and the texts between them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def with_class(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for _, attributes in self.tags if name in (attributes.get("class") or "").split()]


def moment(health: BusHealth | None, lost: BrokerUnavailableError | None = None) -> Moment:
    found = problems(health, {}) if health else ()
    return Moment(number=1, time=0.0, health=health, problems=found, lost=lost, lost_since=0.0 if lost else None)


def live(health: BusHealth | None, code: Code = "en", lost: BrokerUnavailableError | None = None) -> str:
    return Pages().live(moment(health, lost), Look(language(code)))


def words(html: str) -> str:
    return re.sub(r"\s+", " ", " ".join(Tags(html).texts))


@pytest.mark.parametrize("code", CODES)
def test_each_verdict_has_a_symbol_and_a_word_of_its_own(code: Code) -> None:
    html = live(every_verdict(), code)
    nodes = {
        (attributes.get("data-node") or ""): attributes.get("class") or ""
        for attributes in Tags(html).with_class("node")
    }
    for department, verdict in (
        ("gongan", "OK"),
        ("scjg", "STALE"),
        ("minzheng", "STALLED"),
        ("renshe", "PAUSED"),
        ("jiaoyu", "FAILED"),
    ):
        assert verdict in nodes[f"dataset-{department}.population"].split()
        assert f'href="#{verdict}"' in html
        assert language(code).texts["short"][verdict] in html


@pytest.mark.parametrize("code", CODES)
def test_all_is_well_is_said_in_words(code: Code) -> None:
    told = words(live(city(3), code))
    assert language(code).text("needs.nothing") in told
    assert language(code).text("verdict.OK") in told
    assert 'class="problem' not in live(city(3), code)


def test_what_needs_a_person_has_cause_action_and_whom_to_call() -> None:
    told = words(live(every_verdict()))
    for text in (
        "group _bus.worker has no valid offset on raw.jiaoyu.population, partition 2",
        "never guess it",
        "adapter minzheng is dead or cut off",
        "bus adapter run minzheng --config FILE",
        "值班员, 数据科, 0512-60000002",
        "paused: 412 rejects within 1 min",
    ):
        assert text in told


@pytest.mark.parametrize(
    ("code", "cause", "action"),
    [
        (
            "en",
            "<b>firms</b>-2.csv waits for a person: the adapter may not read it",
            "give the adapter's user the right",
        ),
        ("zh", "<b>firms</b>-2.csv 等待人工处理：适配器无权读取", "给运行适配器的用户读取权限"),
    ],
)
def test_what_waits_at_a_source_is_shown_at_its_dataset_with_whom_to_call(code: Code, cause: str, action: str) -> None:
    held = Finding("the adapter may not read it", "<b>firms</b>-2.csv", "give the adapter's user the right to read it")
    health = noticed(city(3), 1, held)

    html = live(health, code)

    (node,) = [each for each in Tags(html).with_class("node") if each.get("data-node") == f"dataset-{DATASET}"]
    assert "STALLED" in (node.get("class") or "").split()
    for text in (cause, action, health.departments[1].contacts[0]):
        assert text in words(html)


def test_whom_to_call_is_told_once() -> None:
    (problem,) = [each for each in problems(every_verdict(), {}) if each.judged.code == "past-promise"]
    assert words(live(every_verdict())).count(problem.contacts[0]) == 1


def test_a_reject_shows_dataset_field_rule_and_reason() -> None:
    told = words(live(city(3)))
    assert "gongan.population · xm required has no value" in told
    assert "gongan.population · xm required 缺少必填值" in words(live(city(3), "zh"))


def test_a_new_reject_is_marked_as_new_and_an_old_one_is_not() -> None:
    health = city(3, now=1_000.0)
    rejects = tuple(LatestReject(time=at, dataset="a.b", offset=int(at)) for at in (999.0, 900.0))
    tags = Tags(live(replace(health, rejects=rejects)))
    assert [each.get("id") for each in tags.with_class("new")] == ["reject-a.b-999"]


def test_hostile_names_stay_texts() -> None:
    health = city(2)
    first = replace(health.datasets[0], name=f"x.{HOSTILE}", title=HOSTILE, topic=HOSTILE)
    health = replace(
        health,
        datasets=(first, *health.datasets[1:]),
        departments=(replace(health.departments[0], title=HOSTILE, contacts=(HOSTILE,)), *health.departments[1:]),
        rejects=(LatestReject(time=0.0, dataset=HOSTILE, rule=HOSTILE, field=HOSTILE, reason=HOSTILE),),
        bus_id=HOSTILE,
    )
    health = judged(health, 0, Judged(verdict=Verdict.FAILED, code=HOSTILE, cause=HOSTILE, action=HOSTILE))
    plain = Tags(Pages().whole(moment(city(2)), Look(language("en"))))
    tags = Tags(Pages().whole(moment(health), Look(language("en"))))
    assert _scripts(tags.tags) == _scripts(plain.tags)
    assert not [attributes for tag, attributes in tags.tags if tag == "img" or "onerror" in attributes]
    assert HOSTILE in tags.texts
    assert "49" not in [text.strip() for text in tags.texts]


def _scripts(tags: Sequence[tuple[str, dict[str, str | None]]]) -> list[str | None]:
    return [attributes.get("src") for tag, attributes in tags if tag == "script"]


def test_nothing_on_the_page_needs_what_its_security_policy_forbids() -> None:
    html = Pages().whole(moment(every_verdict(60)), Look(language("zh")))
    for tag, attributes in Tags(html).tags:
        assert "style" not in attributes, tag
        assert not [name for name in attributes if name.startswith("on")], tag
        for name in ("src", "href"):
            assert not re.match(r"([a-z]+:)?//", attributes.get(name) or ""), tag
    assert "<style" not in html
    assert not re.search(r"<script(?![^>]*\bsrc=)", html)


def test_ids_are_unique_on_a_page_of_a_large_city() -> None:
    html = Pages().whole(moment(every_verdict(60)), Look(language("zh"), None, all=True))
    ids = [attributes["id"] for _, attributes in Tags(html).tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_before_the_first_look_the_page_says_so() -> None:
    assert "The first look at the bus is under way" in words(live(None))


def test_an_empty_catalogue_says_what_to_do() -> None:
    assert "bus apply" in words(live(BusHealth(time=0.0, bus_id="empty")))


@pytest.mark.parametrize(("code", "text"), [("en", "The bus is not seen since"), ("zh", "观测不到总线 自")])
def test_a_dead_broker_is_told_beside_the_last_picture(code: Code, text: str) -> None:
    error = BrokerUnavailableError("no answer", where="127.0.0.1:9", fix="start it")
    html = live(city(3), code, lost=error)
    assert text in words(html)
    assert "127.0.0.1:9" in words(html)
    assert "人口基本信息" in words(html)
    assert language(code).text("needs.nothing") not in words(html)
    assert "data-point" not in html


def test_a_dead_broker_from_the_start_is_told_too() -> None:
    error = BrokerUnavailableError("no answer", where="127.0.0.1:9", fix="start it")
    assert "start it" in words(live(None, lost=error))


def test_a_moment_is_rendered_once_for_each_look() -> None:
    pages, seen, chinese = Pages(), moment(city(3)), Look(language("zh"))
    assert pages.live(seen, chinese) is pages.live(seen, Look(language("zh")))
    assert pages.live(seen, chinese) is not pages.live(seen, Look(language("en")))
    assert pages.live(replace(seen, number=2), chinese) is not pages.live(seen, chinese)


def test_the_page_names_its_language_and_offers_the_other() -> None:
    cases: tuple[tuple[Code, str, str], ...] = (("zh", "zh-CN", "?lang=en"), ("en", "en", "?lang=zh"))
    for code, name, other in cases:
        html = Pages().whole(moment(city(3)), Look(language(code)))
        assert f'<html lang="{name}">' in html
        assert f'href="{other}"' in html
