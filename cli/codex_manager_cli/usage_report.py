"""What a report says: the ledger's sums under names people know, what stands against limits, and where the month leads.

Knows the ledger's reader and the vault's records, given; opens nothing and prints nothing. Days and months are those of
the ledger's own calendar, so that lines, limits and the proxy agree.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import Final, Literal

from codex_manager.core.account import Account
from codex_manager.core.snapshot import Snapshot, utc_windows
from codex_manager.ledger import Reader, Totals, UsageRow
from codex_manager.vault.store import ClientKey
from codex_manager_cli.period import Period, day_of, month_of
from codex_manager_cli.usage_limits import WEEK, Comparison, Standing, forecast
from codex_manager_cli.usage_names import NOBODY, Filters
from codex_manager_cli.usage_view import Line


__all__ = ["OPEN_END", "STRETCHES", "Grouping", "Outlook", "comparisons", "lines", "outlook", "standings", "stretches"]

type Grouping = Literal["account", "model", "client", "endpoint", "hour", "day", "month"]

STRETCHES: Final = ("hour", "day", "month")
OPEN_END: Final = 1 << 50
"""Unix seconds; the end of a period without one. The ledger answers those from its coarsest sums."""
LOOKS: Final[Mapping[str, str]] = {"hour": "%Y-%m-%d %H:%M", "day": "%Y-%m-%d", "month": "%Y-%m"}


def lines(reader: Reader, by: Grouping, when: Period, filters: Filters, names: Mapping[str, str]) -> list[Line]:
    """A line for each account, model, …: the dearest first, and stretches of time in their order."""
    zone = reader.calendar().zone
    found: dict[str | int, Line] = {}
    for key, line in _picked(reader, by, when, filters):
        found[key] = Line.total([found[key], line]) if key in found else line
    named = [_named(by, key, line, names, zone) for key, line in found.items()]
    if by in STRETCHES:
        return sorted(named, key=lambda line: datetime.fromisoformat(line.key or ""))
    return sorted(named, key=lambda line: (-line.usd, -line.requests, line.name))


def stretches(by: str, lines: Sequence[Line], when: Period, now: datetime, most: int) -> list[Line]:
    """The lines of hours, days or months, and empty ones between them; the last `most` before the period's end."""
    known = {datetime.fromisoformat(line.key).timestamp(): line for line in lines if line.key}
    last = datetime.fromtimestamp(min(when.until - 1, now.timestamp()), now.tzinfo)
    first = max(when.since, min(known)) if known else when.since
    found: list[Line] = []
    for i in range(most):
        match by:
            case "hour":
                start = datetime.fromtimestamp(_hour(last) - i * 3600, now.tzinfo)
            case "day":
                start = day_of(last, later=-i)
            case _:
                start = month_of(last, later=-i)
        if start.timestamp() < first and found:
            break
        found.append(known.get(start.timestamp()) or Line(name=_stretch(by, start), key=start.isoformat()))
    return found[::-1]


def standings(
    reader: Reader | None, accounts: Iterable[Account], keys: Iterable[ClientKey], now: datetime
) -> list[Standing]:
    """Every limit there is, and what counts towards it."""
    totals = reader.totals(now.timestamp()) if reader else Totals(0, 0, {})
    snapshots = reader.snapshots() if reader else {}
    day, month = day_of(now), month_of(now)
    found: list[Standing] = []

    def add(kind: Literal["account", "client"], name: str, key: str, limits: tuple[float | None, float | None]) -> None:
        spent = totals.of((kind, key))
        said = snapshots.get(key) if kind == "account" else None
        # what others of an organization spend counts against OpenAI's limit only
        counted = said if said is not None and not said.organization_wide else None
        if limits[0] is not None:
            found.append(
                Standing(
                    kind=kind, name=name, window="day", own=spent.day, limit=Decimal(str(limits[0])),
                    provider=counted.spent_in_day(day.timestamp()) if counted else None, turns=day_of(now, later=1),
                )
            )  # fmt: skip
        if limits[1] is not None:
            found.append(
                Standing(
                    kind=kind, name=name, window="month", own=spent.month, limit=Decimal(str(limits[1])),
                    provider=counted.spent_in_month(month.timestamp()) if counted else None, turns=month_of(now, later=1),
                )
            )  # fmt: skip
        if reader is not None and said is not None and said.hard_limit:
            found.append(_hard(reader, name, key, said, said.hard_limit, now))

    for account in accounts:
        add("account", account.label, account.id, (account.daily_limit_usd, account.monthly_limit_usd))
    for client in keys:
        add("client", client.name, client.name, (client.daily_limit_usd, client.monthly_limit_usd))
    return found


