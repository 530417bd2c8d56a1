"""How `status` looks on a terminal: a document in, text out. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from codex_manager.core.telling.amounts import dollars, percent
from codex_manager.core.telling.columns import columns, right
from codex_manager.core.telling.durations import span


__all__ = ["as_page"]

FAULT: Final = {"OpenAI": "OpenAI", "network": "your network", "nobody": "nobody: all is well"}
MODELS_SHOWN: Final = 5


def as_page(document: Mapping[str, Any], now: float) -> str:
    """All of it for people; `now` is Unix time."""
    parts = [_head(document, now)]
    if document["accounts"]:
        parts.append(_table(document, now))
    parts.append("\n".join(_lines(document, now)))
    return "\n\n".join(part for part in parts if part)


def _head(document: Mapping[str, Any], now: float) -> str:
    if not document["running"]:
        seen = document.get("last_seen_at")
        last = f"; the last one was there {span(now - _seconds(seen))} ago" if seen else ""
        return f"no proxy runs on this home{last}. What ledger and vault know:"
    switched = f", switched to {document['switched_to']}" if document.get("switched_to") else ""
    return (
        f"proxy at {document['address']}, version {document['version']}, up {span(document['uptime_seconds'])},"
        f" {document['strategy']}{switched}"
    )


def _table(document: Mapping[str, Any], now: float) -> str:
    live = document["running"]
    rows = [("ACCOUNT", "STATE", "BACK IN", "IN FLIGHT", "REQUESTS TODAY", "TODAY", "MONTH", "WHY")]
    rows += [
        (
            each["label"],
            each["state"] or "-",
            span(_seconds(each["retry_at"]) - now) if each["retry_at"] else "-",
            str(each["in_flight"]) if live else "-",
            "-" if each["requests_today"] is None else f"{each['requests_today']:,}",
            _money(each, "day", each["today_usd"]),
            _money(each, "month", each["month_usd"]),
            each["reason"] or "-",
        )
        for each in document["accounts"]
    ]
    return columns(right(rows, first=2, last=7))


def _money(account: Mapping[str, Any], window: str, spent: float | None) -> str:
    """What counts against a limit where there is one, else what was spent."""
    limit = next((each for each in account["limits"] if each["window"] == window), None)
    if limit is None:
        return "-" if spent is None else dollars(spent)
    counted = limit.get("spent_usd", spent)
    return f"{'-' if counted is None else dollars(counted)} of {dollars(limit['limit_usd'])}"


def _lines(document: Mapping[str, Any], now: float) -> list[str]:
    lines = []
    if document.get("locked") and document["running"]:
        lines.append("the vault is locked: requests are refused until `codex-manager vault unlock`")
    elif not document["accounts"]:
        lines.append("there are no accounts yet: add one with `codex-manager add LABEL`")
    blame = document.get("blame")
    if blame is not None:
        lines.append(f"whose fault: {_fault(blame)}")
    lines += [
        f"overloaded: {each['model'] or 'requests without a model'}, for {span(_seconds(each['overloaded_until']) - now)}"
        for each in document.get("models", ())[:MODELS_SHOWN]
    ]
    if document.get("in_flight") or document.get("waiting"):
        lines.append(f"now: {document['in_flight']} in flight, {document['waiting']} waiting")
    today = document.get("today")
    if today is not None:
        lines.append(
            f"today: {today['requests']:,} requests, {today['errors']:,} of them failed, {dollars(today['usd'])}"
        )
    lines += [
        f"client {client['name']}: {percent(client['used'])} of its limit"
        for client in document.get("clients", ())
        if client["used"] >= document.get("warn_at", 1.0)
    ]
    ledger = document.get("ledger")
    if ledger is not None and not ledger["ok"]:
        lines.append(f"ledger: {ledger['problem']}")
    if ledger is not None and ledger["dropped"]:
        lines.append(f"ledger: {ledger['dropped']:,} requests could not be recorded one by one")
    return lines


def _fault(blame: Mapping[str, Any]) -> str:
    who = blame["who"]
    if who == "account":
        who = "this account" if len(blame["accounts"]) == 1 else "these accounts"
    else:
        who = FAULT.get(who, who)
    return f"{who}; {blame['why']}" if blame["why"] else who


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
