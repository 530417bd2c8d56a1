"""A source that says what a test wants it to say, and the page over it."""

import time

from pathlib import Path

from codex_manager.config.paths import Paths
from codex_manager_cli.tui.app import Manager
from codex_manager_cli.tui.deeds import Deeds
from codex_manager_cli.tui.keyholder import Keyholder
from codex_manager_cli.tui.source import (
    AccountLine,
    Bar,
    Conversation,
    Figures,
    Limit,
    LogLine,
    LogLines,
    ModelLine,
    Proxy,
    RequestLine,
    Routing,
    Snapshot,
    Thing,
    Traffic,
)  # fmt: skip


__all__ = ["NOW", "Staged", "a_request", "page", "staged_accounts", "text_of"]

NOW = 1_795_270_000.0
"""2026-11-21 14:06:40 UTC."""


def a_request(name, **fields):
    """One that went well."""
    known = {
        "time": NOW - 10, "client": "default", "method": "POST", "endpoint": "chat/completions", "model": "gpt-5", "account": "work",
        "by": "least_utilized", "tries": 1, "status": 200, "tokens_in": 1000, "tokens_out": 200, "usd": 0.0123, "duration_s": 1.2,
    }  # fmt: skip
    return RequestLine(id=name, **{**known, **fields})


def staged_accounts():
    """One that is well, one that rests, one that is spent, one that is off."""

    def kept(label, **more):
        known = {
            "id": label, "label": label, "key": "…cdef", "organization": None, "project": None, "base_url": None, "models": [],
            "daily_limit_usd": None, "monthly_limit_usd": None, "priority": 0, "weight": 1.0, "enabled": True, "switched_to": False,
            "admin_key": None, "tags": [], "notes": "", "created_at": "2026-11-01T00:00:00Z", "updated_at": "2026-11-02T00:00:00Z",
            "last_used_at": None,
        }  # fmt: skip
        return {**known, **more}

    return (
        AccountLine(
            id="work", label="work", state="ready", in_flight=2, breaker="closed", requests_today=1234, today=1.5, month=20.0,
            limits=(Limit("day", 1.5, 5.0), Limit("month", 20.0, 24.0)), models=(ModelLine("gpt-5", "ready", None, 0.4),),
            kept=kept("work", priority=10),
        ),
        AccountLine(
            id="home", label="home", state="limited", reason="rate limited", retry_at=NOW + 42, in_flight=0, requests_today=33, today=0.4,
            month=2.1, models=(ModelLine("gpt-5", "resting", NOW + 42, 1.0),), kept=kept("home", models=["gpt-5*"]),
        ),
        AccountLine(
            id="acme", label="acme", state="spent", reason="its daily limit is reached", in_flight=0, requests_today=8, today=2.0, month=2.0,
            limits=(Limit("day", 2.0, 2.0),), kept=kept("acme"),
        ),
        AccountLine(id="old", label="old", state="disabled", reason="disabled", in_flight=0, requests_today=0, today=0.0, month=0.0, kept=kept("old", enabled=False)),
    )  # fmt: skip


class Staged:
    """Says the same each time, but for what a test changes."""

    def __init__(self):
        proxy = Proxy(
            address="127.0.0.1:8080",
            version="0.1.0",
            pid=1,
            uptime_s=11_520,
            strategy="least_utilized",
            available=1,
            in_flight=2,
        )
        self.now_is = Snapshot(
            at=NOW, proxy=proxy, accounts=staged_accounts(), vault="open", strategy="least_utilized", blame="this account; home: rate limited",
            requests_today=1275, errors_today=6, today=3.9,
        )  # fmt: skip
        self.traffics = [
            Traffic(
                (
                    a_request("a" * 32, time=NOW - 20, tried=(("home", "rate"),), tries=2),
                    a_request("b" * 32, time=NOW - 30, model="gpt-5-mini", by="home", usd=0.00001, duration_s=0.034),
                    a_request("c" * 32, time=NOW - 40, status=429, failure="no_available_accounts", account="", by="", tries=0, usd=None,
                              tokens_in=None, tokens_out=None, duration_s=0.001),
                    a_request("d" * 32, time=NOW - 50, failure="gone", client="laptop"),
                ),
                (a_request("e" * 32, time=NOW - 3, duration_s=None, bytes=12_345, by="answering", usd=None, streamed=True),),
                0,
                1,
            )
        ]  # fmt: skip
        self.lines = [
            LogLines(
                (
                    LogLine(1, NOW - 60, "info", "codex_manager", "listening on http://127.0.0.1:8080"),
                    LogLine(2, NOW - 20, "warning", "codex_manager.engine", "home is rate limited for 42 s"),
                ),
                "the running proxy",
            )
        ]
        self.stories = {"a" * 32: ("request  aaaa\n\n1. home, least_utilized: most room left\n   -> 429 after 0.21 s",)}
        self.failing = None

    def snapshot(self):
        if self.failing is not None:
            raise self.failing
        return self.now_is

    def traffic(self):
        return self.traffics.pop(0) if len(self.traffics) > 1 else self.traffics[0]

    def routing(self):
        return Routing(
            (Conversation("5f2c" * 8, "work", "home", NOW - 65),),
            (Thing("file-abc", "files", "work", True, NOW - 3700), Thing("batch_1", "batches", "home", False, NOW - 5)),
            tuple(self.traffics[0].over),
        )

    def figures(self, span, by):
        bars = tuple(
            Bar(f"{hour:02}", hour * 10, 0, hour * 1000, hour * 100, hour / 10, NOW - 3600 * (23 - hour))
            for hour in range(24)
        )
        return Figures(
            span,
            bars,
            by,
            (Bar("work", 2000, 6, 200_000, 20_000, 20.0), Bar("home", 760, 0, 76_000, 7_600, 7.6)),
            "UTC",
        )

    def log(self):
        return self.lines.pop(0) if self.lines else LogLines(origin="the running proxy")

    def story(self, request_id):
        return self.stories.get(request_id, ())


def page(source, size=(80, 24), home=None, environ=None):
    """The application; without a home nothing can be changed."""
    paths = Paths.locate({"CODEX_MANAGER_HOME": str(home or Path("/nowhere/at/all"))})
    keyholder = Keyholder(paths.vault_file, environ or {})
    return Manager(source, Deeds(paths, keyholder), environ={})


def text_of(app):
    """What the terminal shows, without colours."""
    lines = ["".join(segment.text for segment in strip) for strip in app.screen._compositor.render_strips()]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def patient(seconds=10.0):
    """Until when something may take."""
    return time.monotonic() + seconds
