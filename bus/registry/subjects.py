"""/subjects: register, look up, list, delete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bus.registry import faults
from bus.registry.call import Raw

if TYPE_CHECKING:
    from bus.registry.call import Call
    from bus.registry.registry import Registry


async def list_subjects(call: Call, registry: Registry) -> list[str]:
    """GET /subjects."""
    everything = registry.state.subjects(deleted=call.flag("deleted") or call.flag("deletedOnly"))
    live = set(registry.state.subjects()) if call.flag("deletedOnly") else set()
    prefix = call.text("subjectPrefix")
    found = [subject for subject in everything if subject.startswith(prefix) and subject not in live]
    return page(call, found)


async def register(call: Call, registry: Registry) -> dict[str, int]:
    """POST /subjects/S/versions: the schema's id, readable before this answers."""
    subject, normalize = call.subject, call.flag("normalize")
    content, body = await call.schema()
    schema_id, number = _positive(body.get("id")), _positive(body.get("version"))
    given_number = number if schema_id else 0  # newer clients send a version they do not mean
    found = await registry.write(
        lambda: registry.changes.register(
            subject, registry.resolved(content), normalize=normalize, schema_id=schema_id, number=given_number
        )
    )
    return {"id": found}


async def look_up(call: Call, registry: Registry) -> dict[str, Any]:
    """POST /subjects/S: the version with this schema; never creates one."""
    subject, normalize, deleted = call.subject, call.flag("normalize"), call.flag("deleted")
    sent, _ = await call.schema()

    def answer() -> dict[str, Any]:
        versions = registry.state.versions(subject, deleted=deleted)
        if not versions:
            raise faults.unknown_subject(subject)
        content = registry.parsed.received(registry.resolved(sent), normalize=normalize)
        found = registry.changes.find(versions, content, normalize=normalize)
        if found is None:
            raise faults.unknown_schema()
        return found.json()

    return await registry.read(answer)


async def list_versions(call: Call, registry: Registry) -> list[int]:
    """GET /subjects/S/versions."""
    subject, deleted, only = call.subject, call.flag("deleted"), call.flag("deletedOnly")

    def answer() -> list[int]:
        versions = registry.state.versions(subject, deleted=deleted or only)
        shown = [version.number for version in versions if version.deleted or not only]
        if not shown:
            raise faults.unknown_subject(subject)
        return shown

    return page(call, await registry.read(answer))


async def show_version(call: Call, registry: Registry) -> dict[str, Any]:
    """GET /subjects/S/versions/V."""
    subject, number, deleted = call.subject, call.version, call.flag("deleted")
    return (await registry.read(lambda: registry.version(subject, number, deleted=deleted))).json()


async def show_schema(call: Call, registry: Registry) -> Raw:
    """GET /subjects/S/versions/V/schema: the schema alone."""
    subject, number, deleted = call.subject, call.version, call.flag("deleted")
    version = await registry.read(lambda: registry.version(subject, number, deleted=deleted))
    return Raw(version.content.schema)


async def referenced_by(call: Call, registry: Registry) -> list[int]:
    """GET /subjects/S/versions/V/referencedby: ids of schemas that use it."""
    subject, number = call.subject, call.version
    version = await registry.read(lambda: registry.version(subject, number))
    return sorted({referrer.id for referrer in registry.state.referrers(subject, version.number)})


async def delete_version(call: Call, registry: Registry) -> int:
    """DELETE /subjects/S/versions/V."""
    subject, number, permanent = call.subject, call.version, call.flag("permanent")

    def decide() -> Any:
        if not registry.state.versions(subject, deleted=True):
            raise faults.unknown_subject(subject)
        wanted = registry.version(subject, number, deleted=permanent).number if number < 0 else number
        return registry.changes.delete_version(subject, wanted, permanent=permanent)

    deleted: int = await registry.write(decide)
    return deleted


async def delete_subject(call: Call, registry: Registry) -> list[int]:
    """DELETE /subjects/S."""
    subject, permanent = call.subject, call.flag("permanent")
    return await registry.write(lambda: registry.changes.delete_subject(subject, permanent=permanent))


def page(call: Call, found: list[Any]) -> list[Any]:
    """The part that `offset` and `limit` ask for."""
    offset, limit = call.number("offset", 0), call.number("limit", 0)
    return found[offset : offset + limit] if limit else found[offset:]


def _positive(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**31 else 0
