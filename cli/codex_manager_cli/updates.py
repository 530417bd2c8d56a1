"""Word of a newer release: at most once a day, on a terminal, and only where `updates.check` is true.

The package index is asked by a process of its own, after a command has ended (`updates_ask`), so that no command waits for
it; the next command tells what it learned. Law: where nobody asked for it nothing is read but the configuration's text,
nothing is started and nothing is written; and no trouble with it is ever a trouble of the command it follows.
"""

import contextlib
import json
import math
import os
import re
import subprocess
import sys
import time

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from codex_manager import __version__
from codex_manager.config.errors import ConfigError
from codex_manager.config.paths import Paths
from codex_manager_cli.talk import say


__all__ = ["DAY_S", "FILE", "VARIABLE", "Known", "is_newer", "read", "remind", "upgrade_command", "write"]

FILE = "updates.json"
VARIABLE = "CODEX_MANAGER__UPDATES__CHECK"
DAY_S = 86_400.0
RELEASE = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6}){0,3}")
"""A final release. Whatever else an index says is not believed, and never shown."""
KEPT_BACK = ("CAM_", "OPENAI_", "CODEX_")  # variables of ours and of clients; some of them are keys


@dataclass(frozen=True, slots=True)
class Known:
    """What was learned, and when. Times are seconds of the epoch; 0 is never."""

    asked: float = 0.0
    told: float = 0.0
    latest: str = ""


def remind(
    environ: Mapping[str, str] = os.environ,
    *,
    now: Callable[[], float] = time.time,
    start: Callable[[Path, Mapping[str, str]], None] | None = None,
) -> None:
    """Tell of a newer release, if one is known and today has not told of it; have the index asked, if today has not."""
    with contextlib.suppress(OSError, ConfigError):
        paths = Paths.locate(environ)
        if not paths.data_dir.is_dir() or not _wanted(paths, environ):
            return
        file, moment = paths.data_dir / FILE, now()
        known = read(file)
        if is_newer(known.latest, __version__) and not _within_a_day(known.told, moment):
            known = replace(known, told=moment)
            write(file, known)  # before it is said: what cannot be written would be said with every command
            say(f"{known.latest} is out, this is {__version__}; {upgrade_command(sys.prefix)}")
        if not _within_a_day(known.asked, moment):
            write(
                file, replace(known, asked=moment)
            )  # before it is asked: an index that is away is not asked at each command
            (start or _start)(file, environ)


def read(file: Path) -> Known:
    """What is known; a file that is missing or damaged knows nothing."""
    with contextlib.suppress(OSError, ValueError, TypeError, LookupError, OverflowError, RecursionError):
        found = json.loads(file.read_text(encoding="utf-8"))
        known = Known(float(found["asked"]), float(found["told"]), str(found["latest"]))
        if math.isfinite(known.asked + known.told) and (RELEASE.fullmatch(known.latest) or not known.latest):
            return known
    return Known()


def write(file: Path, known: Known) -> None:
    """Keep it, whole or not at all.

    Raises:
        ConfigError: the folder is not writable.
    """
    from codex_manager.config import storage

    storage.write(file, json.dumps(asdict(known)) + "\n")


def is_newer(release: str, than: str) -> bool:
    """Whether a final release comes after another version; what is no final release comes after nothing.

    A version with more to it than numbers (`0.2.0.dev1`) counts as the release it leads to.
    """
    own = re.match(RELEASE, than)
    if not RELEASE.fullmatch(release) or own is None:
        return False
    return _numbers(release) > _numbers(own[0])


def upgrade_command(prefix: str) -> str:
    """What installs the newer one where this one is installed, told by the folder it is in."""
    parts = {part.lower() for part in re.split(r"[\\/]", prefix)}
    if "cellar" in parts:
        return "`brew upgrade codex-manager` installs it"
    if "pipx" in parts:
        return "`pipx upgrade codex-manager` installs it"
    if {"uv", "tools"} <= parts:
        return "`uv tool upgrade codex-manager` installs it"
    return "`pip install --upgrade codex-manager` installs it"


def _numbers(release: str) -> tuple[int, ...]:
    numbers = [int(number) for number in release.split(".")]
    return tuple(numbers + [0] * (4 - len(numbers)))  # 1.2 is 1.2.0


def _within_a_day(then: float, now: float) -> bool:
    return 0 <= now - then < DAY_S  # a time to come is a clock that was set back


def _wanted(paths: Paths, environ: Mapping[str, str]) -> bool:
    """Whether `updates.check` is true. The key must be there before the schema, slow to load, is asked what it means."""
    if not environ.get(VARIABLE):
        text = paths.config_file.read_text(encoding="utf-8", errors="replace")
        if not re.search(r"""^[^#\n]*\bcheck["']?\s*:""", text, re.MULTILINE):
            return False
    from codex_manager.config import load

    return load.load(paths, environ).updates.check


def _start(file: Path, environ: Mapping[str, str]) -> None:
    """Have the index asked by a process that nobody waits for, which gets no key of anybody's."""
    asking = subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-m", "codex_manager_cli.updates_ask", str(file)],
        env={name: value for name, value in environ.items() if not name.upper().startswith(KEPT_BACK)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
    )
    asking.returncode = 0  # nobody waits for it, and Python need not complain of that
