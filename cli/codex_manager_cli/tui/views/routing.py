"""What decides: the strategy, what rests or is broken, where conversations and things live, and each decision with its reason."""

import time

from collections.abc import Iterator
from typing import ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from codex_manager.core.telling.reasons import CHOSEN
from codex_manager_cli.tui.bars import Line
from codex_manager_cli.tui.grid import Cell, Column, Grid, Row
from codex_manager_cli.tui.source import AccountLine, Routing, Snapshot, Source
from codex_manager_cli.tui.story import StoryPanel
from codex_manager_cli.tui.view import View, chosen
from codex_manager_cli.tui.words import STATES, clock, left, meter, percent, route, status, whole_why


__all__ = ["RoutingView"]

SECTIONS: Final = ("rests", "conversations", "things", "decisions")
TITLES: Final = {
    "rests": "Rests and breakers",
    "conversations": "Conversations",
    "things": "Things",
    "decisions": "Decisions",
}
COLUMNS: Final = {
    "rests": (
        Column("account", 12, grow=2, most=30), Column("what", 14, grow=2, most=30), Column("state", 10), Column("back in", 8, right=True),
        Column("used", 13, rank=1), Column("why", 14, grow=4, rank=2),
    ),
    "conversations": (
        Column("conversation", 20, grow=3, most=70), Column("at home with", 14, grow=1, most=30), Column("for now with", 14, grow=1, most=30),
        Column("last used", 9, right=True),
    ),
    "things": (
        Column("id", 24, grow=3, most=60), Column("what", 14, grow=1, most=24), Column("whose", 12, grow=1, most=30),
        Column("known", 8, rank=1), Column("seen", 9, right=True, rank=2),
    ),
    "decisions": (
        Column("time", 8), Column("model", 12, grow=1, most=26), Column("accounts", 16, grow=2, most=40), Column("st", 3),
        Column("why", 22, grow=6),
    ),
}  # fmt: skip
NOTHING: Final = {
    "rests": "nothing rests, and no breaker is open: every account can be asked",
    "conversations": "no conversation is bound to an account\n\nwith the strategy `sticky`, and for stored responses, they are",
    "things": "no files, batches or stored responses are known yet",
    "decisions": "no decisions yet: each request is one",
}


