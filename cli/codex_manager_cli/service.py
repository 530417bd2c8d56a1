"""`service`: the proxy as a service of the user, started at login and whenever it ends.

Law: what would keep it from serving (configuration, key, another proxy) is found before anything is written; `--dry-run` changes
nothing at all.
"""

import os
import subprocess
import sys
import time

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from codex_manager.config.paths import Paths
from codex_manager_cli.talk import emit_json, fail, say, warn


if TYPE_CHECKING:
    from codex_manager.config.presence import RunningProxy
    from codex_manager_cli.services.plan import Manager, Status

__all__ = ["service"]

RUNS, RUNS_NOT, NOT_THERE = 0, 1, 4
START_S: Final = 30.0
STEP_S: Final = 0.2


@click.group()
def service() -> None:
    """Start the proxy at login and whenever it fails: a systemd user unit, a launchd agent, a Windows task."""


@service.command()
@click.option("--web", is_flag=True, help="With its page.")
@click.option(
    "--credential",
    type=click.Path(path_type=Path, dir_okay=False),
    help="systemd only: take the master key from this file, which only you can read, instead of the keyring.",
)
@click.option("--dry-run", is_flag=True, help="Print what would be written, and change nothing.")
def install(*, web: bool, credential: Path | None, dry_run: bool) -> None:
    """Install the service and start it. Do it again after an upgrade, or to change options: it starts anew.

    The master key comes from the keyring; without one, systemd 256 and later keeps it sealed. It is never in the unit. Settings
    come from the configuration; variables of this session do not reach a service.
    """
    from codex_manager.config import presence
    from codex_manager.vault.store import has_vault
    from codex_manager_cli import session
    from codex_manager_cli.background import log_file, where
    from codex_manager_cli.services import master_key
    from codex_manager_cli.services.plan import left_behind, planned
    from codex_manager_cli.services.systemd import version

    paths = Paths.locate()
    manager = _manager(paths)
    without = {name: value for name, value in os.environ.items() if name not in left_behind(os.environ)}
    log = log_file(paths, without)  # the configuration as the service will see it
    if not has_vault(paths.vault_file):
        fail(session.NO_VAULT, hint=session.NO_VAULT_HINT)
    running = presence.running(paths.data_dir)
    if running is not None and not running.service and not dry_run:
        fail(f"a proxy of this home runs already: {where(running)}", hint="stop it with `codex-manager stop`")
    arrange = master_key.foreseen if dry_run else master_key.arrange
    arranged = arrange(paths, systemd=version() if manager.title == "systemd" else None, given=credential)
    plan = planned(paths, os.environ, web=web, log=log, credential=arranged.credential)
    for name in left_behind(os.environ):
        if name != "CAM_MASTER_KEY":
            warn(f"{name} is set here and does not reach the service; `codex-manager config set` reaches it")
    if dry_run:
        for path, text in manager.files(plan).items():
            say(f"would write {path}:")
            click.echo(text, nl=False)
        for step in manager.steps(plan.name):
            say(f"would run: {subprocess.list2cmdline(step)}")
        say(arranged.note.replace("is sealed", "would be sealed"))
        return
    paths.make_dirs()
    told = manager.install(plan)
    if arranged.credential is None or not arranged.credential.sealed:
        master_key.forget(paths)  # of an earlier install
    serving = _awaited(paths)
    if serving is None:
        fail("the service is installed, but does not serve yet", hint="`codex-manager service logs` says why")
    say(f"the service {plan.name} runs: {where(serving)}")
    say(arranged.note)
    if web:
        say(f"its page: {paths.data_dir / 'web.html'} leads there and holds the token")
    for note in told:
        say(note)


@service.command()
def uninstall() -> None:
    """Stop the service and take it away; vault, configuration and ledger stay. That there is none is no error."""
    from codex_manager.config import presence
    from codex_manager_cli.ending import end
    from codex_manager_cli.services import master_key
    from codex_manager_cli.services.plan import name_of

    paths = Paths.locate()
    name = name_of(paths, os.environ)
    there = _manager(paths).uninstall(name)
    running = presence.running(paths.data_dir)
    if running is not None and running.service:  # on Windows a manager ends what it started, not what that started
        end(paths.data_dir, running, say, force=False)
    master_key.forget(paths)
    say(f"the service {name} is gone" if there else "no service is installed for this home")


