"""`help`: a topic, an error code of the proxy's, or a command.

Law: what it shows is in the package, so that it is there without a network and of this very version.
"""

import difflib
import sys

import click

from codex_manager_cli import suggest
from codex_manager_cli.talk import fail
from codex_manager_cli.topics import TOPICS, error_meaning, text_of


__all__ = ["help_"]


@click.command("help")
@click.argument("words", nargs=-1, metavar="[TOPIC|COMMAND|CODE]", shell_complete=suggest.topics)
@click.pass_context
def help_(ctx: click.Context, words: tuple[str, ...]) -> None:
    """Read about a topic, an error code, or a command. Without any, see what there is."""
    if not words:
        _show(_contents())
        return
    name = words[0]
    if len(words) == 1 and name in TOPICS:
        _show(text_of(name))
        return
    if len(words) == 1 and (meaning := error_meaning(name)) is not None:
        _show(meaning)
        return
    click.echo(_help_of(ctx.find_root(), words))


def _contents() -> str:
    width = max(map(len, TOPICS))
    lines = ["topics, for `codex-manager help TOPIC`:", ""]
    lines += [f"  {name.ljust(width)}  {title}" for name, title in TOPICS.items()]
    return "\n".join(
        [*lines, "", "Also: `codex-manager help COMMAND`, and the code of an error, such as `help vault_locked`."]
    )


def _help_of(root: click.Context, words: tuple[str, ...]) -> str:
    """That of a command, or of one below it."""
    context = root
    for word in words:
        group = context.command
        found = group.get_command(context, word) if isinstance(group, click.Group) else None
        if found is None:
            known = [*TOPICS, *group.list_commands(context)] if isinstance(group, click.Group) else []
            near = difflib.get_close_matches(word[:40], known, n=1, cutoff=0.5)
            shown = f" {word!r}" if len(word) <= 40 and word.isprintable() else ""
            fail(
                f"there is no topic, command or error code{shown}",
                hint=f"did you mean `codex-manager help {near[0]}`?"
                if near
                else "`codex-manager help` lists the topics",
                exit_code=2,
            )
        context = click.Context(found, parent=context, info_name=word, **found.context_settings)
    return context.get_help()


def _show(text: str) -> None:
    if sys.stdout.isatty():
        click.echo_via_pager(f"{text}\n")
    else:
        click.echo(text)
