"""Compressed answers in any pieces read as their whole, and nothing that comes breaks the reader."""

import gzip
import random
import zlib

import brotli  # type: ignore[import-untyped]  # comes with mitmproxy
import pytest
import zstandard

from hypothesis import given
from hypothesis import strategies as st

from codex_manager.engine.decode_stream import SLICE, StreamDecoder


RAW = b"".join(b'{"number":%d,"square":%d}\n' % (number, number * number) for number in range(4000))
RAW_DEFLATE = zlib.compressobj(wbits=-zlib.MAX_WBITS)
CODED = {
    "gzip": gzip.compress(RAW),
    "x-gzip": gzip.compress(RAW),
    "deflate": zlib.compress(RAW),
    "Deflate": RAW_DEFLATE.compress(RAW) + RAW_DEFLATE.flush(),
    "br": brotli.compress(RAW, quality=2),
    "zstd": zstandard.compress(RAW),
    "gzip, br": brotli.compress(gzip.compress(RAW), quality=1),
    "identity": RAW,
    "": RAW,
}


@pytest.mark.parametrize("encoding", CODED)
def test_any_pieces_read_as_the_whole(encoding):
    rng = random.Random(3)
    data = CODED[encoding]
    for _ in range(5):
        decoder, read, at = StreamDecoder(encoding), b"", 0
        while at < len(data):
            size = rng.choice([1, 2, 50, 3000])
            read += b"".join(decoder.feed(data[at : at + size]))
            at += size
        assert read == RAW
        assert not decoder.is_lost


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd"])
def test_a_bomb_is_given_up_before_it_fills_the_memory(encoding):
    zeros = bytes(40_000_000)
    data = {"gzip": gzip.compress, "br": lambda raw: brotli.compress(raw, quality=1), "zstd": zstandard.compress}[
        encoding
    ](zeros)
    decoder = StreamDecoder(encoding)
    largest = max(len(piece) for piece in decoder.feed(data))
    assert decoder.is_lost
    assert largest <= 40 * SLICE
    assert list(decoder.feed(data)) == []


@given(
    st.sampled_from(["gzip", "deflate", "br", "zstd", "gzip, gzip", "x", "a,b,c,d"]),
    st.lists(st.binary(max_size=60), max_size=6),
)
def test_no_bytes_raise(encoding, pieces):
    decoder = StreamDecoder(encoding)
    for piece in pieces:
        list(decoder.feed(piece))


def test_what_nobody_can_read_is_lost_at_once():
    assert StreamDecoder("dcb").is_lost
    assert StreamDecoder("gzip, gzip, gzip").is_lost
