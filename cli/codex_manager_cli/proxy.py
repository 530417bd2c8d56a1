"""`proxy` and `web`: start the proxy, without or with its page, in place of this process.

The command line may not import the proxy (docs/architecture.md), and mitmproxy need not be loaded twice, so this
process looks at the configuration and the vault's file, which is cheap, and then becomes `python -m
codex_manager.proxy`: same terminal, same process id, signals straight to the proxy. Law: no secret is handed over on a
command line; the proxy finds the master key by itself, as every command does.
"""

import os
import signal
import subprocess
import sys

from collections.abc import Mapping, Sequence
from typing import NoReturn

import click

from codex_manager.config.paths import Paths
from codex_manager_cli.talk import warn


__all__ = ["proxy", "web"]

API_KEY_VARIABLE = "CODEX_MANAGER__PROXY__API_KEY"


_bind = click.option("--bind", "-b", metavar="HOST:PORT", help="Where to listen, for this run; else as configured.")
_api_key = click.option(
    "--api-key", metavar="KEY", hidden=True, help="As the original has it; better in the configuration."
)
_verbose = click.option("--verbose", "-v", is_flag=True, help="Say more on stderr.")


@click.command()
@_bind
@_api_key
@_verbose
def proxy(*, bind: str | None, api_key: str | None, verbose: bool) -> NoReturn:
    """Start the proxy and serve until Ctrl-C. Several may run on one vault, each at its own address."""
    _start([], {"--bind": bind}, api_key, verbose=verbose)


@click.command()
@_bind
@click.option("--web-bind", metavar="HOST:PORT", help="Where the page is, for this run; on this machine only.")
@click.option("--no-browser", is_flag=True, help="Do not open the page in a browser.")
@_api_key
@_verbose
def web(*, bind: str | None, web_bind: str | None, no_browser: bool, api_key: str | None, verbose: bool) -> NoReturn:
    """Start the proxy with its page: calls as they happen, the dashboard, accounts, settings.

    It costs more for each request than `proxy`, because everything is kept for a while to be looked at.
    """
    flags = ["--web", *(["--no-browser"] if no_browser else [])]
    _start(flags, {"--bind": bind, "--web-bind": web_bind}, api_key, verbose=verbose)


ADDRESSES = {"--bind": "proxy.bind_addr", "--web-bind": "web.address"}


def _start(flags: list[str], given: Mapping[str, str | None], api_key: str | None, *, verbose: bool) -> NoReturn:
    """Refuse what is wrong in one sentence, then become the proxy."""
    from codex_manager.config.load import load  # pydantic: not for `--help`

    environ = dict(os.environ)
    if api_key is not None:
        warn("a key on the command line is visible to other programs; set proxy.api_key in the configuration instead")
        environ[API_KEY_VARIABLE] = api_key
    addresses = {option: address for option, address in given.items() if address is not None}
    load(Paths.locate(), environ, options={ADDRESSES[option]: (option, text) for option, text in addresses.items()})
    arguments = [sys.executable, "-m", "codex_manager.proxy", *flags]
    for option, text in addresses.items():
        arguments += [option, text]
    _become([*arguments, *(["--verbose"] if verbose else [])], environ)


def _become(arguments: Sequence[str], environ: dict[str, str]) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    if os.name != "nt":
        os.execve(arguments[0], list(arguments), environ)  # noqa: S606 - our own interpreter, a fixed module
    # Windows has no exec that keeps the console's process; the child gets Ctrl-C from the console by itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(subprocess.call(arguments, env=environ))  # noqa: S603 - the same
