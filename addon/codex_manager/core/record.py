"""One request as it is remembered: what came, who was asked, what it used, what it cost.

The engine writes one when a request is over; the ledger keeps it, `/metrics` counts it, `usage` and `explain` read it.
Plain values only, never a secret, never a word of what was asked or answered.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from codex_manager.core.pricing import ZERO
from codex_manager.core.usage import Usage
from codex_manager.core.value import value


__all__ = ["Attempt", "Record", "Reservation"]


@value(frozen=True, slots=True)
class Attempt:
    """One try with one account."""

    account_id: str
    label: str
    began_s: float
    """Seconds since the request came."""
    took_s: float
    """Until the answer's headers, or until it failed."""
    status: int
    """The upstream's; 0 when there was none."""
    failure: str = ""
    """The class (core.failure.FailureClass) when it failed."""
    code: str = ""
    """The upstream's own word for it."""
    by: str = ""
    """What decided for this account: a strategy's name, `switch`, `only`, `owner`, `affinity` …"""
    out: tuple[tuple[str, str, str, float | None], ...] = ()
    """Against the others at that moment: (account id, obstacle, detail, Unix time of its end)."""


@dataclass(slots=True, kw_only=True)
class Record:
    """Times in seconds, `time` in Unix seconds."""

    id: str
    """Our request id; the client reads it in `X-Codex-Manager-Request-Id`."""
    time: float
    """When the request came."""
    client: str
    """Name of the local key."""
    method: str
    endpoint: str
    """What is asked, without ids: `chat/completions`, `responses`, `files`."""
    model: str | None = None
    account_id: str | None = None
    """Whose answer the client got; None for one of our own."""
    account: str | None = None
    """Its label at that time."""
    domain: str | None = None
    status: int = 0
    failure: str = ""
    """Class of the failure the client saw, `gone` when it left, our own error's code for a refusal; empty when all went well."""
    streamed: bool = False
    websocket: bool = False
    attempts: tuple[Attempt, ...] = ()
    strategy: str = ""
    session: str | None = None
    duration_s: float = 0.0
    first_byte_s: float | None = None
    """Time to the first byte of the answer's body (a stream's first event)."""
    usage: Usage | None = None
    """None when the endpoint reports none."""
    cost: Decimal = ZERO
    estimated: bool = False
    """The usage is not the upstream's own: aborted, cut, or it said none."""
    priced: bool = True
    """False when the model's price was not known."""
    object_id: str | None = None
    """Id of what was made, where its usage comes later (`resp_…` in the background, `batch_…`)."""
    open: bool = False
    """Its usage comes later; what is booked is an estimate until then."""
    detail: dict[str, Any] = field(default_factory=dict)
    """More for `explain`, as JSON allows."""


@value(frozen=True, slots=True)
class Reservation:
    """Money set aside for a request that is on its way. What a crash leaves of them is booked as spent, estimated."""

    id: str
    """The request's id, with the attempt's number if it is not the first."""
    time: float
    account_id: str
    account: str
    client: str
    endpoint: str
    model: str | None
    usd: Decimal
