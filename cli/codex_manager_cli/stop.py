"""`stop` and `restart`: end the proxy that runs on this home; start it again as it was.

Law: what could keep it from starting again (a wrong configuration, a key that has to be typed) is found before anything is stopped.
"""

import os

import click

from codex_manager.config.paths import Paths
from codex_manager_cli.talk import fail, say


__all__ = ["restart", "stop"]

NOBODY = "no proxy runs on this home"

_force = click.option("--force", is_flag=True, help="Kill it when it has not ended in time; requests are cut off then.")


@click.command()
@_force
def stop(*, force: bool) -> None:
    """Stop the proxy that runs on this home, wherever it was started.

    It takes no new requests from then on, and has ten seconds to finish those under way. That none runs is no error.
    """
    from codex_manager.config import presence
    from codex_manager_cli.background import where
    from codex_manager_cli.ending import end

    folder = Paths.locate().data_dir
    running = presence.running(folder)
    if running is None:
        say(NOBODY)
        return
    if running.for_commands and not force:
        fail(
            f"{where(running)} serves commands of `codex-manager run` and ends with the last of them",
            hint="to stop it under them: `codex-manager stop --force`",
        )
    took = end(folder, running, say, force=force)
    say(f"stopped {where(running)} after {took:.1f} s")
    if running.service:
        say("a service keeps it running, so it starts again; `codex-manager service uninstall` ends that")


@click.command()
@_force
def restart(*, force: bool) -> None:
    """Start the proxy in the background anew, with the options it was started with; what is under way may finish.

    If none runs, one is started as configured.
    """
    from codex_manager.config import presence
    from codex_manager_cli import background
    from codex_manager_cli.ending import end
    from codex_manager_cli.proxy import options_of, say_where

    paths = Paths.locate()
    running = presence.running(paths.data_dir)
    if running is not None and not (running.detached or running.service):
        fail(
            f"{background.where(running)} does not run in the background, so it cannot be started again from here",
            hint="stop it where it runs, or with `codex-manager stop`; then `codex-manager proxy --background`",
        )
    arguments = [] if running is None else list(running.arguments)
    log = background.log_file(paths, os.environ, options_of(arguments))
    is_kept = running is not None and running.service
    key = None if is_kept else background.needed_key(paths, os.environ)
    if running is None:
        say(NOBODY)
    else:
        took = end(paths.data_dir, running, say, force=force)
        say(f"stopped {background.where(running)} after {took:.1f} s")
        if is_kept:
            say("the service that keeps it running starts it again")
            return
    say_where(background.start(paths, arguments, os.environ, log=log, master_key=key))
