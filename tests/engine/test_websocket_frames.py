"""Bytes to messages and back, on both sides; hostile bytes end the socket with a code and never raise."""

import os
import struct

import pytest

from hypothesis import given, settings
from hypothesis import strategies as st

from codex_manager.engine.websocket_frames import Closed, Frames, Message, Ping, Pong, accept_value, deflate_offers


LIMIT = 1_000_000
DEFLATE = "permessage-deflate; server_max_window_bits=12; client_max_window_bits=11"


def pair(extensions="", limit=LIMIT):
    return (
        Frames(client=True, extensions=extensions, limit=limit),
        Frames(client=False, extensions=extensions, limit=limit),
    )


def masked(opcode, payload, *, fin=True, rsv=0):
    mask = b"\1\2\3\4"
    length = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xff" + struct.pack("!Q", len(payload))
    body = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
    return bytes([(0x80 if fin else 0) | rsv | opcode]) + length + mask + body


def test_the_accept_value_is_that_of_the_rfc():
    assert accept_value(b"dGhlIHNhbXBsZSBub25jZQ==") == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


@pytest.mark.parametrize(
    "extensions", ["", DEFLATE, "permessage-deflate", 'permessage-deflate; server_max_window_bits="10"']
)
def test_messages_arrive_as_they_were_sent_in_any_slices(extensions):
    client, server = pair(extensions)
    sent = [Message("héllo"), Message(b"\x00\xff"), Message(""), Message("x" * 200_000), Message(os.urandom(70_000))]
    for one, other in ((client, server), (server, client)):
        wire = b"".join(one.message(message) for message in sent)
        heard = []
        for start in range(0, len(wire), 1337):
            heard += other.feed(wire[start : start + 1337])
        assert heard == sent


def test_a_fragmented_message_is_one_with_a_ping_between():
    _, server = pair()
    data = masked(1, b"hel", fin=False) + masked(9, b"p") + masked(0, b"lo")
    assert server.feed(data) == [Ping(b"p"), Message("hello")]
    assert server.feed(masked(10, b"q")) == [Pong(b"q")]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x81\x05hello", 1002),  # not masked
        (masked(1, b"\xff\xfe"), 1007),
        (masked(3, b""), 1002),
        (masked(1, b"x", rsv=0x40), 1002),
        (masked(9, b"x", fin=False), 1002),
        (masked(8, b"\x03\xe7"), 1002),  # 999
        (masked(8, b"\x03\xed"), 1002),  # 1005 is never on the wire
        (masked(0, b"continues nothing"), 1002),
        (masked(1, b"x" * (LIMIT + 1)), 1009),
    ],
)
def test_what_breaks_the_protocol_is_closed_with_its_code(data, code):
    _, server = pair()
    (*_, last) = server.feed(data)
    assert isinstance(last, Closed)
    assert (last.code, last.broken) == (code, True)
    assert server.close(last.code) != b""


def test_a_bomb_ends_at_the_limit():
    client, server = pair("permessage-deflate")
    wire = client.message(Message("0" * 50_000_000))
    assert len(wire) < 60_000
    assert server.feed(wire)[-1] == Closed(1009, "message too big", broken=True)


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1001, "bye"), (4000, "own")])
def test_a_close_is_read_answered_once_and_is_the_end(code, reason):
    client, server = pair()
    assert server.feed(client.close(code, reason)) == [Closed(code, reason)]
    assert client.feed(server.close(code)) == [Closed(code, "")]
    assert server.close(1000) == b""
    assert server.message(Message("late")) == b""
    assert server.feed(b"more") == []
    assert not server.is_open


def test_a_close_without_a_code_stays_one():
    client, server = pair()
    assert server.feed(client.close(None)) == [Closed(1005, "")]
    assert server.close(1005) == b"\x88\x00"


@pytest.mark.parametrize(
    "agreed", ["x-other", "permessage-deflate, permessage-deflate", "permessage-deflate; server_max_window_bits=99"]
)
def test_an_extension_nobody_offered_is_an_error(agreed):
    with pytest.raises(ValueError, match=r"."):
        Frames(client=True, extensions=agreed, limit=LIMIT)


def test_of_a_clients_offers_only_deflate_goes_on():
    offered = "x-webkit-deflate-frame, permessage-deflate; client_max_window_bits, x-mux; max=4"
    assert deflate_offers(offered) == "permessage-deflate; client_max_window_bits"
    assert deflate_offers("") == ""


@settings(max_examples=300)
@given(st.lists(st.binary(max_size=200), max_size=5), st.booleans(), st.sampled_from(["", DEFLATE]))
def test_no_bytes_raise(pieces, client, extensions):
    frames = Frames(client=client, extensions=extensions, limit=1000)
    for piece in pieces:
        frames.feed(piece)
    frames.message(Message("x"))
    frames.pong(b"x")
    frames.close(1000, "x")
