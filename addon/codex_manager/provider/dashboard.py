"""The pages of OpenAI's older dashboard: `/v1/dashboard/billing/usage` and `/subscription`, asked with the account's own key.

The original product read these. OpenAI itself answers them only to a browser's session today (401 or 403 to a key);
gateways that speak OpenAI's language often still do. Amounts of `usage` are in cents, those of `subscription` in dollars.
"""

import datetime as dt

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from codex_manager.core.pricing import NANO, ZERO
from codex_manager.core.secret import Secret
from codex_manager.provider.line import Line
from codex_manager.provider.organization import RefusedError, Spent
from codex_manager.provider.words import amount, count, document, error_of


__all__ = ["BILLING_PATH", "billing_usage", "hard_limit"]

BILLING_PATH: Final = "/v1/dashboard/billing"
NO_LIMIT: Final = Decimal(10_000_000)
"""Gateways say 100000000 when there is no limit; no account's limit is near this."""


def hard_limit(line: Line, key: Secret, headers: Mapping[str, str]) -> Decimal | None:
    """US dollars a month; None when the page names none.

    Raises:
        RefusedError, ValueError, and what `Line.get` raises.
    """
    found = _page(line, f"{BILLING_PATH}/subscription", key, headers)
    said = amount(found.get("hard_limit_usd"))
    if said is None:
        said = amount(found.get("system_hard_limit_usd"))
    # zero is how pages say that nothing was set; who may really spend nothing hears so from OpenAI at the first request
    return said if said is not None and ZERO < said < NO_LIMIT else None


def billing_usage(line: Line, key: Secret, headers: Mapping[str, str], *, day_start: int, month_start: int) -> Spent:
    """What was spent since the month began.

    Raises:
        RefusedError, ValueError, and what `Line.get` raises.
    """
    first, after = _date(month_start), _date(day_start + 86_400)  # the end is exclusive
    found = _page(line, f"{BILLING_PATH}/usage", key, headers, (("start_date", first), ("end_date", after)))
    total = amount(found.get("total_usage"))
    if total is None:
        raise ValueError("no total")
    today = ZERO
    for day in found.get("daily_costs") or ():
        if isinstance(day, dict) and count(day.get("timestamp")) >= day_start:
            costs = [amount(item.get("cost")) for item in day.get("line_items") or () if isinstance(item, dict)]
            today += sum((cost for cost in costs if cost is not None), ZERO)
    return Spent(_dollars(today), _dollars(total))


def _page(
    line: Line, path: str, key: Secret, headers: Mapping[str, str], parameters: tuple[tuple[str, str], ...] = ()
) -> dict[str, Any]:
    reply = line.get(path, key, parameters=parameters, headers=headers)
    if reply.status != 200:
        raise RefusedError(reply.status, error_of(reply.body)[0])
    found = document(reply.body)
    if isinstance(found.get("error"), dict):  # some gateways refuse with a 200
        raise RefusedError(404)
    return found


def _dollars(cents: Decimal) -> Decimal:
    return max((cents / 100).quantize(NANO), ZERO)


def _date(instant: int) -> str:
    return dt.datetime.fromtimestamp(instant, dt.UTC).date().isoformat()
