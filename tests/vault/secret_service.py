"""A real Secret Service for tests: gnome-keyring on a D-Bus session of its own, in the test's temporary home.

CI installs both; where they are missing the tests that need them are skipped, unless CODEX_MANAGER_REQUIRE_KEYRING=1
says that they must not be.
"""

import os
import shutil
import subprocess
import sys
import textwrap

import pytest


NEEDED = ("dbus-run-session", "gnome-keyring-daemon")
PRELUDE = """
import os
from pathlib import Path
from codex_manager.core.secret import Secret
from codex_manager.core.errors import CodexManagerError
from codex_manager.vault import *
from codex_manager.vault.oskeyring import Keyring
path = Path(os.environ["CODEX_MANAGER_HOME"]) / "vault.db"
def tell(function, *args, **named):
    try:
        print(function(*args, **named))
    except CodexManagerError as error:
        print(type(error).__name__, "|", error, "|", error.hint)
"""
UNLOCKED = "printf %s pw | gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1"
STILL_LOCKED = "gnome-keyring-daemon --start --components=secrets </dev/null >/dev/null 2>&1"


def python(code, **env):
    """One process without a session bus; what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + textwrap.dedent(code)],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def session(*steps, start=UNLOCKED):
    """Each step in a process of its own, all in one session with one keyring; what each printed."""
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing:
        if os.environ.get("CODEX_MANAGER_REQUIRE_KEYRING") == "1":
            pytest.fail(f"not installed: {', '.join(missing)}")
        pytest.skip(f"not installed: {', '.join(missing)}")
    runs = "; ".join(f'"$PYTHON" -c "$STEP{n}" || echo FAILED; echo "<<end>>"' for n in range(len(steps)))
    environment = {f"STEP{n}": PRELUDE + textwrap.dedent(step) for n, step in enumerate(steps)}
    done = subprocess.run(
        ["dbus-run-session", "--", "sh", "-c", f"{start}; {runs}"],
        env={**os.environ, **environment, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    said = [part.strip() for part in done.stdout.split("<<end>>")[:-1]]
    assert len(said) == len(steps), done.stderr
    assert "FAILED" not in said, done.stderr
    return said