class RoutingView(View):
    """Mutable state: what was asked for last, and which of the tables is shown."""

    title = "Routing"
    every_s = 2.0
    shown_keys = ("section(1)", "strategy", "look", "explain")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right_square_bracket", "section(1)", "next table"),
        Binding("left_square_bracket", "section(-1)", "table before"),
        Binding("s", "strategy", "strategy"),
        Binding("x", "explain", "explain an id"),
        Binding("enter", "look", "why"),
    ]
    DEFAULT_CSS = """
    RoutingView #strategy, RoutingView #fault { background: $surface; }
    """

    def __init__(self) -> None:
        super().__init__(id="routing")
        self.strategy, self.fault = Line(id="strategy"), Line(id="fault")
        self.grid = Grid(COLUMNS["rests"], id="routing-table")
        self.panel = StoryPanel()
        self.section = "rests"
        self._known = Routing()

    def compose(self) -> ComposeResult:
        """Two lines on how it is decided, the names of the tables, the one that is shown."""
        yield self.strategy
        yield self.fault
        yield self.head
        yield self.grid
        yield self.panel

    def ask(self, source: Source) -> Routing:
        """Conversations, things and decisions."""
        return source.routing()

    def told(self, value: Routing) -> None:
        """Show it."""
        self._known = value
        self.redraw()

    def glance(self, snapshot: Snapshot) -> None:
        """Rests and breakers are of this moment."""
        super().glance(snapshot)
        self.redraw()

    def on_resize(self) -> None:
        """Sentences where there is room."""
        self._place()
        self.redraw()

    def action_section(self, by: int) -> None:
        """Another table."""
        self.choose(SECTIONS[(SECTIONS.index(self.section) + by) % len(SECTIONS)])

    def choose(self, section: str) -> None:
        """This table."""
        if section != self.section:
            self.section = section
            self.grid.use(COLUMNS[section])
            self.grid.select("")
            self._place()
        self.redraw()

    def action_strategy(self) -> None:
        """Choose another strategy."""
        self.manager.choose_strategy()

    def action_explain(self) -> None:
        """Ask for an id."""
        self.manager.ask_for_request()

    def action_look(self) -> None:
        """Why it went there; for an account, all about it."""
        if (key := self.grid.cursor_key) is None:
            return
        if self.section == "decisions":
            self.manager.explain(key)
        elif self.section == "rests":
            self.manager.show_account(key.partition("\0")[0])

    @on(Grid.Chosen)
    def _chosen(self) -> None:
        self.action_look()

    @on(Grid.Moved)
    def _moved(self, event: Grid.Moved) -> None:
        if self.panel.display:
            self.panel.show(event.key)

    @on(Line.Clicked)
    def _clicked(self, event: Line.Clicked) -> None:
        if event.what in SECTIONS:
            event.stop()
            self.choose(event.what)

    def redraw(self) -> None:
        """The lines and the table."""
        snapshot = self.snapshot
        if snapshot is None:
            return
        now = time.time()
        self._head(snapshot)
        rows = {
            "rests": self._rests,
            "conversations": self._conversations,
            "things": self._things,
            "decisions": self._decisions,
        }
        made = {name: list(make(now)) for name, make in rows.items()}
        empty = NOTHING[self.section]
        if self.filter and made[self.section]:
            empty = f"nothing here has /{self.filter} in it: Esc takes the filter away"
        self.grid.show(chosen(made[self.section], self.filter), empty=empty)
        titles: list[tuple[str, str]] = []
        for name in SECTIONS:
            number = f" {len(made[name])}" if made[name] and name != "decisions" else ""
            titles.append((f" {TITLES[name]}{number} ", f"{'on' if name == self.section else 'dim'}={name}"))
        marks = [(f"  /{self.filter}", "accent")] if self.filter else []
        self.head.write([*titles, *marks])

    def _place(self) -> None:
        self.panel.display = self.is_tall and self.section == "decisions"

    def _head(self, snapshot: Snapshot) -> None:
        proxy = snapshot.proxy
        strategy = (proxy.strategy if proxy is not None else "") or snapshot.strategy or "?"
        words = CHOSEN.get(strategy, ("", ""))[1] or (
            "conversations stay with an account" if strategy == "sticky" else ""
        )
        pinned = snapshot.pinned or (proxy.switched_to if proxy is not None else "")
        if pinned:
            self.strategy.write(
                [("everything goes to ", "dim"), (pinned, "accent"), (f"; then {strategy} again", "dim")]
            )
        else:
            self.strategy.write(
                [("strategy ", "dim"), (strategy, "strong"), (f": {words}" if words else "", "dim")],
                [("s", "key=strategy"), (" changes it", "=strategy")],
            )
        pieces: list[tuple[str, str]] = [("whose fault ", "dim")]
        pieces.append(
            (snapshot.blame, "warn")
            if snapshot.blame
            else (
                "nobody's: all is well" if proxy is not None else "no proxy runs",
                "good" if proxy is not None else "dim",
            )
        )
        if proxy is not None and proxy.overloaded:
            pieces.append(("  overloaded: " + ", ".join(each.model for each in proxy.overloaded), "warn"))
        if proxy is not None and proxy.waiting:
            pieces.append((f"  {proxy.waiting} waiting for an account", "warn"))
        self.fault.write(pieces)

    # The tables ------------------------------------------------------------------------------------------------------

    def _rests(self, now: float) -> Iterator[Row]:
        snapshot = self.snapshot
        assert snapshot is not None
        for account in snapshot.accounts:
            yield from _of_account(account, now)
        for each in snapshot.proxy.overloaded if snapshot.proxy is not None else ():
            rest = left(each.until, now)
            if rest:
                yield Row(
                    f"\0{each.model}",
                    (
                        "every account",
                        each.model,
                        (("overloaded", "warn"),),
                        ((rest, "warn"),),
                        "",
                        "others are asked first",
                    ),
                )

    def _conversations(self, now: float) -> Iterator[Row]:
        for each in self._known.conversations:
            detour = ((each.detour, "warn"),) if each.detour else ""
            yield Row(each.session, (each.session, each.account, detour, _ago(now - each.seen)))

    def _things(self, now: float) -> Iterator[Row]:
        for each in self._known.things:
            sure = "seen" if each.sure else (("named", "dim"),)
            yield Row(each.id, (each.id, each.family, each.account, sure, _ago(now - each.seen)))

    def _decisions(self, now: float) -> Iterator[Row]:  # noqa: ARG002 - as the others
        for line in self._known.decisions:
            yield Row(
                line.id,
                (
                    clock(line.time),
                    line.model or line.endpoint,
                    ((route(line), "warn" if line.tried else ""),),
                    (status(line),),
                    whole_why(line),
                ),
            )


def _of_account(account: AccountLine, now: float) -> Iterator[Row]:
    word, tone = STATES.get(account.state or "", (account.state or "?", "dim"))
    rest = ((left(account.retry_at, now), "warn"),)
    if account.state not in {"ready", None}:
        yield Row(account.id, (account.label, "the account", ((word, tone),), rest, "", account.reason))
    elif account.breaker and account.breaker != "closed":
        yield Row(
            account.id,
            (
                account.label,
                "its breaker",
                ((account.breaker.replace("_", " "), "warn"),),
                rest,
                "",
                "tried again bit by bit",
            ),
        )
    for each in account.models:
        resting = each.state != "ready"
        if not resting and not each.used:
            continue
        used = _used(each.used)
        word, tone = {"resting": ("rests", "warn"), "half_open": ("is tried", "accent")}.get(
            each.state, ("ready", "good")
        )
        why = "rate limited" if resting else ""
        yield Row(
            f"{account.id}\0{each.model}",
            (account.label, each.model, ((word, tone),), ((left(each.retry_at, now), "warn"),), used, why),
        )


def _used(share: float | None) -> Cell:
    if share is None:
        return ""
    used, rest = meter(share, 8)
    return ((used, "warn" if share >= 0.8 else "good"), (rest, "faint"), (f" {percent(share)}", ""))


def _ago(seconds: float) -> str:
    ago = left(max(seconds, 1.0), 0.0)
    return f"{ago} ago"
