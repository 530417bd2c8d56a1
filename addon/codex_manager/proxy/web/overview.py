"""The first page: who serves next and why, what is spent, how it went over time, and each decision as it falls.

The page is rendered once by its handler and from then on kept current by topics of the hub, from the same templates. Law: what
changes comes by push; choosing another range or model is a link, so that it works from the keyboard and can be kept as a bookmark.
"""

import asyncio
import datetime as dt
import json
import time

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from tornado import web

from codex_manager.config.schema import DEFAULT_LOCAL_KEYS
from codex_manager.core.record import Record
from codex_manager.core.telling.durations import span
from codex_manager.core.telling.story import Story
from codex_manager.core.telling.story_page import as_page
from codex_manager.core.timeline import Series
from codex_manager.ledger import LedgerError, Reader
from codex_manager.proxy import translate
from codex_manager.proxy.web.feed import Row, row_of
from codex_manager.proxy.web.history import RANGES
from codex_manager.proxy.web.language import Language
from codex_manager.proxy.web.page import Page
from codex_manager.proxy.web.present import MOST_ALERTS, alerts, spenders, verdict
from codex_manager.proxy.web.surroundings import Surroundings


__all__ = ["Explained", "Overview", "topics"]

ROWS: Final = 30
LOOKED_AT: Final = 300
"""Requests whose models are offered for the question who is best."""
MOST_MODELS: Final = 20
LONGEST_MODEL: Final = 100
CHARTS_S: Final = 5.0
FIRST_RANGE: Final = "1h"
MOST_ANSWERS: Final = 50
"""On one WebSocket, shown together."""


class Overview(Page):
    """`/codex`."""

    section = "dashboard"

    def get(self) -> None:
        """The page as it is now; what changes comes by the topics it names."""
        name = self.get_query_argument("range", FIRST_RANGE)
        name = name if name in RANGES else FIRST_RANGE
        wanted = self.get_query_argument("model", None)
        offered = _models(self.web)
        model = (offered[0] if offered else "") if wanted is None else _plain(wanted)
        if model and model not in offered:
            offered.insert(0, model)
        _freshen(self.web, name)
        listened = [("topic", "now"), ("topic", "feed"), ("topic", f"charts:{name}"), ("topic", f"best:{model}")]
        parts = _now(self.web) | _feed(self.web) | _charts(self.web, name) | _best(self.web, model)
        live_at = "/codex/live?" + urlencode(listened)
        self.page(
            "overview.html", ranges=list(RANGES), model=model, models=offered, live_at=live_at, live=False, **parts
        )


class Explained(Page):
    """`/codex/requests/ID`: why one request went where it went."""

    section = "dashboard"

    async def get(self, request_id: str) -> None:
        """As a fragment for the dialog, or as a page of its own."""
        engine = self.web.runtime.engine
        labels = {each.account.id: each.account.label for each in engine.candidates}
        stories = [
            story for each in self.web.recent.answers(request_id) if (story := self.web.recent.story(each.id, labels))
        ]
        if not stories:
            stories = await asyncio.to_thread(_stories, self.web, request_id, labels)
        if not stories:
            raise web.HTTPError(404)
        zone = translate.zone(self.web.runtime.config)
        text = "\n\n\n".join(as_page(story, time.time(), zone) for story in stories[:MOST_ANSWERS])
        is_fragment = bool(self.request.headers.get("HX-Request"))
        self.page("overview/request.html" if is_fragment else "explained.html", text=text, request_id=request_id)


def topics(surroundings: Surroundings) -> None:
    """Tell the hub what of the page changes."""
    hub = surroundings.hub

    def now(language: Language) -> dict[str, str]:
        return _parts(language, _now(surroundings), "standing", "alerts", "tiles", "spending")

    def feed(language: Language) -> dict[str, str]:
        return _parts(language, _feed(surroundings), "feed")

    def charts(language: Language, name: str) -> dict[str, str]:
        if name not in RANGES:
            return {}
        _freshen(surroundings, name)
        return _parts(language, _charts(surroundings, name), "told", "figures")

    def best(language: Language, model: str) -> dict[str, str]:
        return _parts(language, _best(surroundings, _plain(model)), "best")

    hub.topic("now", now)
    hub.topic("feed", feed)
    hub.family("charts", charts, interval_s=CHARTS_S)
    hub.family("best", best)


def _parts(language: Language, values: Mapping[str, Any], *names: str) -> dict[str, str]:
    return {name: language.render(f"overview/{name}.html", {**values, "live": True}) for name in names}


# What templates are given -------------------------------------------------------------------------------------------------


