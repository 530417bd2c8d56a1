"""Words for a decision: why each account is out, and the answer a client gets when all of them are.

Law: every account is named by its label with its reason and its next time, and nothing of a key is ever in it. The table
of answers is that of semantics §3, "All blocked".
"""

import re
import shlex

from collections.abc import Sequence
from typing import Final

from codex_manager.core import models
from codex_manager.core.account import Account
from codex_manager.core.allowance import Shortage
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


__all__ = [
    "MONEY",
    "WAITING_HELPS",
    "all_blocked",
    "client_model",
    "client_spent",
    "locked",
    "no_accounts",
    "sentence",
    "span",
    "summary",
    "widened",
]

MONEY = frozenset({Obstacle.BILLING, Obstacle.SPENDING})
"""Obstacles of accounts that would serve if they might cost something."""
WAITING_HELPS = frozenset({Obstacle.RATE, Obstacle.PROBING, Obstacle.EGRESS, Obstacle.PACE})
SOONEST_S = 0.5
"""A client is never told to come back sooner; the shortest cooling is as long."""

WORDS = {
    Obstacle.OWNER: "{detail}",
    Obstacle.DISABLED: "disabled",
    Obstacle.MODEL_SCOPE: "not for this model ({detail})",
    Obstacle.UNUSABLE: "{detail}",
    Obstacle.AUTH_FAILED: "its key was refused ({detail})",
    Obstacle.BILLING: "out of credit",
    Obstacle.SPENDING: "{detail}",
    Obstacle.EGRESS: "this machine's address is rate limited",
    Obstacle.RATE: "rate limited",
    Obstacle.PROBING: "just being tried again",
    Obstacle.MODEL_ACCESS: "no access to this model",
    Obstacle.TRIED: "tried just now",
    Obstacle.PACE: "used a moment ago",
}
PLAIN_MODEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,99}")
"""The model is the client's word: only what is harmless in every shell is put into a command to be copied."""
MOST_COMMANDS: Final = 3
ACCOUNTS_CAUSE: Final = "The cause lies with these accounts, neither with OpenAI nor with your network."
EGRESS_CAUSE: Final = "The cause is your network's address, so no account can help."
RAISE_ACCOUNT: Final = "`codex-manager usage` shows what was spent; `codex-manager edit LABEL --daily-limit USD --monthly-limit USD` changes limits."
RAISE_CLIENT: Final = "`codex-manager usage --by client` shows what was spent; `codex-manager keys edit NAME --daily-limit USD --monthly-limit USD` changes limits."


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
    """How long, as people say it: `0.8s`, `12s`, `4m`, `1h 5m`, `12d 3h`."""
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    if seconds < 99.5:
        return f"{seconds:.0f}s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes}m"
    if minutes < 48 * 60:
        return f"{minutes // 60}h {minutes % 60}m"
    hours = round(minutes / 60)
    return f"{hours // 24}d {hours % 24}h"


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
        cause = EGRESS_CAUSE if Obstacle.EGRESS in kinds else ACCOUNTS_CAUSE
        return ErrorAnswer.of(RATE_LIMIT_EXCEEDED, text, retry_after_s=max(soonest - now, SOONEST_S), cure=cause)
    if Obstacle.SPENDING in kinds:
        return _spent(reasons, each, billing=Obstacle.BILLING in kinds)
    if Obstacle.BILLING in kinds:
        return ErrorAnswer.of(INSUFFICIENT_QUOTA, f"No account with credit is left. {each}.")
    barred = [r for r in reasons if r.obstacle is Obstacle.MODEL_SCOPE]
    others = kinds - {Obstacle.MODEL_SCOPE, Obstacle.DISABLED}
    could = any(r.obstacle is Obstacle.DISABLED and models.allows(r.account.models, facts.model) for r in reasons)
    if barred and not others and not could:
        text = f"No account's model scope allows the model '{facts.model}'. {each}."
        commands = [c for r in barred if (c := widened(r.account, facts.model))][:MOST_COMMANDS]
        cure = f"To allow it: {' or '.join(commands)}." if commands else None
        return ErrorAnswer.of(MODEL_NOT_ALLOWED, text, param="model", cure=cure)
    return ErrorAnswer.of(NO_USABLE_ACCOUNT, f"No account can serve this request. {each}.")


def client_spent(client: str, shortage: Shortage) -> ErrorAnswer:
    """The answer when a local key has reached its limit."""
    text = f"The local key '{client}' may spend no more for now: {shortage.detail}."
    return ErrorAnswer.of(INSUFFICIENT_QUOTA, text, cure=RAISE_CLIENT)


def client_model(client: str, model: str | None, scope: Sequence[str]) -> ErrorAnswer:
    """The answer when a local key may not use the model."""
    text = f"The local key '{client}' may not use the model '{model}', only: {', '.join(scope)}."
    cure = f"`codex-manager keys edit {shlex.quote(client)} --models …` changes that."
    return ErrorAnswer.of(MODEL_NOT_ALLOWED, text, param="model", cure=cure)


def _spent(reasons: Sequence[Reason], each: str, *, billing: bool) -> ErrorAnswer:
    if billing:
        text = "No account with credit and within its spending limit is left."
    elif all(r.shortage is None or r.shortage.is_reached for r in reasons):
        text = "Every account that could serve has reached its spending limit."
    else:
        text = "No account has enough left of its spending limit for this request."
    return ErrorAnswer.of(INSUFFICIENT_QUOTA, f"{text} {each}.", cure=RAISE_ACCOUNT)


def widened(account: Account, model: str | None) -> str | None:
    """The command that lets an account serve this model as well."""
    if model is None or PLAIN_MODEL.fullmatch(model) is None:
        return None
    kept = [p for p in account.models if not p.startswith("!") or models.allows((p,), model)]
    if not models.allows(kept, model):
        kept.append(model)
    return f"`codex-manager edit {shlex.quote(account.label)} --models {shlex.quote(','.join(kept))}`"
