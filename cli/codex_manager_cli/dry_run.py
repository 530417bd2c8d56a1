"""One decision made for show: the same function, over the state as it is known, and its result in words.

Law: the choice, its layer and every reason are what core.decision returned; nothing is made up beside them.
"""

import re

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from codex_manager.core import models
from codex_manager.core.account import Account
from codex_manager.core.allowance import dollars
from codex_manager.core.decision import choose
from codex_manager.core.habits import DEFAULT_OUTPUT
from codex_manager.core.pricing import ZERO
from codex_manager.core.routing import Candidate, Choice, Facts, Refusal
from codex_manager.core.session import told_key
from codex_manager.core.telling.amounts import number
from codex_manager.core.telling.columns import columns
from codex_manager.core.telling.durations import span
from codex_manager.core.telling.reasons import Out, layer_of, out_words, until_words, why
from codex_manager.core.usage import Usage
from codex_manager_cli.known_state import Kept, candidates_of, overlaid, policy_of, state_now
from codex_manager_cli.talk import fail


if TYPE_CHECKING:
    from codex_manager.config.schema import Config
    from codex_manager.ledger import Reader

__all__ = ["Outcome", "as_data", "as_page", "decide"]

DEFAULT_CLIENT: Final = "default"
"""Who uses `proxy.api_key`; it has no limits."""
KEY: Final = re.compile(r"[0-9a-f]{64}")
"""A conversation's key as `explain --json` shows it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A decision and what it was made of."""

    facts: Facts
    client: str
    barred: str | None
    """Why the client may not have this, before any account is asked."""
    decision: Choice | Refusal
    candidates: tuple[Candidate, ...]
    strategy: str
    source: str
    wall: float
    now: float

    @property
    def out(self) -> list[tuple[Account, Out]]:
        """What stands against accounts, in Unix time."""
        ahead = self.wall - self.now
        return [
            (r.account, Out(r.account.id, r.obstacle.value, r.detail, None if r.until is None else r.until + ahead))
            for r in self.decision.reasons
        ]

    @property
    def others(self) -> list[Account]:
        """Those that nothing stands against, and that were not chosen."""
        named = {reason.account.id for reason in self.decision.reasons}
        if isinstance(self.decision, Choice):
            named.add(self.decision.candidate.account.id)
        return [c.account for c in self.candidates if c.account.id not in named]


def decide(
    config: "Config",
    kept: Kept,
    reader: "Reader | None",
    strategy: str | None,
    status: Mapping[str, Any] | None = None,
    *,
    model: str | None,
    tokens: int,
    session: str | None,
    client: str,
    wall: float,
    now: float,
) -> Outcome:
    """Decide on a request with these facts; `status` is what a running proxy tells of this moment."""
    key = next((key for key in kept.keys if key.name == client), None)
    if key is None and client != DEFAULT_CLIENT:
        listed = ", ".join(repr(key.name) for key in kept.keys[:6])
        fail(f"there is no client key '{client[:100]}'", hint=f"there is {listed or 'none yet'}, and 'default'")
    state = state_now(config, kept, reader, wall, now)
    if status is not None:
        overlaid(state, status, wall, now)
    conversation = None
    if session is not None:
        named = {"x-codex-manager-session": session}
        conversation = session if KEY.fullmatch(session) else told_key(client, model, named)
    facts = Facts(
        model=model,
        access=model or "/v1/responses",
        tokens=tokens,
        need=_need(config, model, tokens),
        session=conversation,
    )
    barred = None
    if key is not None and not models.allows(key.models, model):
        barred = f"the client may use only {', '.join(key.models)}"
    elif (shortage := state.spending.room(("client", client), facts.need)) is not None:
        barred = f"the client may spend no more for now: {shortage.detail}"
    candidates = candidates_of(config, kept.accounts)
    policy = policy_of(config, kept.pinned, strategy)
    decision = choose(facts, candidates, state, policy, now)
    source = "what the ledger knows" if reader is not None else "an empty ledger"
    if status is not None:
        source = "what the running proxy tells"
    return Outcome(
        facts=facts, client=client, barred=barred, decision=decision, candidates=candidates, strategy=policy.strategy,
        source=source, wall=wall, now=now,
    )  # fmt: skip


def _need(config: "Config", model: str | None, tokens: int) -> Decimal:
    """What it may cost, as the proxy would set it aside before it knows what the model mostly says."""
    from codex_manager.ledger.prices import Prices

    if model is None or not config.metering.enabled:
        return ZERO
    prices = Prices.load(config.prices.overrides())
    return prices.cost(model, Usage(input=tokens, output=DEFAULT_OUTPUT, estimated=True)).usd


def as_page(outcome: Outcome) -> str:
    """For people."""
    facts, decision = outcome.facts, outcome.decision
    about = f"{facts.model or 'no model'}, about {facts.tokens:,} tokens, client {outcome.client}"
    cost = f"; may cost up to about {dollars(facts.need)}" if facts.need else ""
    rows = []
    if isinstance(decision, Choice):
        verdict = f"-> {decision.candidate.account.label}, {why(decision.by)}"
        if decision.clouds:
            verdict += "; it is in trouble, and the others no less"
        rows.append((decision.candidate.account.label, "chosen", "-"))
    else:
        soonest = decision.soonest()
        when = f", the soonest in {span(soonest - outcome.now)}" if soonest is not None else ""
        verdict = f"-> no account can serve{when}"
    if outcome.barred is not None:
        verdict = f"-> refused before an account is asked: {outcome.barred}\n   otherwise {verdict[3:]}"
    rows += [(account.label, "could serve, too", "-") for account in outcome.others]
    rows += [(account.label, out_words(out), until_words(out, outcome.wall, None)) for account, out in outcome.out]
    return f"{about}{cost}\n{verdict}\n\n{columns(rows)}"


def as_data(outcome: Outcome) -> dict[str, Any]:
    """For `--json`; names and order stay from release to release."""
    facts, decision = outcome.facts, outcome.decision
    chosen = None
    soonest = None
    if isinstance(decision, Choice):
        account = decision.candidate.account
        chosen = {
            "account": account.label, "account_id": account.id, "by": decision.by, "layer": layer_of(decision.by) or None,
            "clouds": decision.clouds,
        }  # fmt: skip
    elif (at := decision.soonest()) is not None:
        soonest = _iso(at + outcome.wall - outcome.now)
    return {
        "request": {
            "model": facts.model,
            "tokens": facts.tokens,
            "client": outcome.client,
            "conversation": facts.session,
            "need_usd": number(facts.need),
        },
        "strategy": outcome.strategy,
        "refused": outcome.barred,
        "chosen": chosen,
        "soonest": soonest,
        "others": [{"account": account.label, "account_id": account.id} for account in outcome.others],
        "out": [
            {
                "account": account.label,
                "account_id": account.id,
                "obstacle": out.obstacle,
                "detail": out.detail or None,
                "until": None if out.until is None else _iso(out.until),
            }
            for account, out in outcome.out
        ],
        "source": outcome.source,
    }


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")
