"""systemd: a unit of the user's own instance, shut in as far as that instance can.

What a user's instance cannot do (no capability to give away) is not asked for: PrivateDevices=, ProtectClock=, ProtectKernelLogs= and
ProtectKernelModules= end in status 218 there. What needs a user namespace is left out where this machine allows none, and said.
"""

import getpass
import os

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from codex_manager.config import storage
from codex_manager.vault.masterkey import CREDENTIAL
from codex_manager_cli.services.plan import Credential, Plan, Status
from codex_manager_cli.services.programs import call, must
from codex_manager_cli.talk import fail


__all__ = ["SEALS_FROM", "Systemd", "unit", "version"]

SEALS_FROM: Final = 256
"""The first release whose `systemd-creds --user` encrypts for a user."""
START_S: Final = 120.0  # TimeoutStartSec=90: a keyring on a desktop may be asking somebody for a minute
STOP_S: Final = 30.0  # TimeoutStopSec=20: ten for requests under way, some for the ledger
NOBODY_HOME: Final = (
    "log in as yourself, on a console or by ssh (`su` and `sudo` start no session); `service install --dry-run` shows"
    " the unit, for whoever installs it another way"
)
TEMPORARY: Final = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108 - nothing is put there

NAMESPACES: Final = {
    "PrivateUsers": "yes",
    "ProtectSystem": "strict",
    "ProtectHome": "read-only",
    "PrivateTmp": "yes",
    "ProtectKernelTunables": "yes",
    "ProtectControlGroups": "yes",
}
FILTERS: Final = {
    "NoNewPrivileges": "yes",
    "RestrictAddressFamilies": "AF_UNIX AF_INET AF_INET6 AF_NETLINK",
    "RestrictNamespaces": "yes",
    "RestrictRealtime": "yes",
    "RestrictSUIDSGID": "yes",
    "LockPersonality": "yes",
    "SystemCallArchitectures": "native",
    "SystemCallFilter": "@system-service",
    "SystemCallErrorNumber": "EPERM",
}


class Systemd:
    """The user's instance. Mutable state: none but systemd's own."""

    title = "systemd"

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._folder = (
            Path(environ.get("XDG_CONFIG_HOME") or Path(environ.get("HOME") or Path.home()) / ".config")
            / "systemd/user"
        )

    def files(self, plan: Plan) -> dict[Path, str]:
        return {self._file(plan.name): unit(plan)}

    def steps(self, name: str) -> list[list[str]]:
        return [
            [*CONTROL, "daemon-reload"],
            [*CONTROL, "enable", self._unit(name)],
            [*CONTROL, "restart", self._unit(name)],
        ]

    def install(self, plan: Plan) -> list[str]:
        told = []
        must(*CONTROL, "show-environment", hint=NOBODY_HOME)
        shut_in = _allows_namespaces()
        if not shut_in:
            told.append("this machine lets users have no namespaces, so the service can write where you can")
        for path, text in {self._file(plan.name): unit(plan, shut_in=shut_in)}.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            storage.write(path, text)
        name = self._unit(plan.name)
        must(*CONTROL, "daemon-reload")
        must(*CONTROL, "--quiet", "enable", name)
        call(*CONTROL, "reset-failed", name)  # a new try is not one of those that failed
        done = call(*CONTROL, "restart", name, patience_s=START_S)
        if done.status != 0:
            said = call("journalctl", "--user", "--unit", name, "--output", "cat", "--lines", "20", "--no-pager").out
            why = [line for line in said.splitlines() if line.startswith("codex-manager: error:")]
            reason = why[-1].removeprefix("codex-manager: error:").strip() if why else done.words
            fail(
                f"the service is installed, but does not start: {reason}", hint="`codex-manager service logs` says more"
            )
        if self._lingers() is False:
            told.append("it runs while you are logged in; to have it always: loginctl enable-linger")
        return told

    def uninstall(self, name: str) -> bool:
        path = self._file(name)
        there = path.exists()
        if there:
            must(*CONTROL, "--quiet", "disable", "--now", self._unit(name), patience_s=STOP_S, hint=NOBODY_HOME)
            path.unlink(missing_ok=True)
            must(*CONTROL, "daemon-reload")
            call(*CONTROL, "reset-failed", self._unit(name))
        return there

    def status(self, name: str) -> Status:
        path = self._file(name)
        if not path.exists():
            return Status(installed=False, file=path)
        wanted = "ActiveState,SubState,MainPID,NRestarts,Result,UnitFileState"
        done = call(*CONTROL, "show", self._unit(name), "--property", wanted)
        if done.status != 0:
            return Status(installed=True, file=path, trouble=f"systemd cannot be asked: {done.words}")
        found = dict(line.partition("=")[::2] for line in done.out.splitlines())
        running = found.get("ActiveState") == "active"
        state = f"{found.get('ActiveState', 'unknown')} ({found.get('SubState', 'unknown')})"
        result = found.get("Result", "success")
        return Status(
            installed=True,
            file=path,
            at_login=found.get("UnitFileState") == "enabled",
            running=running,
            pid=_number(found.get("MainPID")) or None,
            restarts=_number(found.get("NRestarts")),
            trouble="" if running else state if result == "success" else f"{state}, {result}",
            lingers=self._lingers(),
        )

    def logs(self, name: str, *, lines: int, follow: bool) -> list[str] | None:
        command = ["journalctl", "--user", "--unit", self._unit(name), "--output", "short-iso", "--lines", str(lines)]
        return [*command, "--follow"] if follow else [*command, "--no-pager"]

    def _file(self, name: str) -> Path:
        return self._folder / self._unit(name)

    @staticmethod
    def _unit(name: str) -> str:
        return f"{name}.service"

    @staticmethod
    def _lingers() -> bool | None:
        done = call("loginctl", "show-user", getpass.getuser(), "--property", "Linger", "--value")
        return {"yes": True, "no": False}.get(done.out.strip()) if done.status == 0 else None