def _now(web: Surroundings) -> dict[str, Any]:
    runtime, engine = web.runtime, web.runtime.engine
    config = runtime.config
    report, status = engine.report(), runtime.status()
    warn_at = config.metering.warn_at
    ledger = status["ledger"]
    problem = (ledger["problem"] or "") if isinstance(ledger, dict) and not ledger["ok"] else ""
    found = alerts(engine, report, metering=config.metering.enabled, problem=problem, warn_at=warn_at)
    shown, more = spenders(engine, report.accounts, warn_at=warn_at)
    spent = [engine.state.spending.spent(("account", account.id)) for account in report.accounts]
    known = [each for each in spent if each is not None]
    uptime = int(str(status["uptime_seconds"]))
    hour = web.history.series("1h")
    return {
        "status": status,
        "report": report,
        "uptime": span(uptime if uptime < 60 else uptime // 60 * 60),  # so that it changes once a minute
        "alerts": found[:MOST_ALERTS],
        "more_alerts": max(len(found) - MOST_ALERTS, 0),
        "spenders": shown,
        "more_spenders": more,
        "metering": config.metering.enabled,
        "today": float(sum(each[0] for each in known)) if known else None,
        "month": float(sum(each[1] for each in known)) if known else None,
        "hour": None if hour is None else hour.total,
        "endpoint": web.endpoint,
    }


def _best(web: Surroundings, model: str) -> dict[str, Any]:
    priced = web.runtime.knows_prices()
    return {
        "verdict": verdict(web.runtime.engine, model, priced=priced),
        "strategy": web.runtime.engine.policy.strategy,
    }


def _feed(web: Surroundings) -> dict[str, Any]:
    config = web.runtime.config
    rows: list[Row] = [row_of(record) for record in web.recent.latest(ROWS)]
    return {
        "rows": rows,
        "metering": config.metering.enabled,
        "endpoint": web.endpoint,
        "local_key": DEFAULT_LOCAL_KEYS[0] if config.has_default_key else None,
    }


def _charts(web: Surroundings, name: str) -> dict[str, Any]:
    history = web.history
    chart, table = history.series(name), history.series(name, rows=True)
    return {
        "range": name,
        "by_day": name == "30d",
        "total": None if chart is None else chart.total,
        "data": json.dumps(_series(chart, name, web), separators=(",", ":")),
        "steps": [] if table is None else list(zip(table.starts, table.sums, strict=True))[::-1],
        "dates": _dates(table, web) if name == "30d" else {},
        "known_from": history.known_from if name == "24h" else None,
        "metering": web.runtime.config.metering.enabled,
    }


def _series(series: Series | None, name: str, web: Surroundings) -> dict[str, Any]:
    """For the charts: columns of numbers, None where there is nothing."""
    if series is None:
        return {"range": name, "step": RANGES[name].step_s, "t": []}
    return {
        "range": name,
        "step": series.step_s,
        "t": series.starts,
        "dates": list(_dates(series, web).values()) if name == "30d" else None,
        "requests": [each.requests for each in series.sums],
        "failovers": [each.failovers for each in series.sums],
        "failed": [each.failed for each in series.sums],
        "p50": [_rounded(each.percentile(0.5)) for each in series.sums],
        "p95": [_rounded(each.percentile(0.95)) for each in series.sums],
        "usd": [round(each.usd, 6) for each in series.sums],
    }


def _dates(series: Series | None, web: Surroundings) -> dict[int, str]:
    """The dates of days, in the zone in which they begin."""
    zone = translate.zone(web.runtime.config)
    return {} if series is None else {at: f"{dt.datetime.fromtimestamp(at, zone):%Y-%m-%d}" for at in series.starts}


def _rounded(number: float | None) -> float | None:
    return None if number is None else float(f"{number:.3g}")


def _models(web: Surroundings) -> list[str]:
    """Those asked for lately, the most frequent first."""
    counted = Counter(record.model for record in web.recent.latest(LOOKED_AT) if record.model)
    return [name for model, _ in counted.most_common(MOST_MODELS) if (name := _plain(model)) == model]


def _plain(model: str) -> str:
    """A model's name as it may stand on a page and in an address."""
    return "".join(c for c in model[:LONGEST_MODEL] if c.isprintable())


def _freshen(web: Surroundings, name: str) -> None:
    if web.runtime.config.metering.enabled:
        web.history.freshen(name, then=lambda: web.hub.hurry("charts", "now"))


def _stories(web: Surroundings, request_id: str, labels: Mapping[str, str]) -> list[Story]:
    """A request, or all answers on one WebSocket, from the ledger. Blocks."""
    try:
        with Reader.open(web.paths.ledger_file) as reader:
            found = reader.like(request_id, 4 * MOST_ANSWERS)
            known = {**reader.labels(), **labels}
    except LedgerError:
        return []

    def is_it(record: Record) -> bool:
        return record.id == request_id or record.id.startswith(f"{request_id}.")

    main = [record for record in reversed(found) if "attempt_of" not in record.detail and is_it(record)]
    return [
        Story(each, tuple(r for r in reversed(found) if r.detail.get("attempt_of") == each.id), known, tuple(labels))
        for each in main
    ]
