"""What the views show, as plain values, and the one interface through which they get it.

Knows no textual, no vault and no proxy. Law: everything here is a value that never changes; whoever makes it may block, so it is asked
for beside the terminal's loop (`aside`). Times are Unix seconds, amounts US dollars.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol


__all__ = [
    "AccountLine", "Bar", "Conversation", "Figures", "Limit", "LogLine", "LogLines", "Measure", "ModelLine", "Overloaded", "Proxy",
    "RequestLine", "Routing", "Snapshot", "Source", "Span", "Thing", "Traffic", "VaultState",
]  # fmt: skip

type VaultState = Literal["open", "closed", "locked", "missing", "broken"]
"""`closed`: there is one, and nobody has given its key yet. `locked`: by `codex-manager vault lock`."""
type Span = Literal["hour", "day", "month"]
type Measure = Literal["account", "model", "client"]


@dataclass(frozen=True, slots=True)
class Limit:
    """One of an account's spending limits."""

    window: str
    """`day`, `month`, or a word of OpenAI's."""
    spent: float | None
    most: float


@dataclass(frozen=True, slots=True)
class ModelLine:
    """What an account has left for one model."""

    model: str
    state: str
    retry_at: float | None
    used: float | None
    """Share used of the tightest known limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountLine:
    """One account as it does now."""

    id: str
    label: str
    state: str | None
    """As `codex-manager status` says it; None where nobody knows."""
    reason: str = ""
    retry_at: float | None = None
    in_flight: int | None = None
    breaker: str = ""
    domain: str = ""
    requests_today: int | None = None
    today: float | None = None
    month: float | None = None
    limits: tuple[Limit, ...] = ()
    models: tuple[ModelLine, ...] = ()
    kept: Mapping[str, Any] | None = None
    """What the vault has of it (accounts.public), never a key; None while the vault is not open."""

    def limit(self, window: str) -> Limit | None:
        """Its limit for this window."""
        return next((each for each in self.limits if each.window == window), None)


@dataclass(frozen=True, slots=True)
class Overloaded:
    """A model that OpenAI could not serve a moment ago."""

    model: str
    until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """The proxy of this home, running."""

    address: str
    version: str = ""
    pid: int = 0
    uptime_s: float = 0.0
    strategy: str = ""
    switched_to: str = ""
    available: int = 0
    in_flight: int = 0
    waiting: int = 0
    locked: bool = False
    overloaded: tuple[Overloaded, ...] = ()
    conversations: int = 0
    things: int = 0
    clients: tuple[tuple[str, float], ...] = ()
    """Client keys with a limit: name, share used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """How it goes at one moment."""

    at: float
    proxy: Proxy | None = None
    """None: none runs, or it does not answer (then `trouble` says so)."""
    trouble: str = ""
    accounts: tuple[AccountLine, ...] = ()
    vault: VaultState = "missing"
    vault_says: str = ""
    """Why it is not open, a sentence."""
    strategy: str = ""
    """The configured one."""
    pinned: str = ""
    """Label of the account that everything is switched to."""
    blame: str = ""
    """Whose fault it is when something goes wrong; empty when nobody's."""
    requests_today: int | None = None
    errors_today: int = 0
    today: float | None = None
    notes: tuple[str, ...] = ()

    def account(self, account_id: str) -> AccountLine | None:
        """The account with this id."""
        return next((each for each in self.accounts if each.id == account_id), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLine:
    """One request, on its way or over. Everything that came from a client or OpenAI is made harmless already."""

    id: str
    time: float
    client: str = ""
    method: str = ""
    endpoint: str = ""
    model: str = ""
    account: str = ""
    by: str = ""
    """What decided: a strategy's name, `owner`, `home`, `switch` …; while it is on its way: `deciding`, `asked` or `answering`."""
    tried: tuple[tuple[str, str], ...] = ()
    """Account and what became of it, one for each attempt that came to nothing."""
    tries: int = 0
    status: int = 0
    failure: str = ""
    tokens_in: int | None = None
    tokens_out: int | None = None
    usd: float | None = None
    estimated: bool = False
    duration_s: float | None = None
    """None while it is on its way."""
    streamed: bool = False
    websocket: bool = False
    bytes: int | None = None
    """Of the answer so far, while it is on its way."""

    @property
    def running(self) -> bool:
        """Whether it is on its way."""
        return self.duration_s is None


@dataclass(frozen=True, slots=True)
class Traffic:
    """What is new since the last time."""

    over: tuple[RequestLine, ...] = ()
    """Requests that are over; any order, and some may have been told before."""
    running: tuple[RequestLine, ...] = ()
    missed: int = 0
    """Requests that were too many to be told one by one."""
    underway: int = 0
    """How many are on their way, also those that are not told."""
    recorded: bool = True
    """Whether requests are recorded at all (`metering.enabled`)."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """Where a conversation is at home."""

    session: str
    account: str
    detour: str
    seen: float


@dataclass(frozen=True, slots=True)
class Thing:
    """A file, stored response, batch … and whose it is."""

    id: str
    family: str
    account: str
    sure: bool
    seen: float


@dataclass(frozen=True, slots=True)
class Routing:
    """What decisions go by besides the accounts' state."""

    conversations: tuple[Conversation, ...] = ()
    things: tuple[Thing, ...] = ()
    decisions: tuple[RequestLine, ...] = ()


@dataclass(frozen=True, slots=True)
class Bar:
    """One hour, day or month; or an account, a model, a client."""

    name: str
    requests: int = 0
    errors: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    usd: float = 0.0
    start: float = 0.0


@dataclass(frozen=True, slots=True)
class Figures:
    """Usage over some hours, days or months, the oldest first, and who it was."""

    span: Span
    bars: tuple[Bar, ...] = ()
    by: Measure = "account"
    rows: tuple[Bar, ...] = ()
    zone: str = ""


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of the proxy's log."""

    number: int
    time: float
    level: str
    logger: str
    text: str


@dataclass(frozen=True, slots=True)
class LogLines:
    """What is new, and where it is from."""

    lines: tuple[LogLine, ...] = ()
    origin: str = ""
    fresh: bool = False
    """Whether what was told before is void."""


class Source(Protocol):
    """Each method may block, some seconds at most, and raises `CodexManagerError` or `OSError` when it cannot tell."""

    def snapshot(self) -> Snapshot:
        """How it goes now."""
        ...

    def traffic(self) -> Traffic:
        """Requests since the last question."""
        ...

    def routing(self) -> Routing:
        """Conversations, things, decisions."""
        ...

    def figures(self, span: Span, by: Measure) -> Figures:
        """Usage over the last 24 hours, 30 days or 12 months."""
        ...

    def log(self) -> LogLines:
        """Lines since the last question."""
        ...

    def story(self, request_id: str) -> Sequence[str]:
        """Why a request went where it went, a page for each answer; empty when it is not known."""
        ...
