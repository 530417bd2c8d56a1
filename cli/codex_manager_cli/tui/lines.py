"""Records of the ledger and pages of the proxy as the values that views show. Pure.

Law: tolerant of what a proxy of another version says: what is not there is left out, what is no text or number is not believed.
"""

import datetime as dt

from collections.abc import Iterable, Mapping
from typing import Any

from codex_manager.core.record import Record
from codex_manager_cli.tui.source import AccountLine, Limit, LogLine, ModelLine, Overloaded, Proxy, RequestLine
from codex_manager_cli.tui.words import plain


__all__ = [
    "account_of", "blame_of", "log_line_of_data", "moment", "proxy_of", "request_of", "request_of_data", "running_of_data",
]  # fmt: skip

FAULT = {"OpenAI": "OpenAI", "network": "your network"}


def request_of(record: Record) -> RequestLine:
    """A request of the ledger."""
    usage = record.usage
    last = record.attempts[-1] if record.attempts else None
    return RequestLine(
        id=record.id,
        time=record.time,
        client=plain(record.client, 64),
        method=plain(record.method, 10),
        endpoint=plain(record.endpoint, 80),
        model=plain(record.model or "", 80),
        account=plain(record.account or "", 64),
        by=last.by if last else "",
        tried=tuple((plain(each.label, 64), each.failure) for each in record.attempts if each.failure),
        tries=len(record.attempts),
        status=record.status,
        failure=record.failure,
        tokens_in=None if usage is None else usage.input,
        tokens_out=None if usage is None else usage.output,
        usd=float(record.cost) if record.cost or usage is not None else None,
        estimated=record.estimated,
        duration_s=record.duration_s,
        streamed=record.streamed,
        websocket=record.websocket,
    )


def request_of_data(data: Mapping[str, Any]) -> RequestLine | None:
    """A request that is over, as the proxy's page `requests` tells it; None for what is none, or for a lost attempt of one."""
    at = moment(data.get("time"))
    if at is None or not isinstance(data.get("id"), str) or data.get("attempt_of"):
        return None
    attempts = list(_dicts(data, "attempts"))
    return RequestLine(
        id=plain(data["id"]),
        time=at,
        client=_text(data, "client", 64),
        method=_text(data, "method", 10),
        endpoint=_text(data, "endpoint", 80),
        model=_text(data, "model", 80),
        account=_text(data, "account", 64),
        by=_text(data, "by", 40),
        tried=tuple(
            (_text(each, "account", 64), failure) for each in attempts if (failure := _text(each, "failure", 40))
        ),
        tries=len(attempts),
        status=_whole(data, "status") or 0,
        failure=_text(data, "failure", 40),
        tokens_in=_whole(data, "input_tokens"),
        tokens_out=_whole(data, "output_tokens"),
        usd=_number(data, "cost_usd") if data.get("input_tokens") is not None or data.get("cost_usd") else None,
        estimated=data.get("estimated") is True,
        duration_s=_number(data, "duration_s") or 0.0,
        streamed=data.get("streamed") is True,
        websocket=data.get("websocket") is True,
    )


def running_of_data(data: Mapping[str, Any]) -> RequestLine | None:
    """A request on its way, as the proxy's page `running` tells it."""
    since = moment(data.get("since"))
    if since is None or not isinstance(data.get("id"), str):
        return None
    return RequestLine(
        id=plain(data["id"]),
        time=since,
        client=_text(data, "client", 64),
        method=_text(data, "method", 10),
        endpoint=_text(data, "endpoint", 80),
        model=_text(data, "model", 80),
        account=_text(data, "account", 64),
        by=_text(data, "stage", 20),
        tries=_whole(data, "attempts") or 0,
        streamed=data.get("streamed") is True,
        websocket=data.get("websocket") is True,
        bytes=_whole(data, "bytes"),
    )


