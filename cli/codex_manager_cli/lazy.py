"""A click group that knows its commands by name and loads each one when it is used."""

import importlib

from typing import TYPE_CHECKING, Any

import click


if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


__all__ = ["LazyGroup"]


class LazyGroup(click.Group):
    """Lists commands from a table of import paths; `--help` and completion show them without importing any.

    `sections` is how `--help` arranges them: by title, lines of commands (`add, remove`) with what each line says. A
    command that no line names comes last, on a line of its own.
    """

    def __init__(
        self,
        *args: Any,
        commands_table: dict[str, tuple[str, str]],
        sections: dict[str, dict[str, str]] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.commands_table = commands_table
        self.sections = sections or {}

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(self.commands_table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        entry = self.commands_table.get(cmd_name)
        if entry is None:
            return None
        module, attribute = entry[0].split(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in self.commands_table and not name.startswith("-") and not ctx.resilient_parsing:
            import difflib

            near = difflib.get_close_matches(name[:40], self.commands_table, n=1, cutoff=0.5)
            meant = f" Did you mean '{near[0]}'?" if near else ""
            shown = f" '{name}'" if len(name) <= 40 and name.isprintable() else ""
            ctx.fail(f"There is no command{shown}.{meant}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        left = dict(self.commands_table)
        parts: dict[str, list[tuple[str, str]]] = {}
        for title, lines in self.sections.items():
            for names, text in lines.items():
                there = [name for name in names.split(", ") if left.pop(name, None)]
                if there:
                    parts.setdefault(title, []).append((", ".join(there), text))
        if left:
            parts["More" if parts else "Commands"] = [(name, text) for name, (_, text) in left.items()]
        width = max(len(names) for rows in parts.values() for names, _ in rows)
        formatter.write_paragraph()
        for title, rows in parts.items():  # no empty line between them: all of it is to fit a screen
            formatter.write_heading(title)
            with formatter.indentation():
                formatter.write_dl([(names.ljust(width), text) for names, text in rows])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem]":
        from click.shell_completion import CompletionItem

        items = [
            CompletionItem(name, help=text)
            for name, (_, text) in self.commands_table.items()
            if name.startswith(incomplete)
        ]
        return items + click.Command.shell_complete(self, ctx, incomplete)  # not Group's: it would load every command
