"""`proxy.json`: how the proxy that runs on this home lets other processes find it.

One proxy of a home is announced, the first; further ones serve just as well but are not found until it has ended. The announcement
holds as long as its lock is held (`proxy.lock`), so a file left by a process that was killed is seen for what it is. What lets
a command ask the proxy about itself is a token of this run, in a file of its own (`proxy.token`).
Law: the files are written whole, readable by their owner only, before anybody may rely on them; the announcement holds no
secret, and the token opens nothing but the proxy's own pages.
"""

import contextlib
import json
import time

from dataclasses import asdict, dataclass
from pathlib import Path

from codex_manager.config import lock, storage
from codex_manager.core.secret import Secret


__all__ = [
    "FILE",
    "STOP_FILE",
    "TOKEN_FILE",
    "Presence",
    "RunningProxy",
    "announce",
    "ask_to_stop",
    "is_asked_to_stop",
    "running",
    "token",
]

FILE = "proxy.json"
STOP_FILE = "proxy.stop"
TOKEN_FILE = "proxy.token"  # noqa: S105 - its name
LOCK = "proxy.lock"
PATIENCE_S = 0.3  # somebody who looks holds the lock for microseconds; only a living proxy holds it longer


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningProxy:
    """What is told of a proxy."""

    pid: int
    host: str
    """Where it is bound; may be a wildcard address."""
    port: int
    version: str
    started: str
    """UTC, RFC 3339."""
    for_commands: bool = False
    """It was started by `codex-manager run` and ends with the last command that uses it."""
    detached: bool = False
    """It runs in the background: nobody sits at its terminal."""
    service: bool = False
    """Whoever started it starts it again when it ends."""
    web: str = ""
    """`host:port` of its page; empty when it has none."""
    log: str = ""
    """The file its log is written to; empty when it is not."""
    arguments: tuple[str, ...] = ()
    """With these it can be started again as it is."""


class Presence:
    """The announcement of this process. Mutable state: the lock, while announced."""

    def __init__(self, folder: Path, proxy: RunningProxy, held: lock.Lock) -> None:
        self._folder = folder
        self._proxy = proxy
        self._held: lock.Lock | None = held

    def withdraw(self) -> None:
        """Be found no more; safe to call twice."""
        held, self._held = self._held, None
        if held is not None:
            with contextlib.suppress(OSError):  # a file that stays is stale, and known to be: its lock is free
                (self._folder / FILE).unlink(missing_ok=True)
                (self._folder / TOKEN_FILE).unlink(missing_ok=True)
            held.release()

    def __repr__(self) -> str:
        return f"<Presence {self._proxy.host}:{self._proxy.port} {'withdrawn' if self._held is None else 'announced'}>"


def announce(folder: Path, proxy: RunningProxy, control: Secret | None = None) -> Presence | None:
    """Announce this process in the data folder; None when another living proxy is announced there.

    `control` is the token for the proxy's own pages.

    Raises:
        ConfigError, OSError: the folder cannot be written.
    """
    deadline = time.monotonic() + PATIENCE_S
    while (held := lock.take(folder / LOCK)) is None:
        if time.monotonic() >= deadline:
            return None
        time.sleep(0.01)
    try:
        (folder / FILE).unlink(missing_ok=True)  # of one that was killed: from now on the lock would vouch for it
        if control is not None:
            storage.write(folder / TOKEN_FILE, control.reveal() + "\n")
        storage.write(folder / FILE, json.dumps(asdict(proxy)) + "\n")
    except BaseException:
        held.release()
        raise
    return Presence(folder, proxy, held)


def running(folder: Path) -> RunningProxy | None:
    """The proxy announced in the data folder, if it is alive. Whether it answers is for the caller to find out."""
    try:
        document = json.loads((folder / FILE).read_bytes())
        if not lock.is_held(folder / LOCK):
            return None
    except (OSError, ValueError):  # not there, not readable, not JSON: nobody that could be relied on
        return None
    return _parse(document)


def token(folder: Path) -> Secret | None:
    """What opens the own pages of the proxy that is announced; None where it left none."""
    try:
        text = (folder / TOKEN_FILE).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None
    return Secret(text) if text else None


def ask_to_stop(folder: Path) -> None:
    """Ask the proxy that is announced to stop, without a signal. Whether it listens is for it to decide.

    Raises:
        ConfigError: the folder cannot be written.
    """
    if (known := token(folder)) is not None:
        storage.write(folder / STOP_FILE, known.reveal() + "\n")


def is_asked_to_stop(folder: Path, token: Secret) -> bool:
    """Whether somebody who knows this token has asked so; they are asked to ask again if they mean it twice."""
    path = folder / STOP_FILE
    try:
        asked = Secret(path.read_text(encoding="ascii").strip()) == token
        path.unlink(missing_ok=True)
    except (OSError, ValueError):
        return False
    return asked


def _parse(document: object) -> RunningProxy | None:
    match document:
        case {"pid": int(pid), "host": str(host), "port": int(port), "version": str(version), "started": str(started)}:
            if not (pid > 0 and 0 < port < 65536):
                return None
            more = document if isinstance(document, dict) else {}
            arguments = more.get("arguments")
            return RunningProxy(
                pid=pid,
                host=host,
                port=port,
                version=version,
                started=started,
                for_commands=more.get("for_commands") is True,
                detached=more.get("detached") is True,
                service=more.get("service") is True,
                web=_text(more.get("web")),
                log=_text(more.get("log")),
                arguments=tuple(map(_text, arguments)) if isinstance(arguments, list) else (),
            )
    return None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
