"""One look at what OpenAI says an account has spent, from whatever it will tell.

Costs and usage need the organization's admin key; the older dashboard is asked with the account's own. Law: total — what
goes wrong is a sentence in the snapshot; no figure is made up, none is mixed with ours; one look ends within `LOOK_S`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from codex_manager.core.account import Account
from codex_manager.core.secret import Secret
from codex_manager.core.snapshot import Snapshot, utc_windows
from codex_manager.provider.dashboard import billing_usage, hard_limit
from codex_manager.provider.line import Line, Way, reason, within
from codex_manager.provider.organization import RefusedError, activity, costs


__all__ = ["LOOK_S", "NOTHING_OFFERED", "Refusals", "poll"]

QUESTION_S: Final = 15.0
"""For one question: a month of costs took OpenAI seconds when many asked."""
LOOK_S: Final = 60.0
"""For all questions about one account together."""
DAY_S: Final = 86_400.0
NOTHING_OFFERED: Final = "OpenAI tells this key nothing about money; it would tell an admin key of the organization"


class Refusals:
    """Which pages were refused to which key: not asked again for a day, or until the key changes. The only state."""

    def __init__(self) -> None:
        self._until: dict[tuple[str, str], tuple[Secret, float]] = {}

    def note(self, account: Account, page: str, key: Secret, now: float) -> None:
        self._until[account.id, page] = (key, now + DAY_S)

    def hold(self, account: Account, page: str, key: Secret, now: float) -> bool:
        """Whether asking is no use now."""
        refused, until = self._until.get((account.id, page), (None, 0.0))
        # a clock that was set back must not turn a day into a year
        return refused == key and 0.0 < until - now <= DAY_S

    def forget(self, account_id: str) -> None:
        for at in [at for at in self._until if at[0] == account_id]:
            del self._until[at]


class _Page(NamedTuple):
    name: str
    key: Secret | None
    read: Callable[[], Mapping[str, Any]]


@dataclass
class _Look:
    """What has been found so far."""

    facts: dict[str, Any] = field(default_factory=dict)
    troubles: list[str] = field(default_factory=list)


def poll(
    account: Account,
    way: Way,
    *,
    now: float,
    project: str | None = None,
    refusals: Refusals | None = None,
    look_s: float = LOOK_S,
) -> Snapshot:
    """Ask; blocks for at most `look_s`.

    Args:
        account: whose figures.
        way: to the account's own base URL or the configured one.
        now: wall clock, Unix seconds.
        project: the account's project as learned from answers, where its settings name none.
        refusals: remembers what is not offered; without it everything is asked.
        look_s: seconds for all questions together.
    """
    day_start, month_start = utc_windows(now)
    line = Line(way, timeout_s=min(QUESTION_S, look_s))
    project = account.project or project
    look = _Look()

    def ask() -> None:
        with line:
            _ask_all(account, line, project, day_start, month_start, look, refusals or Refusals(), now)

    try:
        within(look_s, ask, name="usage-poll", give_up=line.close)
    except Exception as error:  # noqa: BLE001 - total: the sentence says what is missing
        look.troubles.append(reason(error))
    facts = dict(look.facts)  # a thread that was given up may still write
    offered = bool(facts) or bool(look.troubles)
    return Snapshot(
        account_id=account.id,
        account=account.label,
        taken_at=now,
        day_start=day_start,
        month_start=month_start,
        organization_wide=facts.get("source") == "costs" and project is None,
        offered=offered,
        error="; ".join(dict.fromkeys(look.troubles)) or ("" if offered else NOTHING_OFFERED),
        **facts,
    )


def _ask_all(
    account: Account,
    line: Line,
    project: str | None,
    day_start: int,
    month_start: int,
    look: _Look,
    refusals: Refusals,
    now: float,
) -> None:
    """Page by page; a page that fails does not keep the others from being read, a connection that fails does."""
    names = {"OpenAI-Organization": account.organization, "OpenAI-Project": account.project}
    headers = {name: value for name, value in names.items() if value}
    admin, windows = account.admin_key, {"day_start": day_start, "month_start": month_start}

    def read_costs() -> Mapping[str, Any]:
        assert admin is not None
        spent = costs(line, admin, project=project, **windows)
        return {"source": "costs", "today": spent.today, "month": spent.month}

    def read_activity() -> Mapping[str, Any]:
        assert admin is not None
        seen = activity(line, admin, project=project, **windows)
        return {
            "requests_today": seen.requests[0], "requests_month": seen.requests[1], "input_today": seen.input[0],
            "input_month": seen.input[1], "output_today": seen.output[0], "output_month": seen.output[1],
        }  # fmt: skip

    def read_limit() -> Mapping[str, Any]:
        limit = hard_limit(line, account.api_key, headers)
        return {"hard_limit": limit} if limit is not None else {}

    def read_billing() -> Mapping[str, Any]:
        if "source" in look.facts:
            return {}
        spent = billing_usage(line, account.api_key, headers, **windows)
        return {"source": "billing", "today": spent.today, "month": spent.month}

    for name, key, read in (
        _Page("costs", admin, read_costs),
        _Page("usage", admin, read_activity),
        _Page("billing/subscription", account.api_key, read_limit),
        _Page("billing/usage", account.api_key, read_billing),
    ):
        if key is None or refusals.hold(account, name, key, now):
            continue
        try:
            look.facts.update(read())
        except RefusedError as refused:
            if key is admin:
                look.troubles.append(_refusal(refused))
            elif not refused.not_offered:
                look.troubles.append(f"OpenAI answers the question about {name} with {refused}")
            if refused.not_offered and key is not admin:
                refusals.note(account, name, key, now)
        except ValueError:
            look.troubles.append(f"the answer about {name} was not understood")


def _refusal(refused: RefusedError) -> str:
    if refused.status == 401:
        return "OpenAI refuses the admin key" + (f" ({refused.code})" if refused.code else "")
    if refused.status == 403:
        return "the admin key may not read usage; it needs the scope api.usage.read"
    return f"OpenAI answers the admin key with {refused}"
