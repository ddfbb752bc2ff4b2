"""A group of commands that tells which known command a mistyped one looks like."""

from __future__ import annotations

import difflib

import click


class HintingGroup(click.Group):
    """As click's group, with a hint."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the first argument names.

        Raises:
            UsageError: there is no such command; names those that look like it, or else all.
        """
        known = self.list_commands(ctx)
        if args and args[0] not in known and not args[0].startswith("-"):
            close = difflib.get_close_matches(args[0], known, n=2, cutoff=0.6)
            hint = f"Did you mean {' or '.join(close)}?" if close else f"There are {', '.join(known)}."
            raise click.UsageError(f"There is no command {args[0]!r}. {hint}", ctx)
        return super().resolve_command(ctx, args)
