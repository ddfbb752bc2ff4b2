"""/config, /mode and /compatibility: the rules, and trying them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bus.registry import faults
from bus.registry.changes import MODES
from bus.registry.compatibility import Level

if TYPE_CHECKING:
    from bus.registry.call import Call
    from bus.registry.registry import Registry


def _subject(call: Call) -> str | None:
    return call.subject if "subject" in call.request.path_params else None


async def show_level(call: Call, registry: Registry) -> dict[str, str]:
    """GET /config, /config/S: a subject's own, or with `defaultToGlobal` the one in force."""
    subject = _subject(call)

    def answer() -> dict[str, str]:
        if subject is not None and subject not in registry.state.levels and not call.flag("defaultToGlobal"):
            raise faults.no_own_level(subject)
        return {"compatibilityLevel": registry.state.level(subject)}

    return await registry.read(answer)


async def set_level(call: Call, registry: Registry) -> dict[str, str]:
    """PUT /config, /config/S."""
    subject, sent = _subject(call), (await call.body()).get("compatibility")
    level = sent.upper() if isinstance(sent, str) else ""
    if level not in Level.__members__:
        raise faults.invalid_level()
    await registry.write(lambda: registry.changes.set_level(subject, level))
    return {"compatibility": level}


async def delete_level(call: Call, registry: Registry) -> dict[str, str]:
    """DELETE /config, /config/S: the one that was in force."""
    before = await show_level(call, registry)
    subject = _subject(call)
    await registry.write(lambda: registry.changes.set_level(subject, None))
    return before


async def show_mode(call: Call, registry: Registry) -> dict[str, str]:
    """GET /mode, /mode/S: a subject's own, or with `defaultToGlobal` the one in force."""
    subject = _subject(call)

    def answer() -> dict[str, str]:
        if subject is not None and subject not in registry.state.modes and not call.flag("defaultToGlobal"):
            raise faults.no_own_mode(subject)
        return {"mode": registry.state.mode(subject)}

    return await registry.read(answer)


async def set_mode(call: Call, registry: Registry) -> dict[str, str]:
    """PUT /mode, /mode/S."""
    subject, force, sent = _subject(call), call.flag("force"), (await call.body()).get("mode")
    mode = sent.upper() if isinstance(sent, str) else ""
    if mode not in MODES:
        raise faults.invalid_mode()
    await registry.write(lambda: registry.changes.set_mode(subject, mode, force=force))
    return {"mode": mode}


async def delete_mode(call: Call, registry: Registry) -> dict[str, str]:
    """DELETE /mode/S: the one that was in force."""
    before = await show_mode(call, registry)
    subject = _subject(call)
    await registry.write(lambda: registry.changes.set_mode(subject, None, force=True))
    return before


async def try_version(call: Call, registry: Registry) -> dict[str, Any]:
    """POST /compatibility/subjects/S/versions/V: against that version alone."""
    subject, number = call.subject, call.version
    content, _ = await call.schema()

    def answer() -> list[str]:
        resolved = registry.parsed.received(registry.resolved(content), normalize=call.flag("normalize"))
        if number < 0:
            versions = registry.state.versions(subject)[-1:]
        else:
            version = registry.state.version(subject, number)
            if version is None or version.deleted:
                raise faults.unknown_version(number)
            versions = [version]
        return registry.changes.problems_with(registry.state.level(subject), resolved, versions)

    return _verdict(call, await registry.read(answer))


async def try_subject(call: Call, registry: Registry) -> dict[str, Any]:
    """POST /compatibility/subjects/S/versions: as register would decide."""
    subject = call.subject
    content, _ = await call.schema()
    resolved = registry.parsed.received(registry.resolved(content), normalize=call.flag("normalize"))
    return _verdict(call, registry.changes.problems(subject, resolved))


def _verdict(call: Call, problems: list[str]) -> dict[str, Any]:
    verdict: dict[str, Any] = {"is_compatible": not problems}
    return verdict | {"messages": problems} if call.flag("verbose") else verdict
