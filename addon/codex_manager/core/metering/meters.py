"""Meters: they watch the bytes of one answer go by and say what it used.

Law of all of them: `feed` takes the decoded bytes in any pieces, changes none, keeps at most 64 KiB whatever passes,
and never raises; an answer that makes no sense is an answer that said nothing. A stream's ordinary events are not
parsed: one search for the bytes that only the interesting ones have.
"""

import json
import re

from dataclasses import replace
from typing import Any, Final, Protocol

from codex_manager.core.metering.estimates import estimated
from codex_manager.core.metering.glance import chat_answer
from codex_manager.core.metering.kinds import CHAT, Kind, Seen
from codex_manager.core.metering.skim import Skimmer
from codex_manager.core.metering.units import NO_UNITS, Units
from codex_manager.core.usage import Usage


__all__ = ["BytesMeter", "JsonMeter", "Meter", "StreamMeter", "TextMeter"]

SMALL: Final = 16 * 1024
"""Bytes. A document, or an event, up to this size is parsed whole: the C parser is quicker there than stepping over what
is not wanted (17 µs against 70 µs for a chat answer of 1.2 kB; from 100 kB on it is the other way round). Most answers of
a chat are not even parsed (core.metering.glance).
"""
BYTES_PER_TOKEN: Final = 4
ENVELOPE: Final = 500
"""Bytes of a JSON answer around its text."""
DELTA_ENVELOPE: Final = 250
"""Bytes of an event of the Responses API around its few letters."""


class Meter(Protocol):
    """Watches one answer."""

    settles: bool
    """The answer shows an object that an earlier request made: its figures settle that one, and this request used nothing."""

    def feed(self, data: bytes) -> None:
        """The next decoded bytes of the answer's body."""
        ...

    def usage(self) -> Usage | None:
        """The upstream's own figures, as soon as it said them; None until then, or for ever."""
        ...

    def output_estimate(self) -> int:
        """Tokens of output that passed by so far, about."""
        ...

    def estimate(self, request_tokens: int) -> Usage:
        """For an answer that is over without figures: what it used, about, flagged; never nothing."""
        ...

    @property
    def finished(self) -> bool:
        """The figures, or the end of the stream or of the job, have been seen."""
        ...

    @property
    def object_id(self) -> str | None:
        """Of what was made or shown."""
        ...

    @property
    def status(self) -> str | None:
        """The object's own: `queued`, `in_progress`, `completed` …"""
        ...


class _Watching:
    """What all meters share."""

    __slots__ = ("_model", "_passed", "_seen", "_units", "settles")

    def __init__(self, *, units: Units = NO_UNITS, model: str | None = None, settles: bool = False) -> None:
        self.settles = settles
        self._units = units
        self._model = model or ""
        self._passed = 0
        self._seen = Seen(self._model, units)

    def _look(self) -> Seen:
        """All that is known by now."""
        return self._seen

    def usage(self) -> Usage | None:
        return self._look().usage

    def output_estimate(self) -> int:
        return 0

    def estimate(self, request_tokens: int) -> Usage:
        seen = self._look()
        model = seen.model or self._model
        return estimated(request_tokens, self.output_estimate(), units=self._units, model=model, tier=seen.tier)

    @property
    def finished(self) -> bool:
        return self._look().finished

    @property
    def object_id(self) -> str | None:
        return self._look().object_id

    @property
    def status(self) -> str | None:
        return self._look().status


