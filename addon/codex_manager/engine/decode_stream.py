"""Compressed answers made readable as they pass by: gzip, deflate, br and zstd, piece by piece.

For counting only; the client gets the bytes as they came. Law: never raises, holds no more than a window; what cannot
be decoded, or grows beyond reason, is not read any further, and its usage is estimated instead.
"""

import zlib

from collections.abc import Callable, Iterator


__all__ = ["StreamDecoder"]

SLICE = 256 * 1024
"""Bytes that are handed on at once at most; a piece of 64 KiB can decode to 64 MiB."""
FED = 256
"""Bytes that go into zstd at once: the library for Python before 3.14 knows no limit to what comes out."""
GENEROUS = 16 * 1024 * 1024
STEEPEST = 100
"""More than `GENEROUS` bytes out of less than a hundredth is a bomb; JSON shrinks to a tenth, monotonous JSON to a fiftieth."""

type Step = Callable[[bytes], Iterator[bytes]]


class StreamDecoder:
    """For one answer's `Content-Encoding`, which may name several."""

    __slots__ = ("_came", "_gave", "_steps")

    def __init__(self, encoding: str) -> None:
        names = [name for part in encoding.lower().split(",") if (name := part.strip()) and name != "identity"]
        makers = [MAKERS.get(name) for name in reversed(names)]
        self._steps: list[Step] | None = None
        if len(names) <= 2 and None not in makers:
            try:
                self._steps = [maker() for maker in makers if maker is not None]
            except Exception:  # noqa: BLE001 - a library that is not there; then nothing is read
                self._steps = None
        self._came = self._gave = 0

    @property
    def is_lost(self) -> bool:
        """Nothing more can be read."""
        return self._steps is None

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What can be read now."""
        if self._steps is None:
            return
        self._came += len(data)
        try:
            for piece in self._through(data, 0):
                self._gave += len(piece)
                if self._gave > GENEROUS and self._gave > STEEPEST * self._came:
                    self._steps = None
                    return
                yield piece
        except Exception:  # noqa: BLE001 - four libraries with errors of their own
            self._steps = None

    def _through(self, data: bytes, number: int) -> Iterator[bytes]:
        assert self._steps is not None
        if number == len(self._steps):
            yield data
            return
        for piece in self._steps[number](data):
            yield from self._through(piece, number + 1)


def _zlib(window: int) -> Step:
    decoder = zlib.decompressobj(window)

    def step(data: bytes) -> Iterator[bytes]:
        while data:
            piece = decoder.decompress(data, SLICE)
            data = decoder.unconsumed_tail
            if piece:
                yield piece
            elif not data:
                return

    return step


def _deflate() -> Step:
    """With the zlib wrapper, as RFC 9110 says, or raw, as some servers send it."""
    chosen: Step | None = None

    def step(data: bytes) -> Iterator[bytes]:
        nonlocal chosen
        if chosen is None and data:
            chosen = _zlib(zlib.MAX_WBITS if data[0] & 0x0F == 8 else -zlib.MAX_WBITS)
        if chosen is not None:
            yield from chosen(data)

    return step


def _brotli() -> Step:
    import brotli  # type: ignore[import-untyped]  # comes with mitmproxy; loaded when the first such answer comes

    decoder = brotli.Decompressor()

    def step(data: bytes) -> Iterator[bytes]:
        piece = decoder.process(data, output_buffer_limit=SLICE)
        while piece:
            yield piece
            piece = b"" if decoder.can_accept_more_data() else decoder.process(b"", output_buffer_limit=SLICE)

    return step


def _zstd() -> Step:
    try:
        from compression import zstd  # type: ignore[import-not-found,unused-ignore]  # Python 3.14's own
    except ImportError:
        import zstandard  # comes with mitmproxy on older ones

        older = zstandard.ZstdDecompressor().decompressobj()

        def step(data: bytes) -> Iterator[bytes]:
            for at in range(0, len(data), FED):
                if older.eof:
                    return
                yield older.decompress(data[at : at + FED])

        return step
    decoder = zstd.ZstdDecompressor()

    def limited(data: bytes) -> Iterator[bytes]:
        while not decoder.eof and (data or not decoder.needs_input):
            piece = decoder.decompress(data, SLICE)
            data = b""
            if not piece:
                return
            yield piece

    return limited


MAKERS: dict[str, Callable[[], Step]] = {
    "gzip": lambda: _zlib(zlib.MAX_WBITS | 16),
    "x-gzip": lambda: _zlib(zlib.MAX_WBITS | 16),
    "deflate": _deflate,
    "br": _brotli,
    "zstd": _zstd,
}
