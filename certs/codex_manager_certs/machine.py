"""The machine whose stores are asked to trust us: its platform, its tools, its folders.

Law: nothing is assumed of a tool but that it is on PATH; commands are argument lists, never text for a shell.
"""

import os
import shlex
import shutil
import subprocess
import sys

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from codex_manager_certs.errors import AuthorityError


__all__ = ["Machine", "Step"]

_PATIENCE = 300
"""Seconds for one step; somebody may have to type a password."""


@dataclass(frozen=True, slots=True)
class Step:
    """One command."""

    argv: tuple[str, ...]
    as_root: bool = False
    may_fail: bool = False
    """When it fails, there was nothing to do."""


@dataclass(frozen=True, slots=True)
class Machine:
    """Where steps run."""

    platform: str
    environ: Mapping[str, str] = field(repr=False)
    home: Path
    root: Path
    """What the system's paths start from."""
    is_root: bool

    @classmethod
    def this(cls) -> Self:
        """The machine we run on."""
        is_root = os.name != "nt" and os.geteuid() == 0
        return cls(sys.platform, dict(os.environ), Path.home(), Path("/"), is_root)

    def which(self, program: str) -> str | None:
        """The program's path. The folders for administrators are searched too; users of Debian lack them in PATH."""
        path = self.environ.get("PATH", os.defpath)
        administrators = os.pathsep.join(str(self.root / name) for name in ("usr/sbin", "sbin"))
        return shutil.which(program, path=path) or shutil.which(program, path=administrators)

    def argv(self, step: Step) -> tuple[str, ...]:
        """What is run: with sudo where root is needed and we are not."""
        return ("sudo", *step.argv) if step.as_root and not self.is_root else step.argv

    def line(self, step: Step) -> str:
        """The same for a person to copy."""
        argv = self.argv(step)
        return subprocess.list2cmdline(argv) if self.platform == "win32" else shlex.join(argv)

    def run(self, step: Step) -> bool:
        """Run it; whether it did something.

        Raises:
            AuthorityError: it failed, and was not allowed to.
        """
        argv = self.argv(step)
        program = self.which(argv[0])
        if program is None:
            raise AuthorityError(
                f"{argv[0]} is not on this machine, and the certificate cannot be put in place without it",
                hint=f"as an administrator: {self.line(step)}",
            )
        try:
            done = subprocess.run(  # noqa: S603 - an argument list of our own, see Law
                [program, *argv[1:]],
                capture_output=True, text=True, errors="replace", timeout=_PATIENCE, check=False, env=self.environ,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            why = "no answer" if isinstance(error, subprocess.TimeoutExpired) else (error.strerror or "error").lower()
            raise AuthorityError(f"{argv[0]} could not be run: {why}", hint=f"try it: {self.line(step)}") from None
        if done.returncode == 0:
            return True
        if step.may_fail:
            return False
        said = (done.stderr or done.stdout).strip().splitlines()
        raise AuthorityError(
            f"{argv[0]} failed{': ' + said[-1].strip() if said else f' with status {done.returncode}'}",
            hint=f"try it: {self.line(step)}",
        )
