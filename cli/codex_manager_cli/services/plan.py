"""What is to run as a service, whoever runs it, and the words that a service manager answers with.

Law: no secret is in a plan, so none gets into a file that is made of one; of the session's environment only what says where things
are is taken along.
"""

import hashlib
import os
import re
import sys

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import codex_manager

from codex_manager.config.paths import HOME_VARIABLE, Paths
from codex_manager_cli.talk import fail


__all__ = ["NAME", "SEALED_FILE", "Credential", "Manager", "Plan", "Status", "left_behind", "name_of", "planned"]

NAME: Final = "codex-manager"
SEALED_FILE: Final = "master-key.cred"
"""The master key, sealed by systemd, in the data folder."""
MODULE: Final = "codex_manager.proxy.service"
CARRIED: Final = ("PYTHON_KEYRING_BACKEND",)
PLACES: Final = ("XDG_CONFIG_HOME", "XDG_DATA_HOME")


@dataclass(frozen=True, slots=True)
class Credential:
    """The master key, as systemd hands it over."""

    file: Path
    sealed: bool
    """It is encrypted, for this user on this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One service."""

    name: str
    python: str
    arguments: tuple[str, ...]
    """What the proxy is told."""
    environment: Mapping[str, str]
    writes: tuple[Path, ...]
    """Folders it changes."""
    reads: tuple[Path, ...]
    """Where its program is."""
    log: Path
    """For managers that keep no log of their own."""
    credential: Credential | None = None

    def command(self, *more: str) -> list[str]:
        """The whole command line; `-P` keeps a file in the working directory from being taken for a module."""
        return [self.python, "-P", "-m", MODULE, *self.arguments, *more]


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How a service does."""

    installed: bool
    file: Path
    at_login: bool = False
    running: bool = False
    pid: int | None = None
    restarts: int | None = None
    trouble: str = ""
    """Why it does not run, in the manager's word."""
    lingers: bool | None = None
    """Whether it goes on when nobody is logged in; None where that is not known."""


class Manager(Protocol):
    """A service manager."""

    title: str

    def files(self, plan: Plan) -> dict[Path, str]:
        """What is written, and where."""

    def steps(self, name: str) -> list[list[str]]:
        """The commands that make it run, for people to read."""

    def install(self, plan: Plan) -> list[str]:
        """Write, take notice, start or start again. What somebody should be told.

        Raises:
            UserError: it could not be done, or it does not start.
        """

    def uninstall(self, name: str) -> bool:
        """Stop it and take it away; whether there was one."""

    def status(self, name: str) -> Status:
        """How it does."""

    def logs(self, name: str, *, lines: int, follow: bool) -> list[str] | None:
        """The command that shows its log; None where the log is the file of the plan."""


def planned(
    paths: Paths, environ: Mapping[str, str], *, web: bool, log: Path, credential: Credential | None = None
) -> Plan:
    """The service of this profile. `log` is for managers that keep none."""
    home = environ.get(HOME_VARIABLE)
    environment = {HOME_VARIABLE: str(paths.data_dir)} if home else {n: environ[n] for n in PLACES if environ.get(n)}
    environment |= {name: environ[name] for name in CARRIED if environ.get(name)}
    if environ.get("PYTHONPATH"):  # it runs elsewhere
        environment["PYTHONPATH"] = os.pathsep.join(
            str(Path(each).absolute()) for each in environ["PYTHONPATH"].split(os.pathsep) if each
        )
    reads = (Path(sys.executable), Path(sys.prefix), Path(sys.base_prefix), Path(codex_manager.__file__))
    plan = Plan(
        name=name_of(paths, environ),
        python=sys.executable,
        arguments=("--web", "--no-browser") if web else (),
        environment=environment,
        writes=tuple(dict.fromkeys((paths.config_dir, paths.data_dir))),
        reads=reads,
        log=log,
        credential=credential,
    )
    for text in (plan.python, *plan.environment.values(), *map(str, plan.writes)):
        if not text.isprintable():
            fail(f"a service cannot be told of {text!r}: there are characters in it that no such file can hold")
    return plan


def name_of(paths: Paths, environ: Mapping[str, str]) -> str:
    """One name a profile, so that each can have a service."""
    if not environ.get(HOME_VARIABLE):
        return NAME
    word = re.sub(r"[^A-Za-z0-9]+", "-", paths.data_dir.name).strip("-").lower()[:24] or "home"
    return f"{NAME}-{word}-{hashlib.sha256(os.fsencode(paths.data_dir)).hexdigest()[:6]}"


def left_behind(environ: Mapping[str, str]) -> list[str]:
    """Variables that mean something to a proxy of this session and will not reach the service: they may hold keys."""
    return sorted(name for name in environ if name == "CAM_MASTER_KEY" or name.startswith("CODEX_MANAGER__"))
