"""The health of a made-up city, for tests of those who draw it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bus.control.health import (
    AdapterHealth,
    BusHealth,
    DatasetHealth,
    DepartmentHealth,
    EntityHealth,
    Judged,
    LatestReject,
    SubscriberHealth,
    SubscriptionHealth,
    Verdict,
    ViewHealth,
    WorkerHealth,
)
from bus.control.verdict import AdapterSeen, judge_adapter, judge_freshness, judge_notices, told, worst

if TYPE_CHECKING:
    from bus.errors import BusError, Finding

DEPARTMENTS = (
    ("gongan", "公安局"), ("scjg", "市场监督管理局"), ("minzheng", "民政局"), ("renshe", "人力资源和社会保障局"),
    ("jiaoyu", "教育局"), ("weijian", "卫生健康委员会"), ("zrzy", "自然资源和规划局"), ("zhujian", "住房和城乡建设局"),
    ("jiaotong", "交通运输局"), ("shuiwu", "水务局"), ("yingji", "应急管理局"), ("shuiju", "税务局"),
)  # fmt: skip
POPULATIONS = (
    "人口基本信息", "企业登记", "婚姻登记", "社会保险参保", "学籍", "出生医学证明",
    "不动产登记", "房屋交易", "道路运输证",
    "取水许可", "危险化学品许可", "纳税信用",
)  # fmt: skip
THINGS = (
    ("population", POPULATIONS),
    ("licences", ("证照目录",) * 12),
    ("events", ("办件",) * 12),
    ("assets", ("台账",) * 12),
    ("inspections", ("检查结果",) * 12),
)
RULES = (
    ("required", "has no value"),
    ("codes", "is not in the code list sex or its map"),
    ("gb11643", "is no citizen id"),
)


def city(datasets: int = 3, now: float | None = None) -> BusHealth:
    """A city where all is well.

    Args:
        datasets: how many.
        now: time of the observation.
    """
    now = time.time() if now is None else now
    wanted = [(DEPARTMENTS[n % 12], THINGS[n // 12], n % 12) for n in range(datasets)]
    made = tuple(
        DatasetHealth(
            name=f"{dept}.{thing}", title=titles[place], department=dept, adapter=dept, entities=(f"{thing}.{dept}",),
            share="unconditional", topic=f"raw.{dept}.{thing}", records=10_000 * (n + 1),
            rate=[238.4, 12.5, 0.4, 0.0, 1840.0, 33.0][n % 6], lag=3 * (n % 4), freshness_seconds=0.4 + n % 7,
            latency_seconds=0.2, promise_seconds=300.0, newest=now - 1.0, open_rejects=(0, 4, 0, 0, 12)[n % 5],
        )
        for n, ((dept, _), (thing, titles), place) in enumerate(wanted)
    )  # fmt: skip
    entities = tuple(
        EntityHealth(
            name=each.entities[0], title=f"{each.title}（共享）", datasets=(each.name,),
            topic=f"shared.{each.entities[0]}",
            views=(f"view.portal-{n % 9}.v1", f"view.{each.department}-{n}.v1")[: 1 + n % 2],
            rate=each.rate * 0.98, lag=0, freshness_seconds=(each.freshness_seconds or 0.0) + 0.3,
        )
        for n, each in enumerate(made)
    )  # fmt: skip
    views = tuple(
        ViewHealth(
            name=f"{each.datasets[0].replace('.', '-')}-{kind}", revision=1, title=f"{each.title[:-4]}{title}",
            topic=f"view.{each.datasets[0].replace('.', '-')}-{kind}.v1", entity=each.name, filtered=kind == "county",
            subscribers=(f"{kind}-{n % 8}",), rate=each.rate * share, freshness_seconds=each.freshness_seconds,
            promise_seconds=300.0,
        )
        for n, each in enumerate(entities)
        for kind, title, share in (("portal", "一网通办", 1.0), ("county", "区县", 0.2))[: 1 + n % 2]
    )  # fmt: skip
    receivers = sorted({name for view in views for name in view.subscribers})
    subscribers = tuple(
        SubscriberHealth(
            name=name, department="shuju",
            title=f"{'政务服务门户' if name.startswith('portal') else '区县数据平台'} {name[-1]}",
            subscriptions=tuple(
                SubscriptionHealth(
                    name=f"{name}-{view.name}", subscriber=name, view=view.topic, delivery="kafka", group=name,
                    lag=None if name.endswith("3") else 2, rate=view.rate,
                )
                for view in views if name in view.subscribers
            ),
        )
        for name in receivers
    )  # fmt: skip
    owners = dict(each for each, _, _ in wanted)
    return BusHealth(
        time=now,
        bus_id="suzhou",
        interval=1.0,
        departments=tuple(
            DepartmentHealth(
                name=name, title=title, contacts=(f"值班员, 数据科, 0512-{6000_0000 + n}",),
                datasets=tuple(each.name for each in made if each.department == name),
                freshness_seconds=max(each.freshness_seconds or 0.0 for each in made if each.department == name),
                open_rejects=sum(each.open_rejects for each in made if each.department == name),
                rate=sum(each.rate for each in made if each.department == name),
            )
            for n, (name, title) in enumerate(owners.items())
        ),
        datasets=made,
        entities=entities,
        views=views,
        subscribers=subscribers,
        adapters=tuple(
            AdapterHealth(
                name=name, kind="postgres", department=name, host=f"{name}-front", pid=4711, state="running",
                heard=now - 2.0, datasets=tuple(each.name for each in made if each.department == name),
            )
            for name in owners
        ),
        workers=(WorkerHealth(name="w1", host="bus-1", pid=815, state="running", heard=now - 1.0, lanes=(0, 1)),),
        rejects=tuple(reject(n, now - 7.0 * n) for n in range(min(datasets, 8))),
    )  # fmt: skip


def reject(number: int, when: float) -> LatestReject:
    """A reject of the first departments' population."""
    rule, reason = RULES[number % len(RULES)]
    return LatestReject(
        time=when, dataset=f"{DEPARTMENTS[number % 3][0]}.population", stage="normalise", rule=rule,
        field=("xm", "xb", "sfzh")[number % 3], reason=reason, offset=1000 - number,
    )  # fmt: skip