def comparisons(reader: Reader, names: Mapping[str, str], now: datetime) -> list[Comparison]:
    """OpenAI's figures for its present day and month beside ours for the same time."""
    day, month = utc_windows(now.timestamp())
    found: list[Comparison] = []
    for account_id, said in sorted(reader.snapshots().items(), key=lambda item: names.get(item[0], item[0])):
        for window, start, begun, amount in (
            ("day", day, said.day_start, said.today),
            ("month", month, said.month_start, said.month),
        ):
            if amount is None or begun != start:
                continue
            found.append(
                Comparison(
                    account=names.get(account_id, said.account),
                    window=window,  # type: ignore[arg-type]  # one of the two words above
                    own=_spent(reader, start, account_id),
                    provider=amount,
                    taken_at=datetime.fromtimestamp(said.taken_at, now.tzinfo),
                    source=said.source + (", whole organization" if said.organization_wide else ""),
                )
            )
    return found


@dataclass(frozen=True, slots=True)
class Outlook:
    """Where the month leads. US dollars."""

    month: Decimal
    """What it has cost so far."""
    expected: Decimal
    """What it will have cost, at the pace of the last seven days."""
    until: datetime


def outlook(reader: Reader, filters: Filters, now: datetime) -> Outlook:
    """The forecast for what the filters pick."""
    seconds = now.timestamp()
    begin, end = month_of(now).timestamp(), month_of(now, later=1)
    month = _sum(reader, Period(begin, OPEN_END), filters)
    week = _sum(reader, Period(seconds - WEEK, OPEN_END), filters)
    older = reader.usage(until=day_of(now, later=-7).timestamp())  # a whole day: its sums are few
    first = None if older else next(iter(reader.usage("hour", since=seconds - WEEK)), None)
    age = seconds - int(first.key[0]) if first else WEEK
    return Outlook(month, forecast(month, week, age_s=age, left_s=end.timestamp() - seconds), end)


def _picked(reader: Reader, by: str, when: Period, filters: Filters) -> Iterator[tuple[str | int, Line]]:
    """Sums by what is asked for and by what the filters look at."""
    looked_at = {"account": filters.accounts, "client": filters.client, "model": filters.model}
    wanted = [by, *(each for each, value in looked_at.items() if value is not None and each != by)]
    until = None if when.until >= OPEN_END else when.until
    for row in reader.usage(wanted, since=when.since, until=until):  # type: ignore[arg-type]  # words of `By`
        parts = dict(zip(wanted, row.key, strict=True))
        if filters.take(**{name: str(parts.get(name, "")) for name in looked_at}):
            yield row.key[0], _line(row)


def _line(row: UsageRow) -> Line:
    return Line(
        name="", requests=row.requests, errors=row.errors, input=row.input, cached=row.cached, cache_write=row.cache_write,
        output=row.output, reasoning=row.reasoning, usd=row.usd, estimated_usd=row.estimated_usd, unpriced=row.unpriced,
    )  # fmt: skip


def _named(by: str, key: str | int, line: Line, names: Mapping[str, str], zone: tzinfo) -> Line:
    if by in STRETCHES:
        start = datetime.fromtimestamp(int(key), zone)
        return replace(line, name=_stretch(by, start), key=start.isoformat())
    text = str(key)
    if by == "account":
        return replace(line, name=names.get(text, text) or NOBODY, key=text or None)
    return replace(line, name=text or NOBODY, key=None)


def _stretch(by: str, start: datetime) -> str:
    """An hour that the wall's clock shows twice says in which of both it is."""
    twice = by == "hour" and start.replace(fold=0).utcoffset() != start.replace(fold=1).utcoffset()
    return start.strftime(LOOKS[by]) + (f" {start.tzname()}" if twice else "")


def _hard(reader: Reader, name: str, account_id: str, said: Snapshot, limit: Decimal, now: datetime) -> Standing:
    """The limit that OpenAI itself holds, over its own month."""
    _, start = utc_windows(now.timestamp())
    return Standing(
        kind="account",
        name=name,
        window="month",
        source="provider",
        own=_spent(reader, start, account_id),
        provider=said.month if said.month_start == start else None,
        limit=limit,
        turns=month_of(datetime.fromtimestamp(now.timestamp(), UTC), later=1),
    )


def _spent(reader: Reader, since: float, account_id: str) -> Decimal:
    return sum((row.usd for row in reader.usage(since=since, account_id=account_id)), Decimal(0))


def _sum(reader: Reader, when: Period, filters: Filters) -> Decimal:
    return sum((line.usd for _, line in _picked(reader, "account", when, filters)), Decimal(0))


def _hour(moment: datetime) -> float:
    return moment.replace(minute=0, second=0, microsecond=0).timestamp()
