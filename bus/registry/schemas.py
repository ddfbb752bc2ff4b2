"""/schemas: by id, and all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bus.registry import faults
from bus.registry.call import Raw
from bus.registry.subjects import page

if TYPE_CHECKING:
    from bus.registry.call import Call
    from bus.registry.records import Content, Version
    from bus.registry.registry import Registry


async def show(call: Call, registry: Registry) -> dict[str, Any]:
    """GET /schemas/ids/N; softly deleted ones too."""
    return (await _content(call, registry)).json()


async def show_schema(call: Call, registry: Registry) -> Raw:
    """GET /schemas/ids/N/schema: the schema alone."""
    return Raw((await _content(call, registry)).schema)


async def subjects(call: Call, registry: Registry) -> list[str]:
    """GET /schemas/ids/N/subjects."""
    return sorted({version.subject for version in await _places(call, registry)})


async def versions(call: Call, registry: Registry) -> list[dict[str, Any]]:
    """GET /schemas/ids/N/versions."""
    return [{"subject": version.subject, "version": version.number} for version in await _places(call, registry)]


async def list_all(call: Call, registry: Registry) -> list[dict[str, Any]]:
    """GET /schemas."""
    deleted, prefix = call.flag("deleted"), call.text("subjectPrefix")
    found = [v for v in registry.state.all_versions() if (deleted or not v.deleted) and v.subject.startswith(prefix)]
    if call.flag("latestOnly"):
        found = list({version.subject: version for version in found}.values())
    return page(call, [version.json() for version in found])


async def types(_call: Call, _registry: Registry) -> list[str]:
    """GET /schemas/types."""
    return ["AVRO"]


async def _places(call: Call, registry: Registry) -> list[Version]:
    await _content(call, registry)
    deleted = call.flag("deleted")
    return [version for version in registry.state.places(call.schema_id) if deleted or not version.deleted]


async def _content(call: Call, registry: Registry) -> Content:
    schema_id = call.schema_id

    def answer() -> Content:
        content = registry.state.content(schema_id)
        if content is None:
            raise faults.unknown_schema()
        return content

    return await registry.read(answer)
