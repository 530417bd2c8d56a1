"""What the table of accounts shows: what is stored of each, and beside it what the running proxy knows of it right now.

Pure: accounts, the status page's document and sums in, rows out. Law: of a key only `Secret.hint()` is in a row.
"""

import hashlib

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from codex_manager.accounts.public import as_data
from codex_manager.core.account import Account
from codex_manager.proxy.local_keys import LocalKey


__all__ = ["ClientRow", "Money", "Row", "client_rows", "rows", "shape"]

type Spent = Callable[[tuple[str, str]], tuple[Decimal, Decimal] | None]
"""`Spending.spent`."""
type Translate = Callable[[str], str]


def N_(sentence: str) -> str:  # noqa: N802 - the name that translators' tools look for
    """Marks what is translated where it is shown."""
    return sentence


STATES: Final = {
    # the proxy's word: (what people read, how it looks)
    "ready": (N_("ready"), "good"),
    "limited": (N_("rate limited"), "warn"),
    "billing": (N_("out of credit"), "bad"),
    "spent": (N_("limit reached"), "warn"),
    "failing": (N_("failing"), "warn"),
    "egress": (N_("address limited"), "warn"),
    "auth_failed": (N_("key refused"), "bad"),
    "unusable": (N_("unusable"), "bad"),
    "disabled": (N_("disabled"), "off"),
}
REASONS: Final = {
    "failing": N_("It kept failing; others are asked first."),
    "egress": N_("This machine's address is rate limited at OpenAI, whichever account asks."),
    "billing": N_("OpenAI says that its credit is used up."),
}
LEFT_OUT: Final = N_("Its base URL leads back to this proxy, so it is left out.")
WINDOWS: Final = {"day": N_("today"), "month": N_("this month"), "provider": N_("this month, OpenAI's own limit")}
REACHED: Final = {
    "day": N_("Its daily limit is reached."),
    "month": N_("Its monthly limit is reached."),
    "provider": N_("Its monthly limit at OpenAI is reached."),
}
SCOPES_SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class Money:
    """What was spent in one window, US dollars."""

    window: str
    """In words."""
    spent: float | Decimal | None
    limit: float | None = None
    turns_at: str | None = None

    @property
    def share(self) -> float | None:
        """Of the limit."""
        return None if self.limit is None or self.spent is None else float(self.spent) / self.limit


@dataclass(frozen=True, slots=True)
class Row:
    """One account. `data` is what `--json` shows of it."""

    data: Mapping[str, Any]
    state: str
    looks: str
    """`good`, `warn`, `bad` or `off`."""
    why: str
    retry_at: str | None
    resting: Sequence[Mapping[str, Any]]
    """Models that rest, the first few; each with `model` and `retry_at`."""
    more_resting: int
    in_flight: int
    money: tuple[Money, ...]
    standing: Mapping[str, Any] | None
    """The proxy's own document about it."""

    @property
    def id(self) -> str:
        return str(self.data["id"])

    @property
    def label(self) -> str:
        return str(self.data["label"])


def rows(
    accounts: Iterable[Account], pinned: str | None, status: Mapping[str, Any], spent: Spent, tr: Translate
) -> list[Row]:
    """One for each stored account, in their order."""
    standings = {each["id"]: each for each in status["accounts"]}
    return [_row(account, account.id == pinned, standings.get(account.id), spent, tr) for account in accounts]


def _row(account: Account, pinned: bool, standing: Mapping[str, Any] | None, spent: Spent, tr: Translate) -> Row:
    data = as_data(account, pinned=pinned)
    sums = spent(("account", account.id))
    if standing is None:
        name, looks = STATES["unusable" if account.enabled else "disabled"]
        money = _money({}, sums, tr)
        return Row(data, tr(name), looks, tr(LEFT_OUT) if account.enabled else "", None, (), 0, 0, money, None)
    state = standing["state"]
    name, looks = STATES.get(state, (state, "warn"))
    limits = {each["window"]: each for each in standing["limits"]}
    resting = [each for each in standing["models"] if each["state"] == "resting"]
    return Row(
        data=data,
        state=tr(name),
        looks=looks,
        why=_why(state, standing, limits, tr),
        retry_at=None if resting else standing["retry_at"],
        resting=resting[:SCOPES_SHOWN],
        more_resting=max(len(resting) - SCOPES_SHOWN, 0),
        in_flight=standing["in_flight"],
        money=_money(limits, sums, tr),
        standing=standing,
    )


def _why(state: str, standing: Mapping[str, Any], limits: Mapping[str, Mapping[str, Any]], tr: Translate) -> str:
    if state in {"ready", "disabled", "limited"}:
        return ""  # its name says it
    if state == "spent":
        reached = [window for window, each in limits.items() if each["spent_usd"] >= each["limit_usd"]]
        return " ".join(tr(REACHED[window]) for window in reached if window in REACHED)
    reason = REASONS.get(state, standing["reason"])
    return tr(reason) if reason else ""  # of an empty text gettext makes a catalogue's header


def _money(
    limits: Mapping[str, Mapping[str, Any]], sums: tuple[Decimal, Decimal] | None, tr: Translate
) -> tuple[Money, ...]:
    found = []
    for window, at in (("day", 0), ("month", 1), ("provider", None)):
        limit = limits.get(window)
        if limit is not None:
            found.append(Money(tr(WINDOWS[window]), limit["spent_usd"], limit["limit_usd"], limit["turns_at"]))
        elif at is not None:
            found.append(Money(tr(WINDOWS[window]), None if sums is None else sums[at]))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class ClientRow:
    """One client key, or the clients that send the configured one."""

    name: str
    models: tuple[str, ...]
    money: tuple[Money, ...]
    is_default: bool = False


def client_rows(keys: Iterable[LocalKey], spent: Spent, tr: Translate, default: str) -> list[ClientRow]:
    """The default client first: everybody who sends the key of the configuration."""
    everyone = [LocalKey(default, b""), *keys]
    found = []
    for key in everyone:
        sums = spent(("client", key.name))
        limits = (key.daily_limit_usd, key.monthly_limit_usd)
        money = tuple(
            Money(tr(WINDOWS[window]), None if sums is None else sums[at], limits[at])
            for at, window in enumerate(("day", "month"))
        )
        found.append(ClientRow(key.name, key.models, money, key is everyone[0]))
    return found


def shape(accounts: Iterable[Account] | None, pinned: str | None, keys: Iterable[LocalKey]) -> str:
    """Differs when what is stored differs, and not when only the proxy's state does."""
    stored = None if accounts is None else [(a.id, a.label, a.updated_at) for a in accounts]
    limits = [(k.name, k.models, k.daily_limit_usd, k.monthly_limit_usd) for k in keys]
    return hashlib.sha256(repr((stored, pinned, limits)).encode()).hexdigest()[:16]
