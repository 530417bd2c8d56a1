"""Whose fault is it: OpenAI's, an account's, or your network's? The answer for `status`, `/health` and people.

How it is found, first match wins. *network*: this machine's address is limited, or connections could not be made (no account can
help against that). *OpenAI*: accounts of two organizations got errors or no answer within the last minute, or the only one in use did.
*account*: nothing of that, but accounts are limited, without credit, refused, or failing where others are not. Nobody: all is well.

Law: read only; says only what the state shows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from codex_manager.core.cooling import Phase
from codex_manager.core.incident import Cause


if TYPE_CHECKING:
    from codex_manager.engine.engine import Engine
    from codex_manager.engine.report import AccountReport


__all__ = ["NOBODY", "Blame", "blame"]

type Who = Literal["OpenAI", "network", "account", "nobody"]

TROUBLE: Final = ("auth_failed", "billing", "failing", "limited", "spent", "unusable")
"""States of an account that are its own; in the order in which they are told."""
MOST_NAMED: Final = 3


@dataclass(frozen=True, slots=True)
class Blame:
    """`who` is safe to show to anybody; `why` may name accounts by their labels."""

    who: Who
    why: str
    """A sentence without a full stop; empty when there is nobody to blame."""
    accounts: tuple[str, ...] = ()
    """Labels of the accounts to blame."""


NOBODY: Final = Blame("nobody", "")


def blame(engine: "Engine", accounts: "Sequence[AccountReport]", now: float) -> Blame:
    """Who is to blame for what goes wrong right now; `now` is monotonic."""
    state = engine.state
    used = [account for account in accounts if account.state != "disabled"]
    domains = {account.domain for account in used}
    origins = {candidate.origin for candidate in engine.candidates if candidate.account.enabled}
    for name in origins:
        origin = state.origins.get(name)
        if origin is not None and origin.cooling.phase(now) is Phase.RESTING:
            return Blame("network", f"{name} limits this machine's address, whichever account asks")
    if state.incidents.lately(Cause.NETWORK, now) & domains:
        return Blame("network", "connections to OpenAI could not be made within the last minute")
    failing = state.incidents.lately(Cause.OPENAI, now) & domains
    if len(failing) >= 2:
        return Blame("OpenAI", f"accounts of {len(failing)} projects got errors or no answer within the last minute")
    if failing and len(domains) == 1:
        return Blame(
            "OpenAI", "it answered with errors, or not at all, within the last minute, as far as one project can tell"
        )
    guilty = sorted((each for each in used if _is_guilty(each, failing)), key=_order)
    if not guilty:
        return NOBODY
    named = [f"{each.label}: {each.reason or 'it fails where others do not'}" for each in guilty[:MOST_NAMED]]
    if len(guilty) > MOST_NAMED:
        named.append(f"and {len(guilty) - MOST_NAMED} more")
    return Blame("account", "; ".join(named), tuple(each.label for each in guilty))


def _is_guilty(account: "AccountReport", failing: frozenset[str]) -> bool:
    return account.state in TROUBLE or account.domain in failing


def _order(account: "AccountReport") -> int:
    return TROUBLE.index(account.state) if account.state in TROUBLE else len(TROUBLE)
