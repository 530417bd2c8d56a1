"""The endpoints that answer for ourselves: is the program alive, can it serve.

Knows two numbers, a reason and a word from the engine, a word from the ledger; knows no labels and no keys, because these need no key to read.
Law: GET and HEAD only; `/health` is always 200 (the program is alive), `/ready` is 503 while nothing can be served.
"""

from dataclasses import dataclass

from codex_manager import __version__
from codex_manager.core.openai_error import NO_AVAILABLE_ACCOUNTS, NO_USABLE_ACCOUNT, VAULT_LOCKED, error_body
from codex_manager.engine.messages import Answer
from codex_manager.proxy.answers import json_answer, plain_answer
from codex_manager.proxy.gate import LOCAL_PATHS, NO_CLIENT
from codex_manager.proxy.head import path_of


__all__ = ["Capacity", "local_answer", "only_reads"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """What could be served now."""

    accounts: int
    available: int
    """Of these, how many can serve now."""
    locked: bool
    """The vault is locked."""
    recording: str = "off"
    """Whether usage is written down: `ok`, `failing`, or `off`."""
    blame: str = "nobody"
    """Whose fault it is if something goes wrong: `OpenAI`, `network`, `account`, or `nobody`."""


def local_answer(
    method: str, target: str, capacity: Capacity, *, uptime_s: float, client: str = NO_CLIENT
) -> Answer | None:
    """The answer of one of our own paths; None for any other path. Who sends a valid key is told its own name."""
    path = path_of(target)
    if path not in LOCAL_PATHS:
        return None
    head = method == "HEAD"
    if (refusal := only_reads(method, path)) is not None:
        return refusal
    if path == "/ready":
        reason = _not_ready(capacity)
        if reason is not None:
            return json_answer(503, {"status": "not ready", "reason": reason}, head=head)
        return json_answer(200, {"status": "ready"}, head=head)
    document: dict[str, object] = {
        "status": "ok" if capacity.available > 0 and not capacity.locked else "degraded",
        "version": __version__,
        "accounts": capacity.accounts,
        "available": capacity.available,
        "uptime_seconds": int(uptime_s),
        "recording": capacity.recording,
        "blame": capacity.blame,
    }
    if client != NO_CLIENT:
        document["client"] = client
    return json_answer(200, document, head=head)


def only_reads(method: str, path: str) -> Answer | None:
    """What to say to a method that these paths do not have."""
    if method in {"GET", "HEAD"}:
        return None
    body = error_body(f"{path} answers GET and HEAD only.", type="invalid_request_error", code="method_not_allowed")
    return plain_answer(405, body, headers=((b"Allow", b"GET, HEAD"),))


def _not_ready(capacity: Capacity) -> str | None:
    if capacity.locked:
        return VAULT_LOCKED
    if capacity.accounts == 0:
        return NO_AVAILABLE_ACCOUNTS
    return NO_USABLE_ACCOUNT if capacity.available == 0 else None
