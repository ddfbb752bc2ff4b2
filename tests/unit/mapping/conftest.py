from __future__ import annotations

from typing import Any

import pytest

from bus.catalogue.codelist import CodeList
from bus.catalogue.dataset import Dataset
from bus.catalogue.entity import Entity
from bus.catalogue.mapping import Mapping
from bus.pipeline.mapping.compiled import CompiledMapping, compile_mapping

DATE = {"type": "int", "logicalType": "date"}
MOMENT = {"type": "long", "logicalType": "timestamp-micros"}
TEXT = ["null", "string"]


class OneField:
    """Compiles a mapping whose field `out` is made by one rule, beside a key `id` that is copied."""

    def __call__(self, rule: dict[str, Any], source: Any = TEXT, target: Any = TEXT, **more: Any) -> CompiledMapping:
        """`more`: scope of the dataset, rules over fields, further fields of the row."""
        row_fields = {"id": "string", "in": source, **more.pop("row_fields", {})}
        if source is None:
            del row_fields["in"]
        return compile_mapping(
            mapping({"id": {"from": "id"}, "out": rule}, more.pop("rules", [])),
            entity({"id": "string", "out": target}),
            dataset(**more),
            {"sex": sexes()},
            record("row", row_fields),
        )


@pytest.fixture
def one_field() -> OneField:
    return OneField()


def record(name: str, fields: dict[str, Any]) -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": [{"name": n, "type": t} for n, t in fields.items()]}


def mapping(fields: dict[str, Any], rules: list[dict[str, Any]]) -> Mapping:
    spec = {"dataset": "a.b", "entity": "c.d", "revision": 1, "fields": fields, "rules": rules}
    return Mapping.model_validate({"kind": "Mapping", "metadata": {"name": "m"}, "spec": spec})


def entity(fields: dict[str, Any], key: tuple[str, ...] = ("id",)) -> Entity:
    owned = {name: {"grade": 1, "authority": "a"} for name in fields}
    spec = {"schema": {**record("d", fields), "namespace": "c"}, "key": key, "fields": owned}
    return Entity.model_validate({"kind": "Entity", "metadata": {"name": "c.d"}, "spec": spec})


def dataset(key: tuple[str, ...] = ("id",), scope: dict[str, Any] | None = None) -> Dataset:
    spec = {
        "department": "a",
        "source": {"adapter": "postgres", "config": "a", "name": "b"},
        "key": key,
        "scope": scope,
        "share": {"type": "unconditional"},
        "update": {"within": "5m"},
    }
    return Dataset.model_validate({"kind": "Dataset", "metadata": {"name": "a.b"}, "spec": spec})


def sexes() -> CodeList:
    codes = [{"code": code, "name": name} for code, name in (("0", "未知"), ("1", "男"), ("2", "女"), ("9", "未说明"))]
    spec = {"standard": "GB/T 2261.1", "revision": "2003", "codes": codes}
    return CodeList.model_validate({"kind": "CodeList", "metadata": {"name": "sex"}, "spec": spec})
