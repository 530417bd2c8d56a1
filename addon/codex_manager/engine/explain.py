"""Words for a decision: why each account is out, and the answer a client gets when all of them are.

Law: every account is named by its label with its reason and its next time, and nothing of a key is ever in it. The table
of answers is that of semantics §3, "All blocked".
"""

from collections.abc import Sequence

from codex_manager.core import models
from codex_manager.core.openai_error import (
    INSUFFICIENT_QUOTA,
    MODEL_NOT_ALLOWED,
    NO_AVAILABLE_ACCOUNTS,
    NO_USABLE_ACCOUNT,
    RATE_LIMIT_EXCEEDED,
    VAULT_LOCKED,
    ErrorAnswer,
)
from codex_manager.core.routing import Facts, Obstacle, Reason, Refusal


__all__ = ["all_blocked", "locked", "no_accounts", "sentence", "span", "summary"]

WAITING_HELPS = frozenset({Obstacle.RATE, Obstacle.PROBING, Obstacle.EGRESS, Obstacle.PACE})
SOONEST_S = 0.5
"""A client is never told to come back sooner; the shortest cooling is as long."""

WORDS = {
    Obstacle.DISABLED: "disabled",
    Obstacle.MODEL_SCOPE: "not for this model ({detail})",
    Obstacle.UNUSABLE: "{detail}",
    Obstacle.AUTH_FAILED: "its key was refused ({detail})",
    Obstacle.BILLING: "out of credit",
    Obstacle.EGRESS: "this machine's address is rate limited",
    Obstacle.RATE: "rate limited",
    Obstacle.PROBING: "just being tried again",
    Obstacle.MODEL_ACCESS: "no access to this model",
    Obstacle.TRIED: "tried just now",
    Obstacle.PACE: "used a moment ago",
}


def sentence(reason: Reason, now: float) -> str:
    """`work: rate limited, again in 12s`."""
    words = WORDS[reason.obstacle].format(detail=reason.detail)
    when = ""
    if reason.until is not None and reason.until > now and reason.obstacle is not Obstacle.PROBING:
        when = f", again in {span(reason.until - now)}"
    return f"{reason.account.label}: {words}{when}"


def summary(reasons: Sequence[Reason]) -> str:
    """The same, short, for a flow's comment: `work rate, home auth_failed`."""
    return ", ".join(f"{reason.account.label} {reason.obstacle}" for reason in reasons)


def span(seconds: float) -> str:
    """How long, as people say it: `0.8s`, `12s`, `4m`, `1h 5m`."""
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    if seconds < 99.5:
        return f"{seconds:.0f}s"
    minutes = round(seconds / 60)
    return f"{minutes}m" if minutes < 60 else f"{minutes // 60}h {minutes % 60}m"


def locked() -> ErrorAnswer:
    return ErrorAnswer.of(VAULT_LOCKED, "The vault is locked.")


def no_accounts() -> ErrorAnswer:
    return ErrorAnswer.of(NO_AVAILABLE_ACCOUNTS, "There is no account yet.")


def all_blocked(refusal: Refusal, facts: Facts, now: float) -> ErrorAnswer:
    """The answer when no account can serve."""
    reasons = refusal.reasons
    kinds = {reason.obstacle for reason in reasons}
    each = "; ".join(sentence(reason, now) for reason in reasons)
    if kinds & WAITING_HELPS:
        soonest = min(r.until for r in reasons if r.obstacle in WAITING_HELPS and r.until is not None)
        text = f"Rate limit reached on all accounts. {each}."
        return ErrorAnswer.of(RATE_LIMIT_EXCEEDED, text, retry_after_s=max(soonest - now, SOONEST_S))
    if Obstacle.BILLING in kinds:
        return ErrorAnswer.of(INSUFFICIENT_QUOTA, f"No account with credit is left. {each}.")
    barred = [r for r in reasons if r.obstacle is Obstacle.MODEL_SCOPE]
    others = kinds - {Obstacle.MODEL_SCOPE, Obstacle.DISABLED}
    could = any(r.obstacle is Obstacle.DISABLED and models.allows(r.account.models, facts.model) for r in reasons)
    if barred and not others and not could:
        text = f"No account's model scope allows the model '{facts.model}'. {each}."
        return ErrorAnswer.of(MODEL_NOT_ALLOWED, text, param="model")
    return ErrorAnswer.of(NO_USABLE_ACCOUNT, f"No account can serve this request. {each}.")
