"""Asks the proxy that runs on this home about itself, on its own pages (`/codex-manager/api/v1/…`).

Knows the announcement and the token beside it (config.presence). Law: the token goes to the announced address on this machine and
nowhere else: no proxy of the environment, no redirect. Nothing waits for longer than `ANSWER_S`.
"""

import http.client
import json

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final, Self

from codex_manager.config import presence
from codex_manager.config.address import Address, is_wildcard
from codex_manager_cli.talk import UserError


__all__ = ["Attempt", "Finished", "Line", "Log", "LogLine", "Requests", "Running", "Told", "UnderWay", "ask"]

ANSWER_S: Final = 5.0  # a page is made in a millisecond; a machine under load takes its time
MOST_BYTES: Final = 16 << 20  # 4,096 models an account are some 400 KB


@dataclass(frozen=True, slots=True)
class Told:
    """What a proxy said."""

    address: Address
    document: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of a request that is over."""

    account: str
    by: str | None
    """What decided for this account; words for it are in `core.telling.reasons`."""
    status: int | None
    failure: str | None


@dataclass(frozen=True, slots=True)
class Finished:
    """A request that is over, or, with `attempt_of`, an attempt of one that came to nothing."""

    number: int
    id: str
    time: str
    """When it came; UTC, RFC 3339."""
    client: str
    method: str
    endpoint: str
    model: str | None
    streamed: bool
    websocket: bool
    account: str | None
    account_id: str | None
    by: str | None
    strategy: str | None
    status: int | None
    failure: str | None
    attempts: tuple[Attempt, ...]
    duration_s: float
    first_byte_s: float | None
    input_tokens: int | None
    cached_tokens: int | None
    output_tokens: int | None
    cost_usd: float
    estimated: bool
    attempt_of: str | None


@dataclass(frozen=True, slots=True)
class Requests:
    """What has ended since the proxy was asked first, or since the number given."""

    number: int
    """Of the last one; ask for what comes after it."""
    missed: int
    """Others that ended meanwhile and are not among these."""
    since: str
    """From when on they are kept; UTC, RFC 3339. Nothing is kept half a minute after the last question."""
    recorded: bool
    """False: usage is not counted (`metering.enabled`), so there are none."""
    requests: tuple[Finished, ...]
    """The oldest first."""


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A request on its way."""

    id: str
    since: str
    seconds: float
    client: str
    method: str
    endpoint: str
    model: str | None
    stage: str
    """`deciding`, `asked`, `answering`."""
    account: str | None
    """Whom the last attempt went to."""
    account_id: str | None
    attempts: int
    status: int | None
    """Once an answer is on its way."""
    streamed: bool
    websocket: bool
    bytes: int
    """Of the answer's body, so far."""


@dataclass(frozen=True, slots=True)
class Running:
    """What is on its way now."""

    count: int
    requests: tuple[UnderWay, ...]
    """The oldest first; no more than were asked for."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of the log."""

    number: int
    time: str
    level: str
    logger: str
    message: str


@dataclass(frozen=True, slots=True)
class Log:
    """The last lines of the log, or those after the number given."""

    number: int
    missed: int
    lines: tuple[LogLine, ...]