CONTROL: Final = ("systemctl", "--user")


def unit(plan: Plan, *, shut_in: bool = True) -> str:
    """The unit. `shut_in`: with what takes a user namespace."""
    lines = [
        "# Made by `codex-manager service install`, which writes it anew. Your own changes: systemctl --user edit "
        + plan.name,
        "[Unit]",
        "Description=codex-manager: several OpenAI accounts behind one endpoint",
        "# A minute or so of failures in a row, such as a wrong key, and it is left alone.",
        "StartLimitIntervalSec=120",
        "StartLimitBurst=40",
        "",
        "[Service]",
        "Type=notify",
        f"ExecStart={' '.join(_quoted(word, command=True) for word in plan.command())}",
        *(f"Environment={_quoted(f'{name}={value}')}" for name, value in plan.environment.items()),
        *_credential(plan.credential),
        "Restart=always",
        "RestartSec=250ms",
        "TimeoutStartSec=90",
        "# Requests under way have ten seconds to finish.",
        "TimeoutStopSec=20",
        "KillSignal=SIGTERM",
        "KillMode=mixed",
        "UMask=0077",
        "LimitCORE=0",
        "MemoryMax=2G",
        *(f"{name}={value}" for name, value in FILTERS.items()),
    ]
    if shut_in:
        lines += _namespaces(plan)
    return "\n".join([*lines, "", "[Install]", "WantedBy=default.target", ""])


def version() -> int:
    """Which systemd this is; 0 where that cannot be told."""
    words = call("systemctl", "--version").out.split()
    return _number(words[1]) or 0 if len(words) > 1 else 0


def _credential(credential: Credential | None) -> list[str]:
    if credential is None:
        return []
    word = "LoadCredentialEncrypted" if credential.sealed else "LoadCredential"
    return [f"{word}={CREDENTIAL}:{str(credential.file).replace('%', '%%')}"]


def _namespaces(plan: Plan) -> list[str]:
    settings = dict(NAMESPACES)
    needed = next((path for path in (*plan.writes, *plan.reads) if any(map(path.is_relative_to, TEMPORARY))), None)
    lines = []
    if needed is not None:
        del settings["PrivateTmp"]
        lines.append(f"# PrivateTmp= would hide {str(needed).replace('%', '%%')}")
    lines += [f"{name}={value}" for name, value in settings.items()]
    return [*lines, f"ReadWritePaths={' '.join(_quoted(str(path)) for path in plan.writes)}"]


def _quoted(text: str, *, command: bool = False) -> str:
    """As systemd.syntax(7) wants it; `%` is a specifier everywhere, `$` a variable in commands."""
    text = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    text = text.replace("$", "$$") if command else text
    return f'"{text}"' if any(not (letter.isalnum() or letter in "/._-=:%+,@") for letter in text) else text


def _allows_namespaces() -> bool:
    """Whether a unit with such settings can start here; some systems forbid users their namespaces."""
    settings = [word for name, value in NAMESPACES.items() for word in ("--property", f"{name}={value}")]
    done = call("systemd-run", "--user", "--wait", "--quiet", "--collect", *settings, "true")
    return done.status not in {217, 218, 226}  # USER, CAPABILITIES, NAMESPACE; anything else says nothing of them


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdigit() else None