class JsonMeter(_Watching):
    """An answer that is one JSON document. It is read when it is asked about."""

    __slots__ = ("_held", "_is_new", "_kind", "_skimmer")

    def __init__(self, kind: Kind, *, units: Units = NO_UNITS, model: str | None = None, settles: bool = False) -> None:
        super().__init__(units=units, model=model, settles=settles)
        self._kind = kind
        self._held: list[bytes] = []
        self._skimmer: Skimmer | None = None
        self._is_new = False

    def feed(self, data: bytes) -> None:
        self._is_new = True
        self._passed += len(data)
        if self._skimmer is not None:
            self._skimmer.feed(data)
            return
        self._held.append(data)
        if self._passed > SMALL:
            self._skim()

    def _skim(self) -> Skimmer:
        self._skimmer = Skimmer(self._kind.wanted)
        self._skimmer.feed(b"".join(self._held))
        self._held.clear()
        return self._skimmer

    def _look(self) -> Seen:
        if self._is_new:
            self._is_new = False
            self._seen = seen = Seen(self._model, self._units)
            if self._skimmer is None:
                data = self._held[0] if len(self._held) == 1 else b"".join(self._held)
                if self._kind is CHAT and "-search-" not in self._model and (found := chat_answer(data)) is not None:
                    seen.object_id, seen.usage = found
                    seen.model, seen.tier = seen.usage.model, seen.usage.tier
                    seen.finished = True
                    return seen
                document = parsed(data)
                if document is not None:
                    self._kind.read(seen, document)
                    return seen
            # Large, or not whole yet, or cut off.
            skimmer = self._skimmer or self._skim()
            seen.is_whole = skimmer.is_whole
            self._kind.read(seen, skimmer.found)
        return self._seen

    def output_estimate(self) -> int:
        if self._kind.delta is None or not self._passed:
            return 0
        return max((self._passed - ENVELOPE) // BYTES_PER_TOKEN, 1)


class StreamMeter(_Watching):
    """An answer of server-sent events. Reads lines, as OpenAI writes each event's data in one."""

    __slots__ = ("_about", "_base", "_deltas", "_is_between", "_kind", "_line", "_named", "_over", "_skimmer")

    def __init__(self, kind: Kind, *, units: Units = NO_UNITS, model: str | None = None, settles: bool = False) -> None:
        super().__init__(units=units, model=model, settles=settles)
        self._kind = kind
        self._line = bytearray()
        """The beginning of a line that is not complete."""
        self._skimmer: Skimmer | None = None
        """Reads a line too long to be held."""
        self._over = False
        """A line too long to be held is stepped over: it is no data."""
        self._named = not kind.first
        self._is_between = self._named
        """All that came before was whole lines, and the names are known."""
        self._deltas = 0
        self._about = 0
        """Bytes that had deltas in them."""
        self._base = DELTA_ENVELOPE
        """Bytes around an event's text."""

    def feed(self, data: bytes) -> None:
        kind = self._kind
        if kind.delta is not None and (deltas := data.count(kind.delta)):
            self._deltas += deltas
            self._about += len(data)
        # The straight way: whole lines, none of them of interest.
        if (
            self._is_between
            and ((at := data.find(kind.hint)) < 0 or kind.marker.search(data, at) is None)
            and data.endswith(b"\n")
            and b"[DONE]" not in data
        ):
            return
        self._read(data)
        self._is_between = self._named and not self._line and not self._over and self._skimmer is None

    def _read(self, data: bytes) -> None:
        """Line by line."""
        begin = 0
        if self._line or self._over or self._skimmer is not None:
            begin = data.find(b"\n") + 1
            if not begin:
                self._hold(data)
                return
            self._hold(data[: begin - 1])
            self._end_line()
        end = data.rfind(b"\n") + 1
        if end > begin:
            for line in data[begin:end].split(b"\n"):
                if line.startswith(b"data"):
                    self._read_line(line)
        if end < len(data):
            self._hold(data[max(end, begin) :])

    def _hold(self, piece: bytes) -> None:
        """More of a line whose end has not come."""
        if self._skimmer is not None:
            self._skimmer.feed(piece)
        elif not self._over:
            self._line += piece
            if len(self._line) > SMALL:
                if self._line.startswith(b"data:"):
                    self._skimmer = Skimmer(self._kind.wanted)
                    self._skimmer.feed(bytes(self._line[5:]))
                else:
                    self._over = True
                self._line.clear()

    def _end_line(self) -> None:
        self._over = False
        if self._skimmer is not None:
            skimmer, self._skimmer = self._skimmer, None
            self._seen.is_whole = skimmer.is_whole
            self._kind.read(self._seen, skimmer.found)
            self._named = True
        elif self._line:
            line = bytes(self._line)
            self._line.clear()
            if line.startswith(b"data"):
                self._read_line(line)

    def _read_line(self, line: bytes) -> None:
        kind = self._kind
        if self._named and kind.marker.search(line) is None:
            if line[5:].strip() == b"[DONE]":
                self._seen.finished = True
            return
        if kind.passed_over is not None and self._named and kind.passed_over in line[:200]:
            return
        if len(line) > SMALL:
            skimmer = Skimmer(kind.wanted)
            skimmer.feed(line[5:])
            document: dict[str, Any] | None = skimmer.found
        else:
            document = parsed(line[5:])
        if document is None:
            return
        if not self._named:
            self._named = True
            self._base = len(line) + 2  # with its line ends
        self._seen.is_whole = True
        kind.read(self._seen, document)

    def output_estimate(self) -> int:
        delta = self._kind.delta
        if delta is None or not self._deltas:
            return 0
        # The first event of a chat has no text. A token is an event nearly always; servers that send more of them in
        # one are caught by the length.
        events, base = (self._deltas - 1, self._base) if delta == b"data:" else (self._deltas, DELTA_ENVELOPE)
        return max(events, (self._about - self._deltas * base) // BYTES_PER_TOKEN, 0)


class BytesMeter(_Watching):
    """Speech as the bytes of a sound file: only the request knows what it costs."""

    __slots__ = ()

    def feed(self, data: bytes) -> None:
        if data and not self._passed and self._units.characters and self._model.startswith("tts-1"):
            # Billed by the characters of the request, however much of the sound is listened to.
            self._seen.settle(Usage(characters=self._units.characters))
        self._passed += len(data)


class TextMeter(_Watching):
    """A transcript as text or subtitles; subtitles end with the time up to which somebody speaks."""

    __slots__ = ("_tail",)

    def __init__(self, *, units: Units = NO_UNITS, model: str | None = None, settles: bool = False) -> None:
        super().__init__(units=units, model=model, settles=settles)
        self._tail = b""

    def feed(self, data: bytes) -> None:
        self._passed += len(data)
        self._tail = (self._tail + data[-_TAIL:])[-_TAIL:]

    def estimate(self, request_tokens: int) -> Usage:
        times = _TIME.findall(self._tail)
        if times:
            hours, minutes, rest = times[-1]
            heard = int(hours or 0) * 3600 + int(minutes) * 60 + float(rest.replace(b",", b"."))
            self._units = replace(self._units, heard_s=max(heard, 1.0))
        return super().estimate(request_tokens)

    def output_estimate(self) -> int:
        return -(-self._passed // BYTES_PER_TOKEN)


_TAIL: Final = 2048
_TIME = re.compile(rb"--> (?:(\d{1,4}):)?(\d\d):(\d\d[.,]\d{3})")


def parsed(data: bytes) -> dict[str, Any] | None:
    """A JSON object; None for anything else."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None
