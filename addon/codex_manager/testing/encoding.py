"""Content codings for answers: whole bodies and streams piece by piece, so that an encoded stream still arrives live."""

import functools
import zlib

from collections.abc import Callable, Iterable, Iterator

from codex_manager.testing.reply import Piece, Reply, rendered


__all__ = ["encode"]

type Codec = tuple[Callable[[bytes], bytes], Callable[[], bytes], Callable[[], bytes]]
"""Compress, flush so that all so far can be read, finish."""


def codec(encoding: str) -> Codec:
    if encoding in {"gzip", "deflate"}:
        zipped = zlib.compressobj(wbits=31 if encoding == "gzip" else 15)
        return zipped.compress, lambda: zipped.flush(zlib.Z_SYNC_FLUSH), zipped.flush
    if encoding == "br":
        import brotli  # type: ignore[import-untyped]  # comes with mitmproxy, untyped

        brotlied = brotli.Compressor()
        return brotlied.process, brotlied.flush, brotlied.finish
    if encoding == "zstd":
        import zstandard  # comes with mitmproxy

        packed = zstandard.ZstdCompressor().compressobj()
        return packed.compress, lambda: packed.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK), packed.flush
    raise ValueError(f"the fake knows gzip, deflate, br and zstd, not {encoding!r}")


def encode(reply: Reply, encoding: str) -> None:
    """Encode the body of a reply in place and say so in its headers."""
    compress, flush, finish = codec(encoding)
    reply.headers.append(("content-encoding", encoding))
    if isinstance(reply.body, bytes):
        reply.body = compress(reply.body) + finish()
        return

    def packed(piece: Piece) -> bytes:
        return compress(rendered(piece)) + flush()

    def pieces(plain: Iterable[Piece]) -> Iterator[Piece]:
        for piece in plain:
            yield functools.partial(packed, piece)
        yield finish()

    reply.length = None
    reply.body = pieces(reply.body)
