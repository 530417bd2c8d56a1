"""The whole of it in a real terminal: `codex-manager` with nothing at all, an account, a proxy, traffic, a failover seen live, out again.

`NEW_PICTURES=docs/images pytest -m slow tests/e2e/test_tui_story.py` writes what is seen there, for docs/tui.md.
"""

import io
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time

from pathlib import Path

import openai
import pytest

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from codex_manager.testing import FakeOpenAI, in_thread
from codex_manager.testing.answers import ok, rate_limited


pytestmark = [pytest.mark.slow, pytest.mark.skipif(not shutil.which("tmux"), reason="needs tmux")]

KEYS = {label: f"sk-{label}-0123456789abcdef" for label in ("work", "home")}
MASTER_KEY = "quite-long-enough"
COLORS = TerminalTheme(
    (16, 19, 24), (213, 218, 225),
    [(16, 19, 24), (239, 125, 125), (108, 197, 139), (227, 178, 98), (76, 157, 243), (197, 134, 192), (86, 200, 216), (213, 218, 225)],
)  # fmt: skip


FONTS = re.compile(r"@font-face \{[^}]*\}\s*")
"""Rich's pictures would have a reader's browser fetch them."""


class Terminal:
    """A program in tmux: keys in, screens out."""

    def __init__(self, folder, environ, width, height):
        self.socket = str(folder / "tmux")
        shell = " ".join(f"{name}='{value}'" for name, value in environ.items())
        program = f"env -u CAM_MASTER_KEY {shell} {sys.executable} -m codex_manager_cli; echo status $?; sleep 60"
        self._tmux("-f", "/dev/null", "new-session", "-d", "-x", str(width), "-y", str(height), program)

    def _tmux(self, *words):
        clean = {name: value for name, value in os.environ.items() if name not in {"TMUX", "COLUMNS", "LINES"}} | {
            "LANG": "C.UTF-8",
            "COLORTERM": "truecolor",
        }
        done = subprocess.run(
            ["tmux", "-S", self.socket, *words], capture_output=True, timeout=20, check=True, env=clean
        )
        return done.stdout.decode()

    def screen(self, *, colors=False):
        return self._tmux("capture-pane", "-p", *(["-e"] if colors else []))

    def keys(self, *names):
        for name in names:
            self._tmux("send-keys", name)
            time.sleep(0.4 if name == "Escape" else 0.08)  # Escape and a key at once would be Alt and that key

    def types(self, text):
        self._tmux("send-keys", "-l", text)
        time.sleep(0.2)

    def sees(self, words, seconds=20.0):
        deadline = time.monotonic() + seconds
        while words not in (shown := self.screen()):
            assert time.monotonic() < deadline, f"{words!r} is not on the screen:\n{shown}"
            time.sleep(0.05)
        return shown

    def picture(self, name):
        folder = os.environ.get("NEW_PICTURES")
        if folder is None:
            return
        deadline = time.monotonic() + 15
        while "▌" in self.screen() and time.monotonic() < deadline:  # what was said stays for a few seconds
            time.sleep(0.1)
        lines = self.screen(colors=True).rstrip("\n").split("\n")
        width = max(len(Text.from_ansi(line).plain) for line in lines)
        console = Console(record=True, width=width, file=io.StringIO(), force_terminal=True, color_system="truecolor")
        for line in lines:
            console.print(Text.from_ansi(line), no_wrap=True, crop=True)
        Path(folder, f"tui-{name}.svg").write_text(
            FONTS.sub("", console.export_svg(title="codex-manager", theme=COLORS, unique_id=f"tui-{name}"))
        )

    def close(self):
        self._tmux("kill-server")


@pytest.fixture
def fake():
    with in_thread(FakeOpenAI()) as fake:
        for label, key in KEYS.items():
            fake.account(key, organization=f"org-{label}")
        yield fake


@pytest.fixture
def terminal(tmp_path, isolated_home, fake):
    environ = {
        "CODEX_MANAGER_HOME": str(tmp_path / "home"), "HOME": str(tmp_path), "TZ": "UTC", "PYTHONPATH": os.pathsep.join(sys.path),
        "CODEX_MANAGER__PROXY__OPENAI_BASE_URL": fake.base_url, "CODEX_MANAGER__PROXY__BIND_ADDR": "127.0.0.1:0",
        "CODEX_MANAGER__POLLING__ENABLED": "false", "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
    }  # fmt: skip
    terminal = Terminal(tmp_path, environ, 126, 30)
    try:
        yield terminal
    finally:
        terminal.close()
        stop = [sys.executable, "-m", "codex_manager_cli", "stop", "--force"]
        subprocess.run(stop, env={**os.environ, **environ}, capture_output=True, timeout=40, check=False)


