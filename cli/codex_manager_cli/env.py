"""`env`: what `run` gives a command, printed for a shell.

Law: stdout is lines for the shell and nothing else; no vault is opened and nothing is started, so the key is the
configured one, and whether a proxy runs is said on stderr.
"""

import os

from typing import Literal

import click

from codex_manager.config.paths import Paths
from codex_manager_cli import guest_environment
from codex_manager_cli.guests import Choice
from codex_manager_cli.shared_proxy import found
from codex_manager_cli.talk import say
from codex_manager_cli.way_in import leading


__all__ = ["env"]


@click.command()
@click.option(
    "--via",
    type=click.Choice(["base-url", "proxy"]),
    default="base-url",
    show_default=True,
    help="How programs of the shell reach us.",
)
@click.option(
    "--shell", type=click.Choice(["sh", "fish", "powershell"]), help="For which shell; else the one of $SHELL."
)
def env(*, via: Literal["base-url", "proxy"], shell: str | None) -> None:
    r"""Print the variables that lead a shell's programs to the proxy.

    \b
    eval "$(codex-manager env)"                      sh, bash, zsh
    codex-manager env | source                       fish
    codex-manager env | Out-String | iex             PowerShell

    The key is the configured local one (`proxy.api_key`). The proxy is not started: `codex-manager proxy` does that.
    """
    from codex_manager.config.address import Address, is_wildcard, parse_address
    from codex_manager.config.load import load
    from codex_manager_certs.environment import render

    paths = Paths.locate()
    config = load(paths)
    running = found(paths.data_dir)
    usable = running is not None and not running.for_commands  # one started by `run` ends with its command
    if usable and running is not None:
        url = running.url
    else:
        host, port = parse_address(config.proxy.bind_addr)
        url = f"http://{Address('127.0.0.1' if is_wildcard(host) else host, port)}"
        say(f"no proxy runs on {url} yet; start it with `codex-manager proxy`")
    choice = Choice(name="", way=via, why="", command=())
    lead = leading(paths, choice, url, config.proxy.api_key)
    click.echo(render(guest_environment.changes(os.environ, lead), shell or _shell()), nl=False)
    if via == "base-url":
        say("Codex ignores OPENAI_BASE_URL: use --via proxy for it, or `codex-manager run -- codex`")


def _shell() -> str:
    name = os.path.basename(os.environ.get("SHELL", ""))  # noqa: PTH119 - the text of a variable
    if name.startswith("fish"):
        return "fish"
    return "powershell" if name.startswith("pwsh") or (os.name == "nt" and not name) else "sh"