@service.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(*, as_json: bool) -> int:
    """Show whether the service is installed and runs.

    The exit status is 0 when it runs, 1 when it does not, and 4 when there is none. `codex-manager status` says what the proxy does.
    """
    from codex_manager.config import presence
    from codex_manager_cli.services.plan import name_of

    paths = Paths.locate()
    manager, name = _manager(paths), name_of(paths, os.environ)
    found = manager.status(name)
    proxy = presence.running(paths.data_dir)
    proxy = proxy if proxy is not None and proxy.service else None
    runs = found.installed and (found.running or proxy is not None)
    if as_json:
        emit_json(_as_data(name, manager, found, proxy, runs=runs))
    else:
        for line in _as_lines(name, found, proxy, runs=runs):
            click.echo(line)
    if not found.installed:
        return NOT_THERE
    return RUNS if runs else RUNS_NOT


@service.command()
@click.option("--follow", "-f", is_flag=True, help="Go on with what is said from now on, until Ctrl-C.")
@click.option(
    "--lines", "-n", type=click.IntRange(0, 1_000_000), default=50, show_default=True, help="So many of the last ones."
)
@click.pass_context
def logs(ctx: click.Context, *, follow: bool, lines: int) -> int:
    """Show what the service said, when it failed to start, too."""
    from codex_manager_cli.logs import logs as of_the_proxy
    from codex_manager_cli.services.plan import name_of

    paths = Paths.locate()
    command = _manager(paths).logs(name_of(paths, os.environ), lines=lines, follow=follow)
    if command is None:
        ctx.invoke(of_the_proxy, follow=follow, lines=lines, as_json=False)
        return 0
    sys.stdout.flush()
    try:
        return subprocess.call(command)  # noqa: S603 - journalctl
    except FileNotFoundError:
        fail(
            f"there is no {command[0]} on this machine",
            hint="`codex-manager logs` shows what a proxy that runs has said",
        )
    except KeyboardInterrupt:
        return 0


def _manager(paths: Paths) -> "Manager":
    """That of this system."""
    platform: str = sys.platform
    if platform == "darwin":
        from codex_manager_cli.services.launchd import Launchd

        return Launchd()
    if platform == "win32":
        from codex_manager_cli.services.schtasks import Schtasks

        return Schtasks(paths.data_dir)
    if platform != "linux":
        fail(f"no service manager of {platform} is known here", hint="have it run `codex-manager proxy`")
    from codex_manager_cli.services.systemd import Systemd

    return Systemd()


def _awaited(paths: Paths) -> "RunningProxy | None":
    """The proxy, once the service has brought it up; not every manager says when that is."""
    from codex_manager.config import presence

    deadline = time.monotonic() + START_S
    while True:
        running = presence.running(paths.data_dir)
        if (running is not None and running.service) or time.monotonic() >= deadline:
            return running if running is not None and running.service else None
        time.sleep(STEP_S)


def _as_data(
    name: str, manager: "Manager", found: "Status", proxy: "RunningProxy | None", *, runs: bool
) -> dict[str, Any]:
    return {
        "name": name,
        "manager": manager.title,
        "installed": found.installed,
        "file": str(found.file),
        "at_login": found.at_login,
        "running": runs,
        "pid": found.pid if proxy is None else proxy.pid,
        "address": None if proxy is None else f"{proxy.host}:{proxy.port}",
        "version": None if proxy is None else proxy.version,
        "started": None if proxy is None else proxy.started,
        "restarts": found.restarts,
        "without_login": found.lingers,
        "trouble": None if runs or not found.installed else found.trouble,
    }


def _as_lines(name: str, found: "Status", proxy: "RunningProxy | None", *, runs: bool) -> list[str]:
    from codex_manager_cli.background import where

    if not found.installed:
        return [f"no service is installed for this home; `codex-manager service install` installs {name}"]
    place = "starting" if proxy is None else where(proxy)
    lines = [f"{name}: runs, {place}" if runs else f"{name}: does not run: {found.trouble}", f"file: {found.file}"]
    if not found.at_login:
        lines.append("it is not set to start at login; `codex-manager service install` does that")
    if found.restarts:
        lines.append(f"started again by itself: {found.restarts} times")
    if found.lingers is False:
        lines.append("it runs while you are logged in; to have it always: loginctl enable-linger")
    if not runs:
        lines.append("`codex-manager service logs` says why")
    return lines
