"""The task scheduler of Windows: a task that begins when the user logs in.

It starts nothing again within less than a minute, so the task is a small process that keeps the proxy running (`--keep`).
"""

import os
import sys
import xml.etree.ElementTree as ET

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from codex_manager_cli.services.plan import Plan, Status
from codex_manager_cli.services.programs import call, must


__all__ = ["Schtasks", "task"]

NAMESPACE: Final = "http://schemas.microsoft.com/windows/2004/02/mit/task"


class Schtasks:
    """The scheduler. Mutable state: none but its own."""

    title = "Windows task scheduler"

    def __init__(self, folder: Path, environ: Mapping[str, str] = os.environ) -> None:
        self._folder = folder
        self._environ = environ

    def files(self, plan: Plan) -> dict[Path, str]:
        return {self._file(plan.name): task(plan, _user(self._environ))}

    def steps(self, name: str) -> list[list[str]]:
        return [
            ["schtasks", "/Create", "/F", "/TN", name, "/XML", str(self._file(name))],
            ["schtasks", "/Run", "/TN", name],
        ]

    def install(self, plan: Plan) -> list[str]:
        for path, text in self.files(plan).items():
            path.write_text(text, encoding="utf-16")  # with a mark of the order, which the scheduler asks for
        call("schtasks", "/End", "/TN", plan.name)
        for step in self.steps(plan.name):
            must(*step)
        return []

    def uninstall(self, name: str) -> bool:
        there = call("schtasks", "/Query", "/TN", name).status == 0
        if there:
            call("schtasks", "/End", "/TN", name)
            must("schtasks", "/Delete", "/F", "/TN", name)
        self._file(name).unlink(missing_ok=True)
        return there

    def status(self, name: str) -> Status:
        """Whether it runs is told by the proxy itself: the scheduler's words are in the language of the system."""
        there = call("schtasks", "/Query", "/TN", name).status == 0
        return Status(installed=there, file=self._file(name), at_login=there, trouble="not running" if there else "")

    def logs(self, name: str, *, lines: int, follow: bool) -> list[str] | None:  # noqa: ARG002 - it keeps none
        return None

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.xml"


def task(plan: Plan, user: str) -> str:
    """The task's definition."""
    ET.register_namespace("", NAMESPACE)
    root = ET.Element(_tag("Task"), version="1.2")
    _add(root, "RegistrationInfo/Description", "codex-manager: several OpenAI accounts behind one endpoint")
    _add(root, "Triggers/LogonTrigger/Enabled", "true")
    _add(root, "Triggers/LogonTrigger/UserId", user)
    principal = _add(root, "Principals/Principal/UserId", user)
    principal.set("id", "Author")
    _add(root, "Principals/Principal/LogonType", "InteractiveToken")
    _add(root, "Principals/Principal/RunLevel", "LeastPrivilege")
    for name, value in {
        "MultipleInstancesPolicy": "IgnoreNew",
        "DisallowStartIfOnBatteries": "false",
        "StopIfGoingOnBatteries": "false",
        "AllowHardTerminate": "true",
        "StartWhenAvailable": "true",
        "RunOnlyIfNetworkAvailable": "false",
        "Enabled": "true",
        "Hidden": "true",
        "ExecutionTimeLimit": "PT0S",
        "Priority": "5",  # 7, the default, is that of background work
    }.items():
        _add(root, f"Settings/{name}", value)
    _add(root, "Settings/RestartOnFailure/Interval", "PT1M")
    _add(root, "Settings/RestartOnFailure/Count", "999")
    python, *arguments = _command(plan)
    _add(root, "Actions/Exec/Command", python)
    _add(root, "Actions/Exec/Arguments", _command_line(arguments))
    _add(root, "Actions/Exec/WorkingDirectory", str(plan.writes[-1]))
    root[-1].set("Context", "Author")
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-16"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _command(plan: Plan) -> list[str]:
    """Without a window. The scheduler sets no variables, so a program of three lines does."""
    python = Path(plan.python)
    command = plan.command("--keep", "--detached", "--log-file", str(plan.log))
    if python.name.lower() == "python.exe":
        command[0] = str(python.with_name("pythonw.exe"))
    if not plan.environment:
        return command
    module = command[command.index("-m") + 1]
    code = (
        f"import os, runpy, sys; os.environ.update({dict(plan.environment)!r}); "
        f"sys.argv = {[module, *command[command.index('-m') + 2 :]]!r}; runpy.run_module({module!r}, run_name='__main__')"
    )
    return [command[0], "-P", "-c", code]


def _command_line(arguments: list[str]) -> str:
    import subprocess

    return subprocess.list2cmdline(arguments)


def _add(root: ET.Element, path: str, text: str) -> ET.Element:
    """Set the text of an element, made with its parents where they are not there; returns its parent."""
    *parents, name = path.split("/")
    place = root
    for parent in parents:
        found = place.find(_tag(parent))
        place = ET.SubElement(place, _tag(parent)) if found is None else found
    ET.SubElement(place, _tag(name)).text = text
    return place


def _tag(name: str) -> str:
    return f"{{{NAMESPACE}}}{name}"


def _user(environ: Mapping[str, str]) -> str:
    name, domain = environ.get("USERNAME", ""), environ.get("USERDOMAIN", "")
    return f"{domain}\\{name}" if domain else name or sys.platform
