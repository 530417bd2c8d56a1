"""`codex-manager completion`: the script that makes a shell complete our commands, under both program names."""

import click

from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

from codex_manager_cli.talk import COMPLETION_VARIABLE


__all__ = ["completion"]

_NAME = "codex-manager"
_OTHER_NAME = "codex-account-manager"
_SHELLS: dict[str, type[ShellComplete]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


@click.command()
@click.argument("shell", type=click.Choice(list(_SHELLS)))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a shell completion script.

    \b
    bash:  codex-manager completion bash > ~/.local/share/bash-completion/completions/codex-manager
           (or, in ~/.bashrc: eval "$(codex-manager completion bash)")
    zsh:   codex-manager completion zsh > "${fpath[1]}/_codex-manager"
    fish:  codex-manager completion fish > ~/.config/fish/completions/codex-manager.fish
    """  # noqa: D301 - click wants the control character, not the two that spell it
    click.echo(script(context.find_root().command, shell))


def script(command: click.Command, shell: str) -> str:
    """The script of click for the first name, with the second name registered for the same function."""
    complete = _SHELLS[shell](command, {}, _NAME, COMPLETION_VARIABLE)
    text = complete.source_template % complete.source_vars()  # not .source(): that starts bash to ask its version
    function = complete.func_name
    match shell:
        case "bash":
            return f"{text.strip()}\ncomplete -o nosort -F {function} {_OTHER_NAME}"
        case "zsh":
            text = text.replace(f"#compdef {_NAME}", f"#compdef {_NAME} {_OTHER_NAME}")
            return text.replace(f"compdef {function} {_NAME}", f"compdef {function} {_NAME} {_OTHER_NAME}").strip()
    text = text.replace('string split ","', 'string split --max 1 ","')  # a label may hold a comma
    other = f'complete --no-files --command {_OTHER_NAME} --arguments "({function})";'
    return f"{text.strip()}\n\n{other}"