def log_line_of_data(data: Mapping[str, Any]) -> LogLine | None:
    """A line of the log, as the proxy's page `log` and a log of JSON tell it."""
    at, text = moment(data.get("time")), data.get("message")
    if at is None or not isinstance(text, str):
        return None
    return LogLine(
        _whole(data, "number") or 0, at, _text(data, "level", 10), _text(data, "logger", 80), plain(text, 2000)
    )


def account_of(told: Mapping[str, Any], kept: Mapping[str, Any] | None) -> AccountLine:
    """An account as `status` tells it, with what the vault has of it."""
    return AccountLine(
        id=plain(told.get("id", "")),
        label=_text(told, "label", 64),
        state=_text(told, "state", 20) or None,
        reason=_text(told, "reason", 300),
        retry_at=moment(told.get("retry_at")),
        in_flight=_whole(told, "in_flight"),
        breaker=_text(told, "breaker", 20),
        domain=_text(told, "domain", 100),
        requests_today=_whole(told, "requests_today"),
        today=_number(told, "today_usd"),
        month=_number(told, "month_usd"),
        limits=tuple(
            Limit(_text(each, "window", 20), _number(each, "spent_usd"), most)
            for each in _dicts(told, "limits")
            if (most := _number(each, "limit_usd"))
        ),
        models=tuple(
            ModelLine(_text(each, "model", 80) or "(no model)", _text(each, "state", 20), moment(each.get("retry_at")), _number(each, "used"))
            for each in _dicts(told, "models")
        ),
        kept=kept,
    )  # fmt: skip


def proxy_of(told: Mapping[str, Any]) -> Proxy:
    """The proxy as `status` tells it."""
    remembered = _dict(told, "remembered")
    return Proxy(
        address=_text(told, "address", 100),
        version=_text(told, "version", 40),
        pid=_whole(told, "pid") or 0,
        uptime_s=_number(told, "uptime_seconds") or 0.0,
        strategy=_text(told, "strategy", 40),
        switched_to=_text(told, "switched_to", 64),
        available=_whole(told, "available") or 0,
        in_flight=_whole(told, "in_flight") or 0,
        waiting=_whole(told, "waiting") or 0,
        locked=told.get("locked") is True,
        overloaded=tuple(
            Overloaded(_text(each, "model", 80) or "requests without a model", until)
            for each in _dicts(told, "models")
            if (until := moment(each.get("overloaded_until"))) is not None
        ),
        conversations=_whole(remembered, "conversations") or 0,
        things=_whole(remembered, "owners") or 0,
        clients=tuple((_text(each, "name", 64), _number(each, "used") or 0.0) for each in _dicts(told, "clients")),
    )


def blame_of(told: Mapping[str, Any]) -> str:
    """Whose fault it is when something goes wrong; empty when nothing does."""
    blame = _dict(told, "blame")
    who = _text(blame, "who", 40)
    if who in {"", "nobody"}:
        return ""
    if who == "account":
        who = "this account" if len(_list(blame, "accounts")) == 1 else "these accounts"
    who, why = FAULT.get(who, who), _text(blame, "why", 300)
    return f"{who}; {why}" if why else who


def moment(value: object) -> float | None:
    """Unix seconds, of a number or of RFC 3339."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value)
    try:
        return dt.datetime.fromisoformat(value).timestamp() if isinstance(value, str) else None
    except ValueError:
        return None


def _text(data: Mapping[str, Any], name: str, most: int) -> str:
    value = data.get(name)
    return plain(value, most) if isinstance(value, str) else ""


def _number(data: Mapping[str, Any], name: str) -> float | None:
    value = data.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _whole(data: Mapping[str, Any], name: str) -> int | None:
    value = data.get(name)
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _dict(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = data.get(name)
    return value if isinstance(value, Mapping) else {}


def _list(data: Mapping[str, Any], name: str) -> list[Any]:
    value = data.get(name)
    return value if isinstance(value, list) else []


def _dicts(data: Mapping[str, Any], name: str) -> Iterable[Mapping[str, Any]]:
    return (each for each in _list(data, name) if isinstance(each, Mapping))
