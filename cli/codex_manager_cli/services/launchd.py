"""launchd of macOS: an agent of the user's session."""

import os
import plistlib
import time

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from codex_manager.config import storage
from codex_manager_cli.services.plan import Plan, Status
from codex_manager_cli.services.programs import call, must


__all__ = ["Launchd", "agent"]

STOP_S: Final = 30.0
NOBODY_HOME: Final = "log in to the desktop as yourself: an agent lives in that session"


class Launchd:
    """The user's session. Mutable state: none but launchd's own."""

    title = "launchd"

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._folder = Path(environ.get("HOME") or Path.home()) / "Library/LaunchAgents"

    def files(self, plan: Plan) -> dict[Path, str]:
        return {self._file(plan.name): agent(plan)}

    def steps(self, name: str) -> list[list[str]]:
        return [["launchctl", "bootout", _target(name)], ["launchctl", "bootstrap", _domain(), str(self._file(name))]]

    def install(self, plan: Plan) -> list[str]:
        for path, text in self.files(plan).items():
            path.parent.mkdir(parents=True, exist_ok=True)
            storage.write(path, text)
        self._out(plan.name)
        must("launchctl", "enable", _target(plan.name), hint=NOBODY_HOME)
        must("launchctl", "bootstrap", _domain(), str(self._file(plan.name)), hint=NOBODY_HOME)
        return []

    def uninstall(self, name: str) -> bool:
        path = self._file(name)
        there = path.exists()
        if there:
            self._out(name)
            path.unlink(missing_ok=True)
        return there

    def status(self, name: str) -> Status:
        path = self._file(name)
        if not path.exists():
            return Status(installed=False, file=path)
        done = call("launchctl", "print", _target(name))
        found: dict[str, str] = {}
        for line in done.out.splitlines():
            key, _, value = line.strip().partition(" = ")
            found.setdefault(key, value)
        pid = found.get("pid", "")
        last = found.get("last exit code", "")
        return Status(
            installed=True,
            file=path,
            at_login=done.status == 0,
            running=pid.isdigit(),
            pid=int(pid) if pid.isdigit() else None,
            restarts=max(int(found["runs"]) - 1, 0) if found.get("runs", "").isdigit() else None,
            trouble="" if pid.isdigit() else "not loaded" if done.status else f"not running, last exit code {last}",
        )

    def logs(self, name: str, *, lines: int, follow: bool) -> list[str] | None:  # noqa: ARG002 - it keeps none
        return None

    def _out(self, name: str) -> None:
        """Out of the session, if it is in; launchd says so before it is true."""
        if call("launchctl", "bootout", _target(name), patience_s=STOP_S).status == 0:
            deadline = time.monotonic() + STOP_S
            while call("launchctl", "print", _target(name)).status == 0 and time.monotonic() < deadline:
                time.sleep(0.2)

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.plist"


def agent(plan: Plan) -> str:
    """The property list."""
    return plistlib.dumps(
        {
            "Label": plan.name,
            "ProgramArguments": plan.command("--detached", "--log-file", str(plan.log)),
            "EnvironmentVariables": dict(plan.environment),
            "WorkingDirectory": str(plan.writes[-1]),
            "RunAtLoad": True,
            "KeepAlive": True,
            "ExitTimeOut": 20,  # seconds; requests under way have ten
            "ProcessType": "Interactive",  # somebody waits for each answer; a background one is slowed down
            "Umask": 0o077,
            "HardResourceLimits": {"Core": 0},
            "SoftResourceLimits": {"NumberOfFiles": 10_240},  # launchd gives 256
        },
        sort_keys=False,
    ).decode()


def _domain() -> str:
    return f"gui/{os.getuid() if hasattr(os, 'getuid') else 0}"


def _target(name: str) -> str:
    return f"{_domain()}/{name}"
