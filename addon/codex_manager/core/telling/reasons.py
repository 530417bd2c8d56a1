"""Words for a decision: why an account was chosen, what stood against the others, and what became of an attempt.

Pure; core says all of this in short fixed words, here are the sentences for people. A word that is not in a table is shown as it
is, so that a record written by a newer version can still be read. Times are local ones, with what lies between beside them.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Final

from codex_manager.core.telling.durations import span


__all__ = ["CHOSEN", "Out", "clock", "failure_words", "layer_of", "out_words", "until_words", "why"]

OWNERSHIP, AFFINITY, STRATEGY = "ownership", "affinity", "strategy"

CHOSEN: Final = {
    # what decided: (layer, why in words)
    "owner": (OWNERSHIP, "what the request names is there"),
    "origin": (OWNERSHIP, "the reasoning the request brings along was encrypted there"),
    "affinity": (AFFINITY, "the prompt cache of the conversation is there"),
    "home": (AFFINITY, "the prompt cache of the conversation is there"),
    "detour": (AFFINITY, "where the conversation went while its home was out"),
    "sticky": (AFFINITY, "where the conversation begins"),
    "switch": (STRATEGY, "`codex-manager switch` sends everything there"),
    "least_utilized": (STRATEGY, "most room left"),
    "round_robin": (STRATEGY, "its turn"),
    "priority": (STRATEGY, "the highest priority at hand"),
    "only": ("", "no other account can serve"),
    "": ("", "already decided"),
}
AGAINST: Final = {
    "disabled": "disabled",
    "model_scope": "not for this model ({detail})",
    "unusable": "{detail}",
    "owner": "{detail}",
    "auth_failed": "its key was refused ({detail})",
    "billing": "out of credit",
    "limit": "{detail}",
    "egress": "this machine's address is rate limited",
    "rate": "rate limited",
    "probing": "just being tried again by another request",
    "model_access": "no access to this model",
    "tried": "tried by this request already",
    "pace": "used a moment ago",
}
TIMELESS: Final = frozenset({"disabled", "model_scope", "unusable", "limit", "probing", "tried", "owner"})
"""Obstacles that end when something is changed, or whose words have the time in them."""
FAILED: Final = {
    "rate": "rate limited",
    "billing": "out of credit",
    "auth": "the key was refused",
    "model_access": "no access to this model",
    "caller": "the request itself was refused",
    "owner_miss": "it does not have what the request names",
    "origin_miss": "it cannot read the encrypted reasoning",
    "overload": "the model was overloaded",
    "transient": "an error at OpenAI",
    "pre_dispatch": "no connection",
    "ambiguous": "no answer, and nobody knows whether there was work for one",
    "mid_stream": "the answer broke off",
    "egress_limit": "this machine's address was rate limited",
    "neutral": "the client left",
    "gone": "the client left",
    "interrupted": "the proxy was killed meanwhile",
}


@dataclass(frozen=True, slots=True)
class Out:
    """What stood against one account."""

    account_id: str
    obstacle: str
    detail: str
    until: float | None
    """Unix time."""


def layer_of(by: str) -> str:
    """`ownership`, `affinity`, `strategy`; empty where there was nothing to decide."""
    return CHOSEN.get(by, (by, ""))[0]


def why(by: str) -> str:
    """Why an account was chosen: `least_utilized: it had most room left`."""
    words = CHOSEN.get(by, ("", ""))[1]
    return f"{by}: {words}" if by and words else words or by


def out_words(out: Out) -> str:
    """What stands against an account, without the time."""
    words = AGAINST.get(out.obstacle, out.obstacle.replace("_", " ") + (" ({detail})" if out.detail else ""))
    return words.replace("{detail}", out.detail).replace(" ()", "") or out.obstacle


def until_words(out: Out, at: float, zone: tzinfo | None) -> str:
    """Until when, seen from the moment `at`: `until 14:03:10, 12 s later`; a dash where time changes nothing."""
    if out.until is None or out.obstacle in TIMELESS or out.until <= at:
        return "-"
    return f"until {clock(out.until, at, zone)}, {span(out.until - at)} later"


def failure_words(failure: str) -> str:
    """What a class of failure means."""
    return FAILED.get(failure, failure)


def clock(moment: float, at: float, zone: tzinfo | None) -> str:
    """A time of day, with its date when that is another than that of `at`. `zone` None: this machine's."""
    there, here = (datetime.fromtimestamp(each, UTC).astimezone(zone) for each in (moment, at))
    return f"{there:%H:%M:%S}" if there.date() == here.date() else f"{there:%Y-%m-%d %H:%M:%S}"
