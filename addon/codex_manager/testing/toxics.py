"""The vocabulary of faults on the way: what can happen to an answer that would have been good.

Compose with `|`, on a step or with each other: `ok() | delay(0.2) | reset_in_body(10)`. The later one wins where two
say the same thing. Offsets count the bytes on the wire, chunk framing included.
"""

from codex_manager.testing.step import Cut, Toxic


__all__ = [
    "close_announced", "close_at", "close_in_body", "close_mid_stream", "close_silently", "delay", "delay_body", "early",
    "encoded", "hang", "hang_in_body", "hang_mid_stream", "huge_headers", "reset_at", "reset_before_headers",
    "reset_in_body", "reset_mid_stream", "slice_into",
]  # fmt: skip


def delay(seconds: float) -> Toxic:
    """Wait before the first byte of the answer."""
    return Toxic(f"delay({seconds:g})", {"delay_s": seconds})


def delay_body(seconds: float) -> Toxic:
    """Send the head, then wait before the body."""
    return Toxic(f"delay_body({seconds:g})", {"body_delay_s": seconds})


def slice_into(size: int, pause: float = 0.0) -> Toxic:
    """Write segments of `size` bytes with a pause after each."""
    return Toxic(f"slice_into({size})", {"slice_bytes": size, "slice_pause_s": pause})


def reset_at(offset: int) -> Toxic:
    """TCP reset after this many bytes of the answer, head included."""
    return Toxic(f"reset_at({offset})", {"cut": Cut("reset", offset, "wire")})


def reset_before_headers() -> Toxic:
    """TCP reset once the request was read and before any answer: nobody knows whether it was processed."""
    return Toxic("reset_before_headers", {"cut": Cut("reset", 0, "wire")})


def reset_in_body(offset: int = 0) -> Toxic:
    """TCP reset after the head and this many bytes of the body."""
    return Toxic(f"reset_in_body({offset})", {"cut": Cut("reset", offset, "body")})


def reset_mid_stream(pieces: int = 1) -> Toxic:
    """TCP reset after this many pieces of a stream."""
    return Toxic(f"reset_mid_stream({pieces})", {"cut": Cut("reset", pieces, "pieces")})


def close_at(offset: int) -> Toxic:
    """Orderly close (FIN) after this many bytes of the answer, head included."""
    return Toxic(f"close_at({offset})", {"cut": Cut("close", offset, "wire")})


def close_in_body(offset: int = 0) -> Toxic:
    """Orderly close after the head and this many bytes of the body: a short body."""
    return Toxic(f"close_in_body({offset})", {"cut": Cut("close", offset, "body")})


def close_mid_stream(pieces: int = 1) -> Toxic:
    """Orderly close after this many pieces of a stream, without its end."""
    return Toxic(f"close_mid_stream({pieces})", {"cut": Cut("close", pieces, "pieces")})


def hang() -> Toxic:
    """Read the request and never answer."""
    return Toxic("hang", {"cut": Cut("hang", 0, "wire")})


def hang_in_body(offset: int = 0) -> Toxic:
    """Fall silent after the head and this many bytes of the body."""
    return Toxic(f"hang_in_body({offset})", {"cut": Cut("hang", offset, "body")})


def hang_mid_stream(pieces: int = 1) -> Toxic:
    """Fall silent after this many pieces of a stream."""
    return Toxic(f"hang_mid_stream({pieces})", {"cut": Cut("hang", pieces, "pieces")})


def early() -> Toxic:
    """Answer from the request's head alone, while its body is still coming."""
    return Toxic("early", {"early": True})


def close_announced() -> Toxic:
    """Say `Connection: close` and close after the answer."""
    return Toxic("close_announced", {"close": "announced"})


def close_silently() -> Toxic:
    """Close after a complete answer without having said so: the next request on a pooled connection meets it."""
    return Toxic("close_silently", {"close": "silent"})


def encoded(encoding: str = "gzip") -> Toxic:
    """Encode the body with gzip, deflate, br or zstd, whatever the client asked for."""
    return Toxic(f"encoded({encoding})", {"encoding": encoding})


def huge_headers(size: int = 100_000) -> Toxic:
    """Add headers of this many bytes, each at most 8,000 long."""
    values = [min(8000, size - start) for start in range(0, size, 8000)]
    headers = tuple((f"x-filler-{number}", "x" * length) for number, length in enumerate(values))
    return Toxic(f"huge_headers({size})", {"extra_headers": headers})
