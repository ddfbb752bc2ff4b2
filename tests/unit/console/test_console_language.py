from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from string import Formatter

import pytest

import bus
from adapters.files.config import DatasetConfig
from adapters.files.difference import Counts, ask_before_deleting
from adapters.files.dump import Loaded
from adapters.files.faults import DumpHeldError, DumpRefusedError
from adapters.files.header import check_header
from adapters.files.records import Reject
from bus.console.language import Code, choose, language
from bus.console.told import tell, tell_error, tell_reject
from bus.control.health import Judged, LatestReject, Verdict
from bus.errors import BrokerUnavailableError, Finding, Severity
from tests.made_up_city import city, judged, noticed, silent_adapter, stale

SOURCES = Path(bus.__file__).parent


@pytest.mark.parametrize(
    ("asked", "configured", "accepted", "expected"),
    [
        (None, None, "zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        (None, None, "en-GB,en;q=0.9,zh;q=0.5", "en"),
        (None, None, "fr, zh-TW;q=0.3", "zh"),
        (None, None, "en;q=0.2, zh;q=0.7", "zh"),
        (None, None, "zh;q=0, en;q=0.1", "en"),
        (None, None, "zh;q=nonsense", "en"),
        (None, None, "", "en"),
        (None, "zh", "en", "zh"),
        ("en", "zh", "zh", "en"),
        ("../etc", None, "zh", "zh"),
    ],
)
def test_whose_wish_decides_the_language(
    asked: str | None, configured: Code | None, accepted: str, expected: str
) -> None:
    assert choose(asked, configured, accepted).code == expected


def test_both_languages_have_the_same_texts_with_the_same_values() -> None:
    english, chinese = language("en").texts, language("zh").texts
    for table, texts in english.items():
        assert texts.keys() == chinese[table].keys(), table
        for name, text in texts.items():
            assert _names(text) == _names(chinese[table][name]), f"{table}.{name}"


def _names(text: str) -> set[str | None]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def test_every_cause_that_the_bus_can_tell_is_told_in_chinese() -> None:
    sources = [file.read_text(encoding="utf-8") for file in (SOURCES / "control").glob("*.py")]
    codes = {code for source in sources for code in re.findall(r'\bcode="([a-z-]+)"', source)}
    assert len(codes) > 10
    assert codes - language("zh").texts["cause"].keys() == set()


@pytest.mark.parametrize(
    ("code", "count", "expected"),
    [
        ("en", 0, "0 records wait"), ("en", 1, "1 record waits"), ("en", 1_234, "1,234 records wait"),
        ("zh", 1, "待处理 1 条"), ("zh", 2, "待处理 2 条"),
    ],
)  # fmt: skip
def test_one_record_and_several(code: Code, count: int, expected: str) -> None:
    assert language(code).counted("node.tip_waiting", count) == expected


@pytest.mark.parametrize(
    ("code", "value", "expected"),
    [
        ("en", None, "–"), ("en", 0.0, "0"), ("en", 0.44, "0.4"), ("en", 38.4, "38"), ("en", 999.6, "1.0k"),
        ("en", 12_500.0, "12.5k"), ("en", 250_000.0, "250k"), ("zh", 9_999.0, "9,999"), ("zh", 12_500.0, "1.2万"),
    ],
)  # fmt: skip
def test_rates(code: Code, value: float | None, expected: str) -> None:
    assert language(code).rate(value) == expected


@pytest.mark.parametrize(
    ("seconds", "english", "chinese"),
    [
        (0.42, "0.4 s", "0.4 秒"), (-0.2, "0.0 s", "0.0 秒"), (12.3, "12 s", "12 秒"), (240.0, "4 min", "4 分钟"),
        (10_800.0, "3 h", "3 小时"), (200_000.0, "2 d", "2 天"), (None, "–", "–"),
    ],
)  # fmt: skip
def test_durations(seconds: float | None, english: str, chinese: str) -> None:
    assert (language("en").span(seconds), language("zh").span(seconds)) == (english, chinese)


def test_dates_as_each_language_writes_them() -> None:
    assert re.fullmatch(r"2026年1月\d+日 \d\d:\d\d:\d\d", language("zh").moment(1_768_000_000.0))
    assert re.fullmatch(r"\d+ Jan 2026 \d\d:\d\d:\d\d", language("en").moment(1_768_000_000.0))


def test_a_dead_adapter_is_told_in_chinese_with_its_own_figures() -> None:
    health = silent_adapter(city(3), 1, seconds=95.0)
    told = tell(health.datasets[1], health, language("zh"))  # of the dataset: the sentence speaks of its adapter
    assert told.cause == "适配器 scjg 已失效或断连：95 秒没有心跳（scjg-front，进程 4711）"
    assert told.action == "检查 scjg-front 上的进程 4711 及其网络；重新启动：bus adapter run scjg --config FILE"
    assert tell(health.adapters[1], health, language("en")).cause == health.adapters[1].cause


def test_a_stale_dataset_names_its_owner() -> None:
    health = stale(city(3), 0, seconds=600.0)
    told = tell(health.datasets[0], health, language("zh"))
    assert told.cause == "人口基本信息（gongan.population）的数据已有 10 分钟未更新；承诺时限为 5 分钟"
    assert told.action == "联系 公安局、值班员, 数据科, 0512-60000000"


FIRMS = DatasetConfig(files="*.csv", key=("code",), columns={"代码": "code", "名称": "title"})


def refusal(columns: list[str]) -> Finding:
    """What the files adapter says of a dump with these columns."""
    with pytest.raises(DumpRefusedError) as refused:
        check_header(columns, FIRMS, "firms-2.csv", {})
    return Finding(
        refused.value.detail, refused.value.where, f"{refused.value.fix} (it lies in failed/1.firms-2.csv)",
        Severity.WARNING,
    )  # fmt: skip


def question(counts: Counts, loaded: Loaded) -> Finding:
    """What the files adapter asks of a dump after one of 100 rows."""
    with pytest.raises(DumpHeldError) as held:
        ask_before_deleting(counts, 100, loaded, FIRMS, "firms-2.csv")
    return Finding(held.value.detail, held.value.where, held.value.fix)


def test_a_dump_that_waits_is_told_in_chinese_with_what_to_do() -> None:
    notice = question(Counts(0, 0, 60), Loaded(40, 0, 0, (), ""))
    health = noticed(city(3), 1, notice, notice, refusal([]))

    told = tell(health.datasets[1], health, language("zh"))

    assert told.cause == (
        "企业登记（scjg.population）的来源 firms-2.csv 等 2 项 等待人工处理：缺少已知的 100 行中的 60 行，超过 30%"
    )
    assert (
        told.action
        == "若这些行确已删除，请在其旁边新建空文件 firms-2.csv.accept-deletions；若文件不完整，请换成完整的文件"
    )
    english = tell(health.datasets[1], health, language("en"))
    assert (english.cause, english.action) == (health.datasets[1].cause, notice.fix)


def test_a_dump_that_is_cut_in_a_key_is_told_in_chinese() -> None:
    cut = Reject(41, "ragged", "line 41: it has too few fields")
    notice = question(Counts(0, 0, 0), Loaded(100, 60, 59, (cut,), ""))
    health = noticed(city(3), 1, notice)

    told = tell(health.datasets[1], health, language("zh"))

    assert told.cause.endswith("缺少已知的 100 行中的 59 行，超过 30%；其中 1 行的主键无法读取")
    assert told.action.startswith("若文件不完整，请换成完整的文件；")


def test_a_dump_that_was_refused_is_told_in_chinese_with_its_reason() -> None:
    health = noticed(city(3), 1, refusal(["代码"]))

    told = tell(health.datasets[1], health, language("zh"))

    assert told.cause.endswith("的来源 firms-2.csv:1 已被拒绝，此后尚无可用的新数据：表头缺少 名称")
    assert told.action == "补上该列，或修正数据集配置中的 `columns`（原文件在 failed/1.firms-2.csv）"


def test_what_an_adapter_says_in_words_of_its_own_is_told_as_it_was_said() -> None:
    assert language("zh").say("the moon is full") == "the moon is full"
    assert language("en").say("write it again") == "write it again"


def test_every_form_that_is_told_in_chinese_is_one_that_the_files_adapter_says() -> None:
    sources = "".join(file.read_text(encoding="utf-8") for file in (SOURCES.parent / "adapters" / "files").glob("*.py"))
    whole = re.sub(r'"\s*\n\s*f?"', "", sources)  # a text over several lines
    said = re.sub(r"\{[^{}]*\}", "{}", whole)
    forms = [re.sub(r"\{\w+\}", "{}", form) for form in language("zh").texts["said"]]
    assert len(forms) > 20
    assert [form for form in forms if form not in said] == []


def test_a_cause_that_has_no_translation_is_told_as_it_was_said() -> None:
    said = Judged(verdict=Verdict.FAILED, code="brand-new", cause="something new", action="read the manual")
    health = judged(city(3), 0, said)
    told = tell(health.datasets[0], health, language("zh"))
    assert (told.cause, told.action) == ("something new", "read the manual")


def test_a_sentence_whose_figures_are_not_known_is_told_as_it_was_said() -> None:
    health = silent_adapter(city(3), 1)
    blind = replace(health, adapters=tuple(replace(each, heard=None) for each in health.adapters))
    assert tell(blind.adapters[1], blind, language("zh")).cause == health.adapters[1].cause


def test_braces_in_a_name_are_no_placeholders() -> None:
    health = silent_adapter(city(3), 1)
    named = replace(health, adapters=tuple(replace(each, host="{name.__class__}") for each in health.adapters))
    assert "{name.__class__}" in tell(named.adapters[1], named, language("zh")).cause


def test_a_reject_is_told_by_its_rule_or_in_its_own_words() -> None:
    known = LatestReject(time=0.0, dataset="a.b", rule="required", reason="has no value")
    other = LatestReject(time=0.0, dataset="a.b", rule="own_rule", reason="is not so")
    assert [tell_reject(each, language("zh")) for each in (known, other)] == ["缺少必填值", "is not so"]
    assert tell_reject(known, language("en")) == "has no value"


def test_a_dead_broker_is_told_in_both_languages() -> None:
    error = BrokerUnavailableError("no answer", where="127.0.0.1:9", fix="start it.")
    assert tell_error(error, language("zh")).cause == "Kafka 没有应答（127.0.0.1:9）"
    assert tell_error(error, language("en")).cause == f"{error.summary} (127.0.0.1:9)"
