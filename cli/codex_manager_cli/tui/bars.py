"""The two lines on top, the line for a filter and the line of keys: what is the same whichever view is shown.

Law: drawn from values as text, never as markup; what does not fit is left out from its end, never wrapped.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from textual import events
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from codex_manager_cli.tui.source import Snapshot
from codex_manager_cli.tui.tone import tone_of
from codex_manager_cli.tui.words import amount, count, left


__all__ = ["KeyBar", "Line", "Tabs", "standing"]

type Piece = tuple[str, str]
"""Text and its tone."""
SEPARATOR: Piece = (" · ", "dim")


class Line(Widget):
    """One line of pieces: some from the left, some at the right end. Mutable state: the pieces, and what a click on them means."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "line--dim", "line--good", "line--warn", "line--bad", "line--accent", "line--strong", "line--key", "line--on",
    }  # fmt: skip
    DEFAULT_CSS = """
    Line { height: 1; width: 1fr; background: $panel; color: $foreground; padding: 0 1; }
    Line > .line--dim { color: $text-muted; }
    Line > .line--good { color: $text-success; }
    Line > .line--warn { color: $text-warning; }
    Line > .line--bad { color: $text-error; text-style: bold; }
    Line > .line--accent { color: $text-accent; }
    Line > .line--strong { text-style: bold; }
    Line > .line--key { color: $text-accent; text-style: bold; }
    Line > .line--on { background: $primary; color: $background; text-style: bold; }
    """

    @dataclass
    class Clicked(Message):
        """A piece that means something was clicked."""

        what: str

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 - textual's name for it
        super().__init__(id=id, classes=classes)
        self._left: tuple[Piece, ...] = ()
        self._right: tuple[Piece, ...] = ()
        self._means: list[tuple[int, int, str]] = []

    @property
    def text(self) -> str:
        """What is written."""
        return "".join(text for text, _ in (*self._left, *self._right))

    def write(self, left: Sequence[Piece], right: Sequence[Piece] = ()) -> None:
        """Show these pieces instead; a tone may be `tone=meaning` for one that can be clicked."""
        if (tuple(left), tuple(right)) != (self._left, self._right):
            self._left, self._right = tuple(left), tuple(right)
            self.refresh()

    def render_line(self, y: int) -> Strip:  # noqa: ARG002 - there is one
        """The line."""
        width, base = self.size.width, self.rich_style
        right = sum(cell_len(text) for text, _ in self._right)
        room = width - right - (2 if right else 0)
        if room < width // 3:
            room, right = width, 0
        segments, at = [], 0
        self._means = []
        for text, tone in self._left:
            if at + cell_len(text) > room:
                if room - at > 4:
                    segments.append(self._segment(text[: room - at - 1] + "…", tone, at))
                    at += cell_len(segments[-1].text)
                elif segments and segments[-1].text == SEPARATOR[0]:
                    at -= cell_len(segments.pop().text)
                break
            segments.append(self._segment(text, tone, at))
            at += cell_len(text)
        if right:
            segments.append(Segment(" " * max(0, width - right - at), base))
            at = max(at, width - right)
            for text, tone in self._right:
                segments.append(self._segment(text, tone, at))
                at += cell_len(text)
        return Strip(segments).adjust_cell_length(width, base)

    def on_click(self, event: events.Click) -> None:
        """Say what the piece under the mouse means."""
        offset = event.get_content_offset(self)
        at = offset.x if offset is not None else -1
        for begin, end, what in self._means:
            if begin <= at < end:
                self.post_message(self.Clicked(what))

    def _segment(self, text: str, tone: str, at: int) -> Segment:
        tone, _, what = tone.partition("=")
        if what:
            self._means.append((at, at + cell_len(text), what))
        if not tone:
            return Segment(text, self.rich_style)
        if tone == "on":
            return Segment(text, self.get_component_rich_style("line--on"))
        return Segment(text, self.rich_style + tone_of(self, f"line--{tone}"))


class Tabs(Line):
    """The names of the views, the one that is shown lit up, and at the right end whether a proxy runs."""

    def tell(self, views: Sequence[tuple[str, str]], shown: str, snapshot: Snapshot | None) -> None:
        """`views` are ids and titles."""
        left: list[Piece] = []
        for number, (name, title) in enumerate(views, 1):
            left.append((f" {number} {title} ", f"{'on' if name == shown else ''}=view:{name}"))
        if snapshot is None:
            right = [("looking …", "dim")]
        elif snapshot.proxy is not None:
            tone = "bad" if snapshot.proxy.locked or not snapshot.proxy.available else "good"
            right = [("● ", tone), (snapshot.proxy.address, "")]
        elif snapshot.trouble:
            right = [("● ", "bad"), ("no answer", "bad")]
        else:
            right = [("○ ", "dim"), ("no proxy", "dim"), ("  S", "key=start"), (" start it", "=start")]
        self.write(left, right)


class KeyBar(Line):
    """The keys of the view that is shown; help is always there."""

    def tell(self, keys: Sequence[tuple[str, str, str]]) -> None:
        """`keys`: what is written on the key, what it does, and its action; as many as there is room for."""
        always: list[Piece] = [("?", "key=help"), (" help", "=help"), ("  q", "key=quit"), (" quit", "=quit")]
        room = self.size.width - sum(cell_len(text) for text, _ in always) - 1
        pieces: list[Piece] = []
        for key, words, action in keys:
            room -= cell_len(key) + cell_len(words) + 3
            if room < 0:
                break
            pieces += [(key, f"key={action}"), (f" {words}  ", f"={action}")]
        self.write(pieces, always)


def standing(snapshot: Snapshot | None) -> list[Piece]:
    """How it goes, in one line; the gravest first."""
    if snapshot is None:
        return [("reading …", "dim")]
    pieces: list[Piece] = []

    def say(text: str, tone: str = "") -> None:
        pieces.extend([SEPARATOR, (text, tone)] if pieces else [(text, tone)])

    proxy = snapshot.proxy
    if snapshot.trouble:
        say(snapshot.trouble, "bad")
    if snapshot.vault == "locked" or (proxy is not None and proxy.locked):
        say("the vault is locked: u unlocks it", "bad")
    elif snapshot.vault == "broken":
        say(snapshot.vault_says, "bad")
    if pinned := snapshot.pinned or (proxy.switched_to if proxy is not None else ""):
        say(f"everything to {pinned}", "accent")
    if proxy is not None and snapshot.accounts:
        say(f"{proxy.available} of {len(snapshot.accounts)} serve", "" if proxy.available else "bad")
        say(f"{proxy.in_flight} in flight")
        if proxy.waiting:
            say(f"{proxy.waiting} waiting", "warn")
    elif not snapshot.accounts and snapshot.vault in {"open", "missing"}:
        say("no accounts yet")
    if snapshot.requests_today is not None:
        failed = f", {count(snapshot.errors_today)} failed" if snapshot.errors_today else ""
        number = snapshot.requests_today
        say(f"{amount(snapshot.today)} today, {count(number)} request{'' if number == 1 else 's'}{failed}")
    if snapshot.blame:
        say(snapshot.blame.removeprefix("this account; ").removeprefix("these accounts; "), "warn")
    if snapshot.vault == "closed":
        say("u opens the vault", "dim")
    if strategy := (proxy.strategy if proxy is not None else "") or snapshot.strategy:
        say(strategy, "dim")
    if proxy is not None:
        say(f"up {left(max(1.0, proxy.uptime_s), 0.0)}", "dim")
    for note in snapshot.notes:
        say(note, "warn")
    return pieces
