"""`bus adapter …`: list, describe, check and run adapters."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bus.commands.hinting import HintingGroup
from bus.commands.options import cluster, metrics, run_measured, settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from bus.catalogue.catalogue import Catalogue
    from bus.config import Settings
    from bus.metrics import Instrument
    from bus.spi import Adapter


def configured(function: Callable[..., Any]) -> Callable[..., Any]:
    """The argument NAME and the options that configure an instance."""
    function = cluster(function)
    function = click.option(
        "--config",
        "file",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="YAML file with the adapter's fields.  [env: BUS_ADAPTER_<NAME>_<FIELD> for each field]",
    )(function)
    return click.argument("name")(function)


@click.group(name="adapter", cls=HintingGroup)
def command() -> None:
    """Adapters: what brings a department's changes onto the bus.

    NAME is the instance that datasets name in `source.config`.
    """


@command.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def list_adapters(as_json: bool) -> None:
    """List the kinds of adapters that are installed, with what they can tell of their sources."""
    from dataclasses import asdict

    from bus.errors import WrongUseError
    from bus.installed import adapter_class, adapter_kinds

    found: dict[str, dict[str, Any]] = {}
    missing: dict[str, WrongUseError] = {}
    for kind in adapter_kinds():
        try:
            found[kind] = asdict(adapter_class(kind).capabilities)
        except WrongUseError as error:  # an optional extra that was not installed
            missing[kind] = error
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    for kind, lacking in missing.items():
        click.echo(f"{kind:12} not usable yet: {lacking.fix}")
    for kind, told in found.items():
        abilities = ", ".join(name.replace("_", " ") for name, value in told.items() if value is True)
        click.echo(f"{kind:12} {abilities}; typically {told['latency_seconds']:g} s behind")


@command.command()
@click.argument("kind")
def spec(kind: str) -> None:
    """Print the JSON Schema of the configuration of adapters of KIND."""
    from bus.installed import adapter_class

    click.echo(json.dumps(adapter_class(kind).config_model.model_json_schema(), ensure_ascii=False, indent=2))


@command.command()
@configured
@click.option("--json", "as_json", is_flag=True, help="Print findings as JSON.")
def check(name: str, file: Path | None, bootstrap: str | None, registry_url: str | None, as_json: bool) -> None:
    """Check that the source can be read: grants, log level, keys, replica identity; each finding with its fix.

    Also whether the mappings of its datasets can take the source's fields. Which datasets these are, the bus's
    catalogue tells: `bus apply` the workspace before.
    """
    from dataclasses import asdict

    from bus.errors import FindingsError, Severity
    from bus.pipeline.works import unmappable

    chosen = _as_adapter(name, bootstrap, registry_url)
    catalogue = asyncio.run(_catalogue(chosen))
    adapter = _adapter(catalogue, name, file)
    keys = {each.spec.source.name: each.spec.key for each in catalogue.datasets_of(name)}
    findings = asyncio.run(adapter.check(list(keys), keys))
    if not any(finding.severity is Severity.ERROR for finding in findings):
        findings += unmappable(catalogue, name, asyncio.run(adapter.discover()))
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], ensure_ascii=False, indent=2))
    if errors := [finding for finding in findings if finding.severity is Severity.ERROR]:
        raise FindingsError(errors, f"adapter {name}")
    if not as_json:
        for finding in findings:
            click.echo(str(finding))
        click.echo(f"adapter {name}: {len(keys)} dataset(s) can be read")


@command.command()
@configured
@click.option("--json", "as_json", is_flag=True, help="Print as JSON, with the whole Avro schemas.")
def discover(name: str, file: Path | None, bootstrap: str | None, registry_url: str | None, as_json: bool) -> None:
    """List what the source offers: datasets, keys, fields. Of which kind NAME is, the bus's catalogue tells."""
    catalogue = asyncio.run(_catalogue(_as_adapter(name, bootstrap, registry_url)))
    found = asyncio.run(_adapter(catalogue, name, file).discover())
    if as_json:
        rows = [{"name": d.name, "primary_key": d.primary_key, "schema": d.schema} for d in found]
        click.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    for dataset in found:
        fields = ", ".join(field["name"] for field in dataset.schema["fields"])
        click.echo(f"{dataset.name}  (key: {', '.join(dataset.primary_key) or 'none'})\n    {fields}")


@command.command()
@configured
@click.option("--snapshot", is_flag=True, help="Read everything anew before going on with the changes.")
@click.option("--accept-deletions", is_flag=True, help="Let a snapshot delete any share of the known keys.")
@metrics
def run(
    name: str,
    file: Path | None,
    bootstrap: str | None,
    registry_url: str | None,
    snapshot: bool,
    accept_deletions: bool,
    metrics_port: int | None,
    metrics_host: str,
) -> None:
    """Run the adapter until Ctrl-C or SIGTERM; it resumes exactly where its data on Kafka ends."""
    from bus.pipeline.adapter_role import run_adapter

    chosen = _as_adapter(name, bootstrap, registry_url)

    async def role(instruments: list[Instrument]) -> None:
        adapter = _adapter(await _catalogue(chosen), name, file)
        await run_adapter(adapter, chosen, accept_deletions=accept_deletions, anew=snapshot, instruments=instruments)

    run_measured(role, metrics_port, metrics_host)


def _as_adapter(name: str, bootstrap: str | None, registry_url: str | None) -> Settings:
    """The settings under the adapter's own login, if this folder has it."""
    from bus.credentials import adapter_principal

    return settings(bootstrap, registry_url, principal=adapter_principal(name))


async def _catalogue(chosen: Settings) -> Catalogue:
    from bus.pipeline.adapter_role import read_catalogue

    return await read_catalogue(chosen)


def _adapter(catalogue: Catalogue, name: str, file: Path | None) -> Adapter[Any]:
    from bus.installed import make_adapter
    from bus.pipeline.adapter_role import publication

    publication(catalogue, name, "bus")  # tells which adapters the catalogue names, if not this one
    kind = catalogue.datasets_of(name)[0].spec.source.adapter
    return make_adapter(kind, name, file)
