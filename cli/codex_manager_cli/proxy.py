"""`proxy`: start the proxy, in place of this process.

The command line may not import the proxy (docs/architecture.md), and mitmproxy need not be loaded twice, so this
process looks at the configuration and the vault's file, which is cheap, and then becomes `python -m
codex_manager.proxy`: same terminal, same process id, signals straight to the proxy. Law: no secret is handed over on a
command line; the proxy finds the master key by itself, as every command does.
"""

import os
import signal
import subprocess
import sys

from collections.abc import Sequence
from typing import NoReturn

import click

from codex_manager.config.paths import Paths
from codex_manager_cli.talk import warn


__all__ = ["proxy"]

API_KEY_VARIABLE = "CODEX_MANAGER__PROXY__API_KEY"


@click.command()
@click.option("--bind", "-b", metavar="HOST:PORT", help="Where to listen, for this run; else as configured.")
@click.option("--api-key", metavar="KEY", hidden=True, help="As the original has it; better in the configuration.")
@click.option("--verbose", "-v", is_flag=True, help="Say more on stderr.")
def proxy(*, bind: str | None, api_key: str | None, verbose: bool) -> NoReturn:
    """Start the proxy and serve until Ctrl-C. Several may run on one vault, each at its own address."""
    from codex_manager.config.load import load  # pydantic: not for `proxy --help`

    environ = dict(os.environ)
    if api_key is not None:
        warn("a key on the command line is visible to other programs; set proxy.api_key in the configuration instead")
        environ[API_KEY_VARIABLE] = api_key
    paths = Paths.locate()
    load(paths, environ, options={} if bind is None else {"proxy.bind_addr": ("--bind", bind)})
    arguments = [sys.executable, "-m", "codex_manager.proxy"]
    arguments += ["--bind", bind] if bind is not None else []
    arguments += ["--verbose"] if verbose else []
    _become(arguments, environ)


def _become(arguments: Sequence[str], environ: dict[str, str]) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    if os.name != "nt":
        os.execve(arguments[0], list(arguments), environ)  # noqa: S606 - our own interpreter, a fixed module
    # Windows has no exec that keeps the console's process; the child gets Ctrl-C from the console by itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(subprocess.call(arguments, env=environ))  # noqa: S603 - the same
