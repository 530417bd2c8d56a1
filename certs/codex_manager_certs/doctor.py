"""Which clients on this machine believe our authority, found out by real handshakes.

Every stack is tried as the session has it, and when that fails with our variables set. Law: a verdict comes from the
witness alone; a probe ends when it is out, or when its time is over, and leaves no process and no file behind.
"""

import contextlib
import os
import re
import signal
import subprocess
import tempfile
import time

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from codex_manager_certs.authority import Authority
from codex_manager_certs.leaf import Leaf
from codex_manager_certs.probes import Probe
from codex_manager_certs.witness import Witness


__all__ = ["Finding", "examine"]

_AT_ONCE = 3
"""Probes at the same time; most are interpreters that start."""
_OURS = ("HTTP_PROXY", "ALL_PROXY", "NO_PROXY", "OPENAI_BASE_URL", "OPENAI_API_BASE")
"""Variables that would send a probe elsewhere."""


_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
"""Colours, which programs print also where nobody sees them."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one stack believes."""

    probe: Probe
    now: bool
    """As the session has it."""
    with_variables: bool
    """With the variables of `certs env`."""
    why: str
    """What it lacks, or what it said; empty when it believes us now."""


@dataclass(frozen=True, slots=True)
class _Outcome:
    believes: bool
    said: str = ""


def examine(
    authority: Authority, host: str, probes: Sequence[Probe], environ: Mapping[str, str], variables: Mapping[str, str]
) -> list[Finding]:
    """One finding a probe, in their order.

    Raises:
        AuthorityError: the authority cannot vouch for the host.
    """
    leaf = authority.leaf(host)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(lambda probe: _examined(probe, leaf, environ, variables), probes))


def _examined(probe: Probe, leaf: Leaf, environ: Mapping[str, str], variables: Mapping[str, str]) -> Finding:
    now = _tried(probe, leaf, environ)
    if now.believes:
        return Finding(probe, now=True, with_variables=True, why="")
    then = _tried(probe, leaf, {**environ, **variables})
    if not then.believes:
        return Finding(probe, now=False, with_variables=False, why=then.said)
    why = f"{probe.variable} {'names another file' if environ.get(probe.variable) else 'is not set'}"
    return Finding(probe, now=False, with_variables=True, why=why)


def _tried(probe: Probe, leaf: Leaf, environ: Mapping[str, str]) -> _Outcome:
    with Witness(leaf) as witness, tempfile.TemporaryDirectory(prefix="codex-manager-") as home:
        for name, content in probe.files.items():
            (Path(home) / name).write_text(content, encoding="utf-8")

        def filled(text: str) -> str:
            return text.replace("{home}", home).replace("{port}", str(witness.port))

        argv = [probe.argv[0], *(filled(argument) for argument in probe.argv[1:])]
        own = {name: filled(value) for name, value in probe.environ.items()}
        with tempfile.TemporaryFile(dir=home) as talk:
            try:
                child = subprocess.Popen(  # noqa: S603 - a program of the user's and arguments of ours
                    argv, env=_environment(environ, leaf.host, witness.port) | own, cwd=home,
                    stdin=subprocess.PIPE, stdout=talk, stderr=subprocess.STDOUT, start_new_session=os.name != "nt",
                )  # fmt: skip
            except OSError as error:
                return _Outcome(False, f"it cannot be started: {(error.strerror or 'error').lower()}")
            try:
                _feed(child, probe.stdin)
                _wait(child, witness, probe.patience)
            finally:
                _end(child)
            if witness.believed.is_set():
                return _Outcome(True)
            talk.seek(0)
            return _Outcome(False, _said(witness, talk.read()[-4096:]))


def _environment(environ: Mapping[str, str], host: str, port: int) -> dict[str, str]:
    kept = {name: value for name, value in environ.items() if name.upper() not in _OURS}
    proxy = f"http://127.0.0.1:{port}"
    return kept | {"HTTPS_PROXY": proxy, "https_proxy": proxy, "PROBE_HOST": host, "PROBE_PORT": str(port)}


def _feed(child: subprocess.Popen[bytes], text: str) -> None:
    assert child.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # it is gone already; the witness knows why
        child.stdin.write(text.encode())
        child.stdin.flush()
        if not text:
            child.stdin.close()


def _wait(child: subprocess.Popen[bytes], witness: Witness, patience: float) -> None:
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if witness.believed.wait(0.05):
            return
        if witness.refused.is_set():
            witness.believed.wait(
                0.5
            )  # some try a second way; those that try the same for a minute need not be awaited
            return
        if child.poll() is not None:
            witness.believed.wait(0.5)  # what it sent last may still be on its way
            return


def _end(child: subprocess.Popen[bytes]) -> None:
    """It and all that it started."""
    if os.name == "nt":
        child.kill()
    else:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
    child.wait(10)
    if child.stdin is not None:
        with contextlib.suppress(BrokenPipeError):
            child.stdin.close()


def _said(witness: Witness, output: bytes) -> str:
    if witness.complaint:
        return f"no trust: {witness.complaint}"
    text = _ESCAPE.sub("", output.decode(errors="replace"))
    lines = [shown for line in text.splitlines() if (shown := "".join(filter(str.isprintable, line)).strip())]
    return f"it did not come to TLS: {lines[-1][:200]}" if lines else "it did not come to TLS"
