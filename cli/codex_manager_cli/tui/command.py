"""`codex-manager tui`, and `codex-manager` alone on a terminal: the page in the terminal.

Law: importing this imports no textual; the page is made once it is known that there is a terminal to show it on.
"""

import os
import sys

import click

from codex_manager_cli.talk import fail


__all__ = ["on_a_terminal", "open_page", "tui"]


@click.command()
def tui() -> None:
    """Look and manage in the terminal, full screen: requests as they are routed, accounts, decisions, usage, the log.

    With a proxy that runs and without one. `?` shows the keys.
    """
    if not on_a_terminal():
        fail("there is no terminal to show it on", hint="`codex-manager status` says how it goes", exit_code=2)
    open_page()


def on_a_terminal() -> bool:
    """Whether somebody sits there who can see a page and press keys."""
    return sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def open_page() -> None:
    """Show the page until somebody quits it."""
    from codex_manager.config.errors import ConfigError
    from codex_manager.config.load import load
    from codex_manager.config.paths import Paths
    from codex_manager_cli.tui.app import Manager
    from codex_manager_cli.tui.deeds import Deeds
    from codex_manager_cli.tui.home import Home
    from codex_manager_cli.tui.keyholder import Keyholder

    paths = Paths.locate()
    try:
        theme = load(paths).ui.theme
    except ConfigError:  # the page says so
        theme = "system"
    keyholder = Keyholder(paths.vault_file, os.environ)
    home = Home(paths, keyholder)
    try:
        Manager(home, Deeds(paths, keyholder), theme=theme).run()
    finally:
        home.close()
        keyholder.close()