class Line:
    """A connection to the proxy that is kept, for somebody who asks again and again; `with` closes it.

    Mutable state: the connection and to whom it leads. Not for two threads at a time. All methods raise `UserError` when a proxy is
    announced and does not answer, and give None when none is announced.
    """

    def __init__(self, data_folder: Path, *, patience_s: float = ANSWER_S) -> None:
        self._folder = data_folder
        self._patience_s = patience_s
        self._running: presence.RunningProxy | None = None
        self._connection: http.client.HTTPConnection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def status(self) -> dict[str, Any] | None:
        """The document of `status` (docs/status.md); names and order stay."""
        told = self.ask("status")
        return None if told is None else told.document

    def running(self, limit: int = 200) -> Running | None:
        """What is on its way now."""
        told = self.ask(f"running?limit={limit}")
        if told is None:
            return None
        document = told.document
        return _made(lambda: Running(document["count"], tuple(_of(UnderWay, each) for each in document["requests"])))

    def requests(self, after: int = 0, limit: int = 200) -> Requests | None:
        """What has ended after the one of this number, of that the newest; the first question gets none."""
        told = self.ask(f"requests?after={after}&limit={limit}")
        if told is None:
            return None
        document = told.document
        return _made(
            lambda: Requests(
                document["number"],
                document["missed"],
                document["since"],
                document["recorded"],
                tuple(_finished(each) for each in document["requests"]),
            )
        )

    def log(self, after: int = 0, limit: int = 500) -> Log | None:
        """The lines after the one of this number, of those the newest."""
        told = self.ask(f"log?after={after}&limit={limit}")
        if told is None:
            return None
        document = told.document
        return _made(
            lambda: Log(document["number"], document["missed"], tuple(_of(LogLine, each) for each in document["lines"]))
        )

    def ask(self, page: str) -> Told | None:
        """A page of the proxy that runs on this home; None when none is announced.

        Raises:
            UserError: one is announced, and does not answer.
        """
        running = presence.running(self._folder)
        if running != self._running:
            self.close()
            self._running = running
        if running is None:
            return None
        address = _address(running)
        token = presence.token(self._folder)
        if token is None:
            raise UserError(
                f"the proxy at {address} left no token in {self._folder / presence.TOKEN_FILE}",
                hint="was it started by an older version? start it again",
            )
        status, body = self._get(address, f"/codex-manager/api/v1/{page}", token.reveal())
        if presence.running(self._folder) is None:
            return None  # it ended meanwhile
        if status == 404:
            raise UserError(
                f"the proxy at {address} has no such page, or another token than {self._folder / presence.TOKEN_FILE}",
                hint="start it again; it may be of another version",
            )
        try:
            document = json.loads(body)
        except ValueError:
            document = None
        if status != 200 or not isinstance(document, dict):
            raise _strange(address)
        return Told(address, document)

    def close(self) -> None:
        """Hang up; the next question calls again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _get(self, address: Address, path: str, token: str) -> tuple[int, bytes]:
        """Status and body; 0 when there was no answer. A connection that was kept may have been closed by the other end."""
        was_kept = self._connection is not None
        connection = self._connection or http.client.HTTPConnection(
            address.host, address.port, timeout=self._patience_s
        )
        self._connection = connection
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
            answer = connection.getresponse()
            return answer.status, answer.read(MOST_BYTES)
        except TimeoutError:
            self.close()
            return 0, b""
        except (OSError, http.client.HTTPException):
            self.close()
            return self._get(address, path, token) if was_kept else (0, b"")


def ask(data_folder: Path, page: str) -> Told | None:
    """One page, once; as `Line.ask`."""
    with Line(data_folder) as line:
        return line.ask(page)


def _address(running: presence.RunningProxy) -> Address:
    """Where it can be asked from this machine."""
    host = running.host
    if is_wildcard(host):
        host = "::1" if ":" in host else "127.0.0.1"
    return Address(host, running.port)


def _finished(told: dict[str, Any]) -> Finished:
    attempts = tuple(_of(Attempt, each) for each in told["attempts"])
    return _of(Finished, {**told, "attempts": attempts})


def _of[T](kind: type[T], told: dict[str, Any]) -> T:
    """What a newer version says besides is left out."""
    return kind(**{field.name: told[field.name] for field in fields(kind)})  # type: ignore[arg-type]  # they are dataclasses


def _made[T](make: Callable[[], T]) -> T:
    try:
        return make()
    except (KeyError, TypeError) as error:
        raise UserError(
            "the proxy is of another version: its pages say other things than this program expects",
            hint="start it again: `codex-manager restart`",
        ) from error


def _strange(address: Address) -> UserError:
    return UserError(f"the proxy at {address} does not answer as it should", hint="its log says more")
