"""Error bodies made readable: gzip, deflate, br and zstd, bounded, for classification only.

Law: never raises, never yields more than it is told to (a bomb of a few kilobytes would fill the memory), reads what
there is of a body that was cut. What cannot be decoded is returned as it came; the classifier then goes by the status.
"""

import zlib

from collections.abc import Callable


__all__ = ["LARGEST", "decoded"]

LARGEST = 64 * 1024
"""Semantics §3: at most 64 KiB; OpenAI's errors have under 2 KiB."""


def decoded(body: bytes, encoding: str, limit: int = LARGEST) -> bytes:
    """The first `limit` bytes of a body under its `Content-Encoding`, which may name several."""
    names = [name for part in encoding.lower().split(",") if (name := part.strip()) and name != "identity"]
    if len(names) > 2:  # nobody compresses three times but an attacker
        return body[:limit]
    for name in reversed(names):
        decoder = DECODERS.get(name)
        if decoder is None:
            return body[:limit]
        try:
            body = decoder(body, limit)
        except Exception:  # noqa: BLE001 - four libraries with errors of their own; the status still tells enough
            return body[:limit]
    return body[:limit]


def _gzip(body: bytes, limit: int) -> bytes:
    return zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(body, limit)


def _deflate(body: bytes, limit: int) -> bytes:
    """With the zlib wrapper, as RFC 9110 says, or raw, as some servers send it."""
    try:
        return zlib.decompressobj().decompress(body, limit)
    except zlib.error:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(body, limit)


def _brotli(body: bytes, limit: int) -> bytes:
    import brotli  # type: ignore[import-untyped]  # comes with mitmproxy; loaded when the first such error comes

    decoder = brotli.Decompressor()
    readable: bytes = decoder.process(body, output_buffer_limit=limit)
    return readable


def _zstd(body: bytes, limit: int) -> bytes:
    try:
        from compression import zstd  # type: ignore[import-not-found,unused-ignore]  # Python 3.14's own
    except ImportError:
        import zstandard  # comes with mitmproxy on older ones

        with zstandard.ZstdDecompressor().stream_reader(body) as reader:
            return bytes(reader.read(limit))
    return bytes(zstd.ZstdDecompressor().decompress(body, limit))


DECODERS: dict[str, Callable[[bytes, int], bytes]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "br": _brotli,
    "zstd": _zstd,
}
