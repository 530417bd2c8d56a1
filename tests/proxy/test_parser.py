"""A request head is read in one way or not at all."""

import pytest

from codex_manager.proxy.incoming import Limits
from codex_manager.proxy.parser import BadHeadError, HeadBuffer, parse_head


GOOD = b"POST /v1/chat/completions?a=b HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nAuthorization: Bearer x\r\nx-Empty:\r\nX-Two:  a b \t"


def test_a_good_head_keeps_order_and_case():
    request = parse_head(GOOD, Limits()).request
    assert request.headers.fields == (
        (b"Host", b"127.0.0.1:8080"),
        (b"Authorization", b"Bearer x"),
        (b"x-Empty", b""),
        (b"X-Two", b"a b"),
    )
    assert (request.method, request.path, request.http_version) == ("POST", "/v1/chat/completions?a=b", "HTTP/1.1")
    assert (request.data.host, request.data.authority) == ("", b"")


@pytest.mark.parametrize(
    ("target", "host", "port", "path"),
    [
        (b"http://api.openai.com/v1/models", "api.openai.com", 80, b"/v1/models"),
        (b"HTTPS://api.openai.com:8443", "api.openai.com", 8443, b"/"),
        (b"https://[::1]:1/x", "::1", 1, b"/x"),
    ],
)
def test_absolute_form_names_its_host(target, host, port, path):
    data = parse_head(b"GET " + target + b" HTTP/1.1\r\nHost: x", Limits()).request.data
    assert (data.host, data.port, data.path) == (host, port, path)


def lines(*more: bytes, first: bytes = b"POST /v1/x HTTP/1.1", host: bytes | None = b"Host: a") -> bytes:
    return b"\r\n".join([first, *([host] if host is not None else []), *more])


BAD = [
    (lines(b"X: a\0b"), 400),
    (lines(b"X: a\rb"), 400),
    (lines(b"X: a\nY: b"), 400),
    (lines(b" folded"), 400),
    (lines(b"X : space before the colon"), 400),
    (lines(b": no name"), 400),
    (lines(b"no colon"), 400),
    (lines(b"Na(me: x"), 400),
    (lines(b"X\x80: x"), 400),
    (lines(b"Authorization: Bearer a", b"authorization: Bearer b"), 400),
    (lines(b"Host: b"), 400),
    (lines(host=None), 400),
    (lines(b"Content-Length: 1", b"Content-Length: 1"), 400),
    (lines(b"Content-Length: 1", b"Transfer-Encoding: chunked"), 400),
    (lines(b"Content-Length: +1"), 400),
    (lines(b"Content-Length: 1,1"), 400),
    (lines(b"Content-Length: 0x10"), 400),
    (lines(b"Content-Length: "), 400),
    (lines(b"Content-Length: 9999999999999999999"), 400),
    (lines(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"), 400),
    (lines(b"Transfer-Encoding: gzip, chunked"), 501),
    (lines(b"Transfer-Encoding: xchunked"), 501),
    (lines(b"Transfer-Encoding: chunked", first=b"POST / HTTP/1.0"), 400),
    (lines(first=b"POST  /v1/x HTTP/1.1"), 400),
    (lines(first=b"POST /v1/x"), 400),
    (lines(first=b"POST /v1/x y HTTP/1.1"), 400),
    (lines(first=b"POST /v1/x HTTP/2.0"), 505),
    (lines(first=b"POST /v1/x HTTP/0.9"), 505),
    (lines(first=b"POST /v1/x http/1.1"), 505),
    (lines(first=b"PO ST /v1/x HTTP/1.1"), 400),
    (lines(first=b"P\x7fST /v1/x HTTP/1.1"), 400),
    (lines(first=b"POST v1/x HTTP/1.1"), 400),
    (lines(first=b"GET ftp://x/ HTTP/1.1"), 400),
    (lines(first=b"GET http://x:99999/ HTTP/1.1"), 400),
    (lines(first=b"GET http:/// HTTP/1.1"), 400),
    (lines(first=b"CONNECT api.openai.com HTTP/1.1"), 400),
    (lines(first=b"GET /\x01 HTTP/1.1"), 400),
    (lines(*[b"X: y"] * 101), 431),
]


@pytest.mark.parametrize(("head", "status"), BAD)
def test_what_two_readers_could_read_differently_is_refused(head, status):
    with pytest.raises(BadHeadError) as caught:
        parse_head(head, Limits())
    assert caught.value.status == status


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_a_head_is_found_however_it_arrives(step):
    buffer = HeadBuffer()
    wire = b"\r\n" + GOOD + b"\r\n\r\n{}"
    found = None
    for start in range(0, len(wire), step):
        buffer.__iadd__(wire[start : start + step])
        if found is None:
            found = buffer.take_head(65536)
    assert found == GOOD
    assert bytes(buffer) == b"{}"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x16\x03\x01\x02\x00", 400),
        (b"GET / HTTP/1.1\nHost: x\n\n", 400),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 70000, 431),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 70000 + b"\r\n\r\n", 431),
    ],
)
def test_what_cannot_become_a_head_is_refused_before_its_end(data, status):
    buffer = HeadBuffer()
    buffer.__iadd__(data)
    with pytest.raises(BadHeadError) as caught:
        buffer.take_head(64 * 1024)
    assert caught.value.status == status


@pytest.mark.parametrize(
    ("version", "said", "close"),
    [
        (b"1.1", None, False),
        (b"1.1", b"Close", True),
        (b"1.1", b"keep-alive, close", True),
        (b"1.0", None, True),
        (b"1.0", b"Keep-Alive", False),
    ],
)
def test_who_closes(version, said, close):
    head = lines(*([b"Connection: " + said] if said else []), first=b"GET / HTTP/" + version)
    assert parse_head(head, Limits()).close is close


@pytest.mark.parametrize(
    ("header", "size"), [(b"X: y", 0), (b"Content-Length: 12", 12), (b"Transfer-Encoding: Chunked", None)]
)
def test_how_much_body_follows(header, size):
    assert parse_head(lines(header), Limits()).size == size