def judged(health: BusHealth, dataset: int, judgement: Judged) -> BusHealth:
    """The city with a verdict on one dataset and its department."""
    changed = replace(health.datasets[dataset], **told(judgement))
    datasets = (*health.datasets[:dataset], changed, *health.datasets[dataset + 1 :])
    return _summed(replace(health, datasets=datasets))


def silent_adapter(health: BusHealth, number: int, seconds: float = 95.0) -> BusHealth:
    """The city with an adapter that is dead; its datasets bear the same."""
    adapter = health.adapters[number]
    seen = AdapterSeen(name=adapter.name, silent_seconds=seconds, state="running", host=adapter.host, pid=adapter.pid)
    judgement = judge_adapter(seen)
    dead = replace(adapter, heard=health.time - seconds, **told(judgement))
    health = replace(health, adapters=(*health.adapters[:number], dead, *health.adapters[number + 1 :]))
    for place, each in enumerate(health.datasets):
        if each.adapter == adapter.name:
            health = judged(health, place, judgement)
    return health


def stale(health: BusHealth, dataset: int, seconds: float = 4_000.0) -> BusHealth:
    """The city with a dataset past its promise."""
    each = replace(health.datasets[dataset], freshness_seconds=seconds)
    owner = next(one for one in health.departments if one.name == each.department)
    health = replace(health, datasets=(*health.datasets[:dataset], each, *health.datasets[dataset + 1 :]))
    said = judge_freshness(
        f"dataset {each.name}", seconds, each.promise_seconds, f"{owner.title} ({owner.contacts[0]})"
    )
    return judged(health, dataset, said)


def noticed(health: BusHealth, dataset: int, *notices: Finding) -> BusHealth:
    """The city with notices of an adapter on one dataset."""
    each = replace(health.datasets[dataset], notices=notices)
    health = replace(health, datasets=(*health.datasets[:dataset], each, *health.datasets[dataset + 1 :]))
    return judged(health, dataset, judge_notices(f"dataset {each.name}", notices))


def every_verdict(datasets: int = 12, now: float | None = None) -> BusHealth:
    """The city with a dataset of each verdict."""
    health = silent_adapter(stale(city(datasets, now), 1), 2)
    paused = Judged(
        verdict=Verdict.PAUSED, code="rejects-burst", cause="paused: 412 rejects within 1 min",
        action="mend the mapping, then: bus adapter run minzheng --config FILE",
    )  # fmt: skip
    failed = Judged(
        verdict=Verdict.FAILED, code="offset-missing",
        cause="group _bus.worker has no valid offset on raw.jiaoyu.population, partition 2",
        action="never guess it: a new topic gets its offsets by `bus apply`, a lost one needs a new snapshot",
    )  # fmt: skip
    return judged(judged(health, 3, paused), 4, failed)


def _summed(health: BusHealth) -> BusHealth:
    departments = []
    for department in health.departments:
        own = [each for each in health.datasets if each.department == department.name]
        departments.append(replace(department, **told(worst(own))))
    return replace(health, departments=tuple(departments), **told(worst(health.parts)))


@dataclass
class Feed:
    """What an observer would see, as a test sets it.

    Attributes:
        health: to be seen; its time becomes that of the look, unless `frozen`.
        error: instead of it.
        looks: how many were taken.
    """

    health: BusHealth = field(default_factory=city)
    error: BusError | None = None
    looks: int = 0
    frozen: bool = False

    async def observe(self) -> BusHealth:
        """One look."""
        self.looks += 1
        if self.error is not None:
            raise self.error
        return self.health if self.frozen else replace(self.health, time=time.time())
