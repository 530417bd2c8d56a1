"""`proxy` and `web`: start the proxy, without or with its page, in place of this process or in the background.

The command line may not import the proxy (docs/architecture.md), and mitmproxy need not be loaded twice, so this
process looks at the configuration and the vault's file, which is cheap, and then becomes `python -m
codex_manager.proxy`: same terminal, same process id, signals straight to the proxy. Law: no secret is handed over on a
command line; the proxy finds the master key by itself, as every command does.
"""

import itertools
import os
import signal
import subprocess
import sys

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import click

from codex_manager.config.paths import Paths
from codex_manager_cli.talk import say, warn


if TYPE_CHECKING:
    from codex_manager_cli.background import Started

__all__ = ["options_of", "proxy", "say_where", "web"]

API_KEY_VARIABLE = "CODEX_MANAGER__PROXY__API_KEY"
SETTINGS = {
    "--bind": "proxy.bind_addr",
    "--web-bind": "web.address",
    "--log-level": "logging.level",
    "--log-format": "logging.format",
}
"""Options with a value, and the settings they stand for."""


def _shared[F: Callable[..., Any]](command: F) -> F:
    """The options of both commands, but for the address, which comes first."""
    options = (
        click.option(
            "--background", is_flag=True, help="Come back once it serves; `stop`, `restart`, `logs` go with it."
        ),
        click.option(
            "--api-key", metavar="KEY", hidden=True, help="As the original has it; better in the configuration."
        ),
        click.option("--verbose", "-v", is_flag=True, help="As `--log-level debug`."),
        click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), help="What is said."),
        click.option("--log-format", type=click.Choice(["text", "json"]), help="Lines for people, or objects."),
    )
    for option in reversed(options):
        command = option(command)
    return command


_bind = click.option("--bind", "-b", metavar="HOST:PORT", help="Where to listen, for this run; else as configured.")


@click.command()
@_bind
@_shared
def proxy(*, bind: str | None, background: bool, api_key: str | None, **log: Any) -> None:
    """Start the proxy and serve until Ctrl-C. Several may run on one vault, each at its own address."""
    _start([], {"--bind": bind, **_log_options(**log)}, api_key, background=background)


@click.command()
@_bind
@click.option("--web-bind", metavar="HOST:PORT", help="Where the page is, for this run; on this machine only.")
@click.option("--no-browser", is_flag=True, help="Do not open the page in a browser.")
@_shared
def web(
    *, bind: str | None, web_bind: str | None, no_browser: bool, background: bool, api_key: str | None, **log: Any
) -> None:
    """Start the proxy with its page: calls as they happen, the dashboard, accounts, settings.

    It costs more for each request than `proxy`, because everything is kept for a while to be looked at.
    """
    flags = ["--web", *(["--no-browser"] if no_browser else [])]
    given = {"--bind": bind, "--web-bind": web_bind, **_log_options(**log)}
    _start(flags, given, api_key, background=background)


def _log_options(*, verbose: bool, log_level: str | None, log_format: str | None) -> dict[str, str | None]:
    return {"--log-level": log_level or ("debug" if verbose else None), "--log-format": log_format}


def options_of(arguments: Sequence[str]) -> dict[str, tuple[str, Any]]:
    """The settings among a proxy's arguments, as `config.load` takes them."""
    pairs = itertools.pairwise(arguments)
    return {SETTINGS[option]: (option, value) for option, value in pairs if option in SETTINGS}


def say_where(started: "Started") -> None:
    """Tell where it serves, and what to do with it."""
    from codex_manager.config.address import Address, is_wildcard, parse_address

    address = parse_address(started.address)
    base_url = f"http://{Address('127.0.0.1' if is_wildcard(address.host) else address.host, address.port)}/v1"
    say(f"the proxy serves in the background: process {started.pid}, http://{started.address}")
    say(f"use it with: export OPENAI_BASE_URL={base_url}")
    if started.page:
        door = Paths.locate().data_dir / "web.html"
        say(f"see it at http://{started.page}/codex; {door} leads there and holds the token")
    say("what it says: `codex-manager logs -f`; to end it: `codex-manager stop`")


def _start(flags: list[str], given: Mapping[str, str | None], api_key: str | None, *, background: bool) -> None:
    """Refuse what is wrong in one sentence, then become the proxy, or start it."""
    from codex_manager.config.load import load  # pydantic: not for `--help`

    environ = dict(os.environ)
    if api_key is not None:
        warn("a key on the command line is visible to other programs; set proxy.api_key in the configuration instead")
        environ[API_KEY_VARIABLE] = api_key
    arguments = [*flags, *(word for option, text in given.items() if text is not None for word in (option, text))]
    paths, options = Paths.locate(), options_of(arguments)
    if background:
        from codex_manager_cli.background import log_file, needed_key, start

        log = log_file(paths, environ, options)
        say_where(start(paths, arguments, environ, log=log, master_key=needed_key(paths, environ)))
        return
    load(paths, environ, options=options)
    _become([sys.executable, "-m", "codex_manager.proxy", *arguments], environ)


def _become(arguments: Sequence[str], environ: dict[str, str]) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    if os.name != "nt":
        os.execve(arguments[0], list(arguments), environ)  # noqa: S606 - our own interpreter, a fixed module
    # Windows has no exec that keeps the console's process; the child gets Ctrl-C from the console by itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(subprocess.call(arguments, env=environ))  # noqa: S603 - the same
