"""Error bodies become readable within bounds, and what cannot be decoded stays as it is."""

import gzip
import zlib

import brotli  # type: ignore[import-untyped]  # it ships no types
import pytest
import zstandard

from codex_manager.engine.decode import LARGEST, decoded


TEXT = b'{"error": {"code": "insufficient_quota"}}' * 20
RAW = zlib.compressobj(wbits=-15)
ENCODED = {
    "gzip": gzip.compress(TEXT, mtime=0),
    "x-gzip": gzip.compress(TEXT, mtime=0),
    "deflate": zlib.compress(TEXT),
    "br": brotli.compress(TEXT),
    "zstd": zstandard.compress(TEXT),
    "identity": TEXT,
    "": TEXT,
    " GZip ": gzip.compress(TEXT, mtime=0),
    "gzip, br": brotli.compress(gzip.compress(TEXT, mtime=0)),
    "deflate, identity": RAW.compress(TEXT) + RAW.flush(),
}


@pytest.mark.parametrize(("encoding", "body"), ENCODED.items())
def test_what_openai_and_its_edge_may_use_is_read(encoding, body):
    assert decoded(body, encoding) == TEXT


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
def test_a_bomb_yields_no_more_than_the_limit(encoding):
    bomb = bytes(50_000_000)
    packed = {
        "gzip": gzip.compress,
        "deflate": zlib.compress,
        "br": lambda b: brotli.compress(b, quality=1),
        "zstd": zstandard.compress,
    }
    assert len(decoded(packed[encoding](bomb), encoding)) <= LARGEST


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd", "br"])
def test_a_cut_body_yields_what_there_is(encoding):
    packed = ENCODED[encoding]
    got = decoded(packed[: len(packed) - 4], encoding)
    assert got == packed[: len(packed) - 4] or TEXT.startswith(got)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "compress", "gzip, gzip, gzip", "gzip, unknown"])
def test_what_cannot_be_decoded_stays_as_it_is(encoding):
    assert decoded(b"not encoded at all", encoding) == b"not encoded at all"
