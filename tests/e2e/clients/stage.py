"""The stage for a client: fake OpenAI as `api.openai.com`, a proxy with three accounts, and how clients are started and judged."""

import os
import re
import subprocess
import sys

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.clients.room import Room
from tests.support import Home, ProxyProcess

from codex_manager.testing import FakeOpenAI


__all__ = ["KEYS", "SCRIPTS", "TEXT", "Ended", "Stage"]

HOST = "api.openai.com"
KEYS = {label: f"sk-canary-{label}-0123456789abcdef" for label in ("limited", "revoked", "healthy")}
TEXT = "Good morning from the account that works."
SCRIPTS = Path(__file__).parent / "scripts"
MODEL = re.compile(rb'"model"(?::\s*"|\r\n\r\n)([\w.-]+)')
"""In JSON and in multipart."""
PATIENCE = 90.0  # seconds for one client on a loaded machine; each ends in under 15 s on an idle one


@dataclass(frozen=True, slots=True)
class Ended:
    """A client that has ended."""

    status: int
    out: str
    err: str

    def __str__(self) -> str:
        return f"exit {self.status}\n--- out\n{self.out[-6000:]}\n--- err\n{self.err[-6000:]}"


@dataclass
class Stage:
    """Everything is in one room; `run` starts clients there."""

    room: Room
    fake: FakeOpenAI
    home: Home
    proxy: ProxyProcess
    folder: Path
    """Home of the clients."""

    def run(
        self, way: str, *command: str, environ: Mapping[str, str] | None = None, patience: float = PATIENCE
    ) -> Ended:
        """Start a client by `codex-manager run --via WAY`, as a user does."""
        manager = [sys.executable, "-m", "codex_manager_cli", "run", "--via", way, "--"]
        return self.start(*manager, *command, environ=self.home.environ() | dict(environ or {}), patience=patience)

    def start(self, *command: str, environ: Mapping[str, str] | None = None, patience: float = PATIENCE) -> Ended:
        """Start a client with this environment and a home of its own."""
        given = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            **(environ or {}),
            "HOME": str(self.folder),
            "XDG_CONFIG_HOME": str(self.folder / "config"),
            "XDG_DATA_HOME": str(self.folder / "data"),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            "XDG_STATE_HOME": str(self.folder / "state"),
        }

        def wait() -> Ended:
            try:
                done = subprocess.run(
                    command,
                    env=given,
                    cwd=self.folder,
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    text=True,
                    errors="replace",
                    timeout=patience,
                    check=False,
                )
            except subprocess.TimeoutExpired as late:
                out, err = ((part or b"").decode(errors="replace") for part in (late.stdout, late.stderr))
                return Ended(-1, out, f"{err}\nstill running after {patience} s")
            return Ended(done.returncode, done.stdout, done.stderr)

        return self.room.call(wait)

    def seen(self) -> str:
        """What reached OpenAI, for the message of a test that fails."""
        labels = {key: label for label, key in KEYS.items()}
        return "\n".join(
            f"{labels.get(seen.key, 'a key that is none of ours')}: {seen.method} {seen.path} {seen.status} {seen.step}"
            for seen in self.fake.log
        )

    def limits_met(self) -> Counter[str]:
        """How often the limited account was asked for each quota: OpenAI has one for each model, and others apart from models."""
        asked = [seen for seen in self.fake.log if seen.key == KEYS["limited"]]
        return Counter(
            found[1].decode() if (found := MODEL.search(seen.body)) else "/".join(seen.path.split("/")[:3])
            for seen in asked
        )

    def was_served(self, ended: Ended, *, expected: str = TEXT) -> None:
        """The client ended well with the healthy account's answer; the other two were asked once, and nothing twice."""
        story = f"{ended}\n--- upstream\n{self.seen()}\n--- proxy\n{self.proxy.said()[-3000:]}"
        assert ended.status == 0, story
        assert expected in ended.out, story
        assert set(self.fake.counts()) == set(KEYS.values()), story
        assert set(self.limits_met().values()) == {1}, story
        assert self.fake.counts(KEYS["revoked"]) == 1, story
        assert any(seen.processed for seen in self.fake.log if seen.key == KEYS["healthy"]), story
        assert not self.fake.duplicates(), story
        assert not self.fake.violations(), story
        assert not self.fake.malformed_requests, story
        everything = ended.out + ended.err
        assert not any(key in everything for key in KEYS.values())
