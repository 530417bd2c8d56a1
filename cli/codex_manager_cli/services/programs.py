"""Runs the programs of the system that manage services: bounded in time, their words kept for us.

Law: no argument ever holds a secret; what is secret goes in by stdin.
"""

import subprocess

from dataclasses import dataclass

from codex_manager_cli.talk import fail


__all__ = ["Done", "call", "must"]

PATIENCE_S = 30.0


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a program."""

    status: int
    out: str
    err: str

    @property
    def words(self) -> str:
        """Its complaint, in one line."""
        lines = [line.strip() for line in (self.err or self.out).splitlines() if line.strip()]
        return lines[0].rstrip(".") if lines else f"it ended with status {self.status}"


def call(*command: str, stdin: str | None = None, patience_s: float = PATIENCE_S) -> Done:
    """Run it.

    Raises:
        UserError: it is not there, or does not end.
    """
    try:
        done = subprocess.run(  # noqa: S603 - programs of the system, named by us
            command,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=patience_s,
            check=False,
        )
    except (FileNotFoundError, PermissionError):
        fail(f"there is no {command[0]} on this machine to manage services with")
    except subprocess.TimeoutExpired:
        fail(f"{command[0]} did not answer within {patience_s:.0f} s", hint="try it again")
    return Done(done.returncode, done.stdout, done.stderr)


def must(*command: str, stdin: str | None = None, patience_s: float = PATIENCE_S, hint: str | None = None) -> Done:
    """Run what has to go well.

    Raises:
        UserError: it did not.
    """
    done = call(*command, stdin=stdin, patience_s=patience_s)
    if done.status != 0:
        fail(f"{' '.join(command[:3])} failed: {done.words}", hint=hint)
    return done
