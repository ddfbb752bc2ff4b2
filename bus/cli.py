"""The command `bus`: each subcommand is one module of `bus.commands`, imported when it is asked for."""

from __future__ import annotations

import importlib
import io
import logging
import os
import sys
from typing import Any

import click

from bus import __version__
from bus.commands.hinting import HintingGroup
from bus.errors import BusError

COMMANDS = {
    "adapter": "Adapters: list, spec, check, discover, run.",
    "apply": "Make Kafka, registry and catalogue what the workspace says.",
    "bench": "Measure the pipeline beside a raw copy of the same topic.",
    "catalogue": "List the resources of a cluster's catalogue.",
    "console": "Serve the operators' page: flow, verdicts, rejects.",
    "control": "Take the rights of subscriptions that have ended.",
    "demo": "Show the main job: a department's database to a subscriber, and prove the result.",
    "dlq": "Rejected records: list, show, redrive.",
    "export": "Print resources of the catalogue as YAML.",
    "init": "Make a small workspace to start from.",
    "kafka": "Run a real Apache Kafka broker on this machine, data on disk.",
    "mapping": "Work on mappings: run their golden examples.",
    "plan": "Show what `apply` would change.",
    "registry": "Serve the Confluent-compatible schema registry.",
    "status": "Show how the bus is: verdicts, causes, next actions.",
    "tail": "Print the records of a topic, decoded.",
    "topics": "List the bus's topics and what they are for.",
    "up": "Run broker, registry, worker, control, adapters and console on this machine.",
    "validate": "Check a workspace, with file and line of every finding.",
    "worker": "Run a worker: normalise and route.",
}


class LazyGroup(HintingGroup):
    """A group that knows its commands by name, and imports one only to run it or to show its help."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """All names, in order."""
        return sorted(COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command `bus.commands.<name>:command`."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"bus.commands.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands from the table above, so that `--help` imports none of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name]) for name in sorted(COMMANDS)])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="bus")
def bus() -> None:
    """Shuniu (枢纽): departments' changes in, shared records out, to each subscriber what it is entitled to.

    Settings come from options or the environment: KAFKA_BOOTSTRAP, BUS_REGISTRY_URL, BUS_ID, BUS_DATA_DIR, BUS_LOG …
    """


def main(arguments: list[str] | None = None) -> Any:
    """Run the command line. A mistake of the user's ends with what, where and the way out, not a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that has no Chinese shows `?`
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it tells of every retry; our error says it once
    try:
        sys.exit(bus.main(arguments, prog_name="bus", standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except click.Abort:
        sys.exit(130)
    except BusError as error:
        if os.environ.get("BUS_LOG") == "json":
            from bus import logs  # noqa: PLC0415  (what `bus --help` need not wait for)

            logs.configure()
            logs.tell_end(error)
        else:
            click.echo(f"bus: {error}", err=True)
        sys.exit(error.exit_code)
    except OSError as error:
        if error.filename is None:  # not about a file that the user named: a fault of ours, to be seen whole
            raise
        click.echo(f"bus: {error.strerror}\n  where: {error.filename}", err=True)
        sys.exit(1)
