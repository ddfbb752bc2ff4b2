"""The registry under test: ours, or the one of BUS_REGISTRY_URL; over plain HTTP and through Confluent's client."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

V1 = "application/vnd.schemaregistry.v1+json"


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    json: Any
    content_type: str

    @property
    def code(self) -> int:
        assert isinstance(self.json["message"], str)
        code: int = self.json["error_code"]
        return code


class Rest:
    """Plain HTTP; paths go out exactly as written."""

    def __init__(self, url: str) -> None:
        self._address = urlsplit(url).netloc

    def __call__(self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None) -> Answer:
        connection = http.client.HTTPConnection(self._address, timeout=30)
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        sent = {"Content-Type": V1} if data is not None else {}
        try:
            connection.request(method, path, data, {**sent, **(headers or {})})
            response = connection.getresponse()
            return Answer(response.status, json.loads(response.read()), response.headers["Content-Type"])
        finally:
            connection.close()

    def register(self, subject: str, schema: object, query: str = "", **more: object) -> Answer:
        text = schema if isinstance(schema, str) else json.dumps(schema)
        return self("POST", f"/subjects/{quote(subject, safe='')}/versions{query}", {"schema": text, **more})

    def id_of(self, subject: str, schema: object, query: str = "", **more: object) -> int:
        answer = self.register(subject, schema, query, **more)
        assert answer.status == 200, answer
        schema_id: int = answer.json["id"]
        return schema_id


@pytest.fixture
def rest(registry_url: str) -> Rest:
    return Rest(registry_url)


@pytest.fixture
def client(registry_url: str) -> SchemaRegistryClient:
    return SchemaRegistryClient({"url": registry_url})


@pytest.fixture
def subject(unique: Callable[[str], str]) -> str:
    return unique("orders") + "-value"


@pytest.fixture
def record(unique: Callable[[str], str]) -> Callable[..., dict[str, Any]]:
    """`record("id", "name?")`: a record that no other test registers; a field with `?` has a default."""
    name = unique("Record").replace("-", "_")

    def declare(*fields: str, of: str = "string") -> dict[str, Any]:
        return {
            "type": "record",
            "name": name,
            "fields": [
                {"name": field.rstrip("?"), "type": of, **({"default": ""} if field.endswith("?") else {})}
                for field in fields
            ],
        }

    return declare
