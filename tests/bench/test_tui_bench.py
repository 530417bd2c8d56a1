"""What the terminal's page costs the proxy it looks at, and how fast it answers keys while a thousand requests a second go by."""

import contextlib
import fcntl
import os
import pty
import statistics
import struct
import subprocess
import sys
import termios
import threading
import time

import pytest

from tests.bench.compare import ROOT, Target, cores, load, ours, upstream
from tests.bench.process import cpu_seconds, pin, rounds
from tests.cli.tui.stage import Staged, a_request
from tests.support import MASTER_KEY, make_home

from codex_manager_cli.tui.source import Traffic


ROUNDS = rounds(9)
SECONDS = 3.0
A_SECOND = 1000


class Busy(Staged):
    """A thousand requests a second: each question is told what came since the last one, no more than a proxy tells at once."""

    def __init__(self):
        super().__init__()
        self.asked, self.number = time.monotonic(), 0

    def traffic(self):
        now = time.monotonic()
        came = int((now - self.asked) * A_SECOND)
        self.asked = now
        self.number += came
        told = min(came, 100)
        at = time.time()
        over = tuple(a_request(f"{self.number - i:032x}", time=at - i / A_SECOND) for i in range(told))
        return Traffic(over, tuple(a_request(f"r{i}", time=at, duration_s=None) for i in range(16)), came - told, 16)


BUSY = "from tests.bench.test_tui_bench import Busy; from tests.cli.tui.stage import page; page(Busy()).run()"


class OnATerminal:
    """A program on a terminal of its own; everything it writes is read at once."""

    def __init__(self, program, size, environ, core=None):
        screen, keyboard = pty.openpty()
        fcntl.ioctl(keyboard, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        self.child = subprocess.Popen(
            [sys.executable, "-c", program], env={**os.environ, "TERM": "xterm-256color", **environ}, cwd=ROOT, stdin=keyboard,
            stdout=keyboard, stderr=keyboard, start_new_session=True, preexec_fn=lambda: pin(core),
        )  # fmt: skip
        os.close(keyboard)
        self.screen, self.seen, self.arrived = screen, bytearray(), threading.Condition()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        with contextlib.suppress(OSError):
            while data := os.read(self.screen, 1 << 16):
                with self.arrived:
                    self.seen.extend(data)
                    self.arrived.notify_all()

    def answers(self, key, words):
        """Seconds from the key to the words."""
        with self.arrived:
            self.seen.clear()
            began = time.perf_counter()
            os.write(self.screen, key)
            assert self.arrived.wait_for(lambda: words in self.seen, 20), bytes(self.seen[-3000:])
            return time.perf_counter() - began

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            os.write(self.screen, b"q")
        try:
            self.child.wait(20)
        except subprocess.TimeoutExpired:
            self.child.kill()
        os.close(self.screen)
        self.reader.join(5)


@pytest.mark.bench
@pytest.mark.timeout(200)
def test_how_fast_a_key_is_answered_under_a_thousand_requests_a_second(capsys):
    """On a real terminal, from the key to what it does to the screen; the aim is 100 ms."""
    lines = []
    for size in ((80, 24), (160, 50)):
        with OnATerminal(BUSY, size, {"PYTHONPATH": str(ROOT)}) as terminal:
            terminal.answers(b"", b"a second")
            time.sleep(2)
            taken: dict[str, list[float]] = {"p": [], "2": [], "?": [], "1": []}
            steps = (
                ("p", b"PAUSED"),
                ("p", b"on their way"),
                ("2", b"test key"),
                ("?", b"Accounts: keys"),
                ("1", b"on their way"),
            )
            for _ in range(20):
                for key, words in steps:
                    taken[key].append(terminal.answers(key.encode(), words) * 1000)
                    time.sleep(0.037)  # so that keys come at all moments of the page's rhythm
                    if key == "?":
                        os.write(terminal.screen, b"q")
                        time.sleep(0.3)
            before = cpu_seconds(terminal.child.pid)
            time.sleep(3)
            used = (cpu_seconds(terminal.child.pid) - before) / 3
            whole = [each for times in taken.values() for each in times]
            told = f"all keys {statistics.median(whole):.0f} ms; " + ", ".join(
                f"{key} {statistics.median(each):.0f} ms ({max(each):.0f} at most)" for key, each in taken.items()
            )
            lines.append(
                f"{size[0]}x{size[1]} at {A_SECOND:,} requests a second: {told}; {used:.0%} of a core (aim: 100 ms)"
            )
    with capsys.disabled():
        print("\n" + "\n".join(lines))


@contextlib.contextmanager
def looking(home, words, *, core):
    """The real page over this home; it shows requests as they are routed."""
    program = "from codex_manager_cli.main import main; main()"
    with OnATerminal(
        program, (160, 50), {"CODEX_MANAGER_HOME": str(home), "CAM_MASTER_KEY": MASTER_KEY}, core
    ) as terminal:
        terminal.answers(b"", words)
        yield
        assert terminal.child.poll() is None


def per_second(pid):
    """Milliseconds of CPU that a process uses in a second."""
    before = cpu_seconds(pid)
    time.sleep(6)
    return (cpu_seconds(pid) - before) / 6 * 1000


@pytest.mark.bench
@pytest.mark.timeout(500)
def test_what_the_page_costs_the_proxy(tmp_path, capsys):
    """The same proxy at full load on a core of its own, in turns with a page that looks at it and one that looks at another home.

    Page and load share a core, so the load is another with a page than without; what asking costs is the difference between the
    two pages. The aim is 3 %.
    """
    load_core, proxy_core = cores()
    with upstream(load_core) as port, ours(tmp_path, port, proxy_core) as proxy:
        elsewhere, watched = (Target(name, proxy.port, proxy.pid) for name in ("elsewhere", "watched"))
        pages = {
            "elsewhere": (make_home(tmp_path / "another").path, b"no proxy"),
            "watched": (tmp_path / proxy.name, b"in flight"),
        }

        def round_of(target):
            home, words = pages[target.name]
            with looking(home, words, core=load_core):
                result = load(target, "requests", load_core, "--concurrency", 16, "--seconds", SECONDS)
            target.note("16", **{name: result[name] for name in ("rate", "cpu_per_1000")})

        load(elsewhere, "requests", load_core, "--concurrency", 16, "--seconds", 1)
        for number in range(ROUNDS):
            for target in (elsewhere, watched) if number % 2 == 0 else (watched, elsewhere):
                round_of(target)
        idle = [per_second(proxy.pid)]
        with looking(*pages["watched"], core=load_core):
            idle.append(per_second(proxy.pid))
    costs = [
        b / a - 1
        for a, b in zip(elsewhere.figures["16"]["cpu_per_1000"], watched.figures["16"]["cpu_per_1000"], strict=True)
    ]
    with capsys.disabled():
        print(
            f"\nCPU for 1,000 requests: not looked at {elsewhere.median('16', 'cpu_per_1000'):.3f} s,"
            f" looked at {watched.median('16', 'cpu_per_1000'):.3f} s; median of {ROUNDS} pairs {statistics.median(costs):+.1%} (aim: 3 %)"
            f"\nwithout load: {idle[0]:.0f} ms of CPU a second not looked at, {idle[1]:.0f} ms looked at"
            f"\nrequests a second: {elsewhere.median('16', 'rate'):.0f}, {watched.median('16', 'rate'):.0f}"
        )
