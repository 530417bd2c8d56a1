"""`doctor`: everything that could be wrong with an install, each thing with its cure.

Law: changes nothing, repeats no secret. Whoever sits at a terminal is asked for the master key where nothing else has it, so that
accounts can be looked at, too; elsewhere nobody is.
"""

import functools
import os
import sys

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from codex_manager.config.paths import Paths
from codex_manager_cli.talk import emit_json, say


if TYPE_CHECKING:
    from codex_manager.doctor import Finding

__all__ = ["doctor"]

MARKS = {"ok": "ok", "warn": "look", "bad": "BAD"}
COLOURS = {"ok": "green", "warn": "yellow", "bad": "red"}


@click.command()
@click.option("--offline", is_flag=True, help="Ask nothing of OpenAI: leave out reachability, the clock and the keys.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(*, offline: bool, as_json: bool) -> int:
    """Look at everything that could be wrong: vault, keyring, files, configuration, ports, certificates, environment, OpenAI, keys.

    Each finding comes with its cure. The exit status is 1 when something does not work; what only deserves a look does not count.
    """
    from codex_manager.doctor import examine
    from codex_manager.doctor.patient import KEYRING_S
    from codex_manager.vault import masterkey
    from codex_manager.vault.oskeyring import Keyring
    from codex_manager_cli import session

    paths = Paths.locate()
    if not offline and sys.stderr.isatty():
        say("looking, and asking OpenAI; some seconds")
    opened = functools.partial(
        masterkey.open_vault,
        paths.vault_file,
        environ=os.environ,
        prompt=session.prompt(),
        keyring=Keyring(timeout_s=KEYRING_S),
    )
    findings = examine(paths, os.environ, network=not offline, open_vault=opened)
    works = all(finding.level != "bad" for finding in findings)
    if as_json:
        emit_json({
            "ok": works,
            "findings": [
                {"area": one.area, "level": one.level, "text": one.text, "cure": one.cure or None} for one in findings
            ],
        })  # fmt: skip
    else:
        for line in _as_lines(findings):
            click.echo(line)
        say(_summary(findings))
    return 0 if works else 1


def _as_lines(findings: "Sequence[Finding]") -> list[str]:
    """By area, in the order of the examination."""
    lines: list[str] = []
    for area in dict.fromkeys(finding.area for finding in findings):
        lines.append(area)
        for finding in findings:
            if finding.area == area:
                mark = click.style(
                    MARKS[finding.level].ljust(4), fg=COLOURS[finding.level], bold=finding.level == "bad"
                )
                lines.append(f"  {mark}  {finding.text}")
                lines += [f"        cure: {finding.cure}"] if finding.cure else []
    return lines


def _summary(findings: "Sequence[Finding]") -> str:
    bad = sum(finding.level == "bad" for finding in findings)
    look = sum(finding.level == "warn" for finding in findings)
    said = [_things(bad, "does not work", "do not work")] if bad else []
    said += [_things(look, "deserves a look", "deserve a look")] if look else []
    return ", ".join(said) or "all is well"


def _things(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"