def add(terminal, label, priority, limit):
    terminal.keys("a")
    terminal.sees("Add an account")
    terminal.types(label)
    terminal.keys("Tab")
    terminal.types(KEYS[label])
    terminal.keys("Tab")
    terminal.types(priority)
    terminal.keys("Tab", "Tab")
    terminal.types(limit)
    assert KEYS[label] not in terminal.screen()
    terminal.keys("Enter")


@pytest.mark.timeout(240)
def test_from_nothing_to_a_failover_seen_live(terminal, tmp_path, fake):
    terminal.sees("there are no accounts yet")
    terminal.keys("Tab")
    terminal.sees("a adds the first one")
    add(terminal, "work", "10", "2.50")
    terminal.sees("A master key for the new vault")
    terminal.types(MASTER_KEY)
    terminal.keys("Tab")
    terminal.types(MASTER_KEY)
    assert MASTER_KEY not in terminal.screen()
    terminal.keys("Enter")
    terminal.sees("its key is what you typed")
    add(terminal, "home", "1", "10")
    terminal.sees("2 accounts, 2 ready")
    assert not {*KEYS.values(), MASTER_KEY} & set(terminal.screen().split())

    terminal.keys("S")
    terminal.sees("the proxy serves at", 60)
    announced = tmp_path / "home" / "proxy.json"
    port = json.loads(announced.read_text())["port"]
    terminal.sees(f"● 127.0.0.1:{port}")
    pid = json.loads(announced.read_text())["pid"]
    if sys.platform == "linux":
        assert MASTER_KEY.encode() not in Path(f"/proc/{pid}/environ").read_bytes()
        assert MASTER_KEY.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()

    client = openai.OpenAI(api_key="sk-codex-manager", base_url=f"http://127.0.0.1:{port}/v1", max_retries=0)
    terminal.keys("3", "s")
    terminal.sees("a conversation stays with its account")
    terminal.keys("Down", "Down", "Enter")
    terminal.sees("strategy priority: the highest priority at hand")

    terminal.keys("1")
    models = ("gpt-5", "gpt-4o-mini", "gpt-5", "gpt-5-mini", "gpt-4.1", "gpt-5")
    fake.script(KEYS["work"], *[ok()] * (len(models) - 1), rate_limited(retry_after=45))
    for number, model in enumerate(models):  # the last one moves
        client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": "hello " * (number + 1) * 25_000}]
        )
    moved = terminal.sees("home: rate limited" if "home → work" in terminal.screen() else "work → home")
    assert "rate limited" in moved
    fake.always(None, ok("word " * 200, chunks=60, every=0.1))
    stream = threading.Thread(
        target=lambda: list(client.responses.create(model="gpt-5", input="slowly", stream=True)), daemon=True
    )
    stream.start()
    terminal.sees("answering")
    terminal.sees("kB")
    terminal.picture("live")
    terminal.keys("/")
    terminal.types("mini")
    terminal.sees("/mini")
    assert "chat/completions gpt-5 " not in terminal.screen()
    terminal.keys("Escape")

    terminal.keys("2")
    terminal.sees("limited")
    terminal.sees("back in")
    terminal.picture("accounts")
    terminal.keys("e")
    terminal.sees("Edit work")
    terminal.keys("End", "BSpace", "BSpace")
    terminal.types("3")
    terminal.keys("Enter")
    terminal.sees("changed 'work'")
    terminal.sees("priority     3, weight 1")

    terminal.keys("3", "[")
    terminal.sees("work → home")
    terminal.picture("routing")
    terminal.keys("/")
    terminal.types("→")
    terminal.keys("Enter", "Enter")
    shown = terminal.sees("-> 429 after")
    assert "2. home" in shown
    terminal.picture("story")
    terminal.keys("Escape", "4")
    terminal.sees("the last 24 hours")
    terminal.picture("usage")
    terminal.keys("5")
    terminal.sees("listening on")
    terminal.picture("log")

    stream.join(30)
    terminal.keys(":")
    terminal.sees("Search for commands")
    terminal.types("stop")
    terminal.sees("Stop the proxy")
    terminal.keys("Enter")
    terminal.sees("Requests under way may finish")
    terminal.keys("y")
    terminal.sees("the proxy was stopped after", 30)
    terminal.sees("no proxy")
    assert not announced.exists()
    everything = [path.read_bytes() for path in (tmp_path / "home").rglob("*") if path.is_file()]
    assert not any(secret.encode() in data for data in everything for secret in (*KEYS.values(), MASTER_KEY))
    terminal.keys("q")
    terminal.sees("status 0")
