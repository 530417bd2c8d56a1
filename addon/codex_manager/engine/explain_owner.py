"""Words for what lives in one account only: who has it, why that account cannot serve now, and the way out.

Law: as in engine.explain. An answer of these names the thing, the account that has it by its label, its reason and its next
time; nobody is left with a conversation that cannot go on and does not say why.
"""

import shlex

from collections.abc import Sequence
from typing import Final

from codex_manager.core.openai_error import (
    ACCOUNT_CONFLICT,
    INSUFFICIENT_QUOTA,
    MODEL_NOT_ALLOWED,
    NO_USABLE_ACCOUNT,
    RATE_LIMIT_EXCEEDED,
    ErrorAnswer,
)
from codex_manager.core.resources import Reference, kind_of
from codex_manager.core.routing import Facts, Obstacle, Reason, Refusal
from codex_manager.engine.explain import MONEY, RAISE_ACCOUNT, SOONEST_S, WAITING_HELPS, sentence, widened


__all__ = ["belongs", "conflict", "foreign_reasoning", "gone", "name_of", "owner_out"]

LONGEST_NAME: Final = 80
STRIP: Final = "`codex-manager config set routing.encrypted_reasoning strip` lets such conversations go on elsewhere, without that reasoning."
PAY: Final = "Add credit to that account at https://platform.openai.com/settings/organization/billing."


def name_of(reference: Reference) -> str:
    """The thing as it is called: its id, which is no secret. Reasoning has none.

    What looks like no id may be anything, a key that got into a path for instance, and this is written down.
    """
    if reference.family == "encrypted":
        return "The encrypted reasoning in its input"
    if kind_of(reference.id) is None:
        return f"the {reference.family.replace('_', ' ')} that its {reference.where} names"
    return reference.id if len(reference.id) <= LONGEST_NAME else f"{reference.id[:LONGEST_NAME]}…"


def belongs(reference: Reference, labels: Sequence[str]) -> str:
    """`file-abc belongs to 'work'`."""
    return _capitalized(f"{name_of(reference)} belongs to {_any_of(labels)}")


def conflict(first: tuple[Reference, Sequence[str]], second: tuple[Reference, Sequence[str]]) -> ErrorAnswer:
    """Two things of one request that no account has both."""
    (one, its), (other, others) = first, second
    text = f"{belongs(one, its)}, but {_decapitalized(belongs(other, others))}; no account has both."
    param = other.where if other.where not in {"path", "query", "input"} else None
    cure = STRIP if "encrypted" in {one.family, other.family} else None
    return ErrorAnswer.of(ACCOUNT_CONFLICT, text, param=param, cure=cure)


def foreign_reasoning(labels: Sequence[str], others: Sequence[str]) -> ErrorAnswer:
    """Reasoning of two accounts in one conversation, which neither of them can read."""
    text = f"The encrypted reasoning in its input is of {_any_of(labels)} and of {_any_of(others)}; no account can read both."
    return ErrorAnswer.of(ACCOUNT_CONFLICT, text, param="input", cure=STRIP)


def gone(reference: Reference, label: str | None) -> ErrorAnswer:
    """The account was removed, and no other one has it."""
    who = f"the account '{label}', which was removed" if label else "an account that was removed"
    text = _capitalized(f"{name_of(reference)} belongs to {who}; no other account has it.")
    cure = "Add the account again with `codex-manager add LABEL`."
    if reference.family == "encrypted":
        cure = f"{cure[:-1]}, or start a new conversation. {STRIP}"
    return ErrorAnswer.of(NO_USABLE_ACCOUNT, text, cure=cure)


def owner_out(refusal: Refusal, facts: Facts, now: float) -> ErrorAnswer:
    """The answer when the one account that could serve cannot do so now."""
    own = [reason for reason in refusal.reasons if reason.obstacle is not Obstacle.OWNER]
    kinds = {reason.obstacle for reason in own}
    each = "; ".join(sentence(reason, now) for reason in own) or "That account was removed"
    text = f"{facts.owned}. {each}."
    if facts.owned_by == "missing":
        thing = facts.owned.removeprefix("does not have ")
        text = _capitalized(f"{thing} is with none of the accounts that could be asked; others may have it. {each}.")
    origin = STRIP if facts.owned_by == "origin" else None
    if kinds & WAITING_HELPS:
        soonest = min(r.until for r in own if r.obstacle in WAITING_HELPS and r.until is not None)
        return ErrorAnswer.of(RATE_LIMIT_EXCEEDED, text, retry_after_s=max(soonest - now, SOONEST_S), cure=origin)
    if kinds & MONEY:
        pay = RAISE_ACCOUNT if Obstacle.SPENDING in kinds else PAY
        return ErrorAnswer.of(INSUFFICIENT_QUOTA, text, cure=origin or pay)
    if kinds == {Obstacle.MODEL_SCOPE}:
        commands = [command for reason in own if (command := widened(reason.account, facts.model))]
        widen = f"To allow it: {commands[0]}." if commands else None
        return ErrorAnswer.of(MODEL_NOT_ALLOWED, text, param="model", cure=origin or widen)
    return ErrorAnswer.of(NO_USABLE_ACCOUNT, text, cure=origin or _back(own))


def _back(own: Sequence[Reason]) -> str | None:
    """The command that brings the account back."""
    for reason in own:
        label = shlex.quote(reason.account.label)
        if reason.obstacle is Obstacle.DISABLED:
            return f"`codex-manager enable {label}` lets it serve again."
        if reason.obstacle is Obstacle.AUTH_FAILED:
            return f"`codex-manager edit {label} --key -` gives it a key that works."
    return None


def _any_of(labels: Sequence[str]) -> str:
    return " or ".join(f"'{label}'" for label in labels[:3]) or "an account that was removed"


def _capitalized(text: str) -> str:
    return "The " + text[4:] if text.startswith("the ") else text


def _decapitalized(text: str) -> str:
    return text[0].lower() + text[1:] if text.startswith("The ") else text
