"""Sixty malformed requests, over HTTP/1.1 and over HTTP/2, inside TLS: none reaches the upstream, the next one is served."""

import contextlib
import re
import time

import pytest

from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    HeadersFrame,
    PriorityFrame,
    PushPromiseFrame,
    SettingsFrame,
    WindowUpdateFrame,
)
from tests.e2e.forward import CHAT, H2, HOST, authorized, everything, pseudo, request, secure
from tests.support import LOCAL_KEY, account, make_home, running_proxy

from codex_manager.testing import FakeOpenAI, in_thread


KEY = f"Bearer {LOCAL_KEY}".encode()
AUTH = b"Authorization: " + KEY + b"\r\n"
HOSTLINE = f"Host: {HOST}\r\n".encode()
LINE = b"POST /v1/chat/completions HTTP/1.1\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(CHAT)
STATUS_LINE = re.compile(rb"^HTTP/1\.1 \d", re.MULTILINE)
SERVED_WITHIN = 0.1  # seconds; what the next good request may take


def h1(line=LINE, host=HOSTLINE, auth=AUTH, framing=LENGTH, extra=b"", body=CHAT, end=b"\r\n"):
    return line + host + auth + framing + extra + end + body


CHUNKED = b"Transfer-Encoding: chunked\r\n"
SMUGGLED = b"GET /v1/models HTTP/1.1\r\n" + HOSTLINE + b"\r\n"
HTTP1 = {
    "no host": h1(host=b""),
    "two hosts": h1(host=HOSTLINE * 2),
    "empty host": h1(host=b"Host:\r\n"),
    "another host": h1(host=b"Host: www.example.com\r\n"),
    "the listener as host": h1(host=b"Host: 127.0.0.1\r\n"),
    "host with user": h1(host=f"Host: x@{HOST}\r\n".encode()),
    "host with path": h1(host=f"Host: {HOST}/x\r\n".encode()),
    "two keys": h1(auth=AUTH * 2),
    "a key and another": h1(auth=AUTH + b"Authorization: Bearer sk-x\r\n"),
    "basic key": h1(auth=b"Authorization: Basic eDp5\r\n"),
    "no key": h1(auth=b""),
    "empty key": h1(auth=b"Authorization: Bearer \r\n"),
    "key with a line folded": h1(auth=b"Authorization: Bearer\r\n " + LOCAL_KEY.encode() + b"\r\n"),
    "length and chunked": h1(framing=LENGTH + CHUNKED),
    "chunked and length": h1(framing=CHUNKED + LENGTH, body=b"0\r\n\r\n" + SMUGGLED),
    "two lengths": h1(framing=LENGTH * 2),
    "two different lengths": h1(framing=LENGTH + b"Content-Length: 0\r\n"),
    "list of lengths": h1(framing=b"Content-Length: 5, 5\r\n"),
    "negative length": h1(framing=b"Content-Length: -1\r\n"),
    "plus length": h1(framing=b"Content-Length: +5\r\n"),
    "hex length": h1(framing=b"Content-Length: 0x43\r\n"),
    "length with underscore": h1(framing=b"Content-Length: 6_7\r\n"),
    "huge length": h1(framing=b"Content-Length: 99999999999999999999\r\n"),
    "length over the limit": h1(framing=b"Content-Length: 999999999999\r\n"),
    "empty length": h1(framing=b"Content-Length:\r\n"),
    "superscript length": h1(framing="Content-Length: ²\r\n".encode()),
    "gzip coding": h1(framing=b"Transfer-Encoding: gzip, chunked\r\n"),
    "chunked twice": h1(framing=b"Transfer-Encoding: chunked, chunked\r\n"),
    "identity coding": h1(framing=b"Transfer-Encoding: identity\r\n"),
    "xchunked": h1(framing=b"Transfer-Encoding: xchunked\r\n"),
    "chunked by a tab": h1(framing=b"Transfer-Encoding:\tchunked\r\nTransfer-Encoding: identity\r\n"),
    "space before the colon": h1(framing=b"Content-Length : 5\r\n"),
    "space before the name": h1(extra=b" X-Folded: 1\r\n"),
    "bad chunk size": h1(framing=CHUNKED, body=b"zz\r\n{}\r\n0\r\n\r\n"),
    "negative chunk size": h1(framing=CHUNKED, body=b"-2\r\n{}\r\n0\r\n\r\n"),
    "endless chunk size": h1(framing=CHUNKED, body=b"0" * 20_000 + b"\r\n"),
    "chunk without its end": h1(framing=CHUNKED, body=b"2\r\n{}xx0\r\n\r\n"),
    "chunked trailers": h1(framing=CHUNKED, body=b"2\r\n{}\r\n0\r\nAuthorization: Bearer x\r\n\r\n"),
    "bare line feeds": h1().replace(b"\r\n", b"\n"),
    "a bare line feed": h1(extra=b"X-A: 1\nX-B: 2\r\n"),
    "a bare return": h1(extra=b"X-A: 1\rX-B: 2\r\n"),
    "nul in a value": h1(extra=b"X-A: 1\x002\r\n"),
    "nul in a name": h1(extra=b"X-\x00A: 1\r\n"),
    "control character": h1(extra=b"X-A: \x01\r\n"),
    "no colon": h1(extra=b"nonsense\r\n"),
    "empty name": h1(extra=b": value\r\n"),
    "name in brackets": h1(extra=b"X(A): 1\r\n"),
    "too many headers": h1(extra=b"".join(b"X-%d: 1\r\n" % n for n in range(150))),
    "a long header": h1(extra=b"X-A: " + b"y" * 70_000 + b"\r\n"),
    "a long path": h1(line=b"POST /v1/" + b"y" * 70_000 + b" HTTP/1.1\r\n"),
    "space in the path": h1(line=b"POST /v1/chat completions HTTP/1.1\r\n"),
    "no version": h1(line=b"POST /v1/chat/completions\r\n"),
    "http/2.0": h1(line=b"POST /v1/chat/completions HTTP/2.0\r\n"),
    "http/1.2": h1(line=b"POST /v1/chat/completions HTTP/1.2\r\n"),
    "lower case version": h1(line=b"POST /v1/chat/completions http/1.1\r\n"),
    "dots in the path": h1(line=b"POST /v1/../admin HTTP/1.1\r\n"),
    "encoded dots": h1(line=b"POST /v1/%2e%2e/admin HTTP/1.1\r\n"),
    "twice encoded dots": h1(line=b"POST /v1/%252e%252e/admin HTTP/1.1\r\n"),
    "backslash dots": h1(line=b"POST /v1/..%5cadmin HTTP/1.1\r\n"),
    "empty segment": h1(line=b"POST /v1//chat/completions HTTP/1.1\r\n"),
    "not below v1": h1(line=b"POST /admin HTTP/1.1\r\n"),
    "fragment": h1(line=b"POST /v1/chat/completions#x HTTP/1.1\r\n"),
    "raw non-ascii": h1(line="POST /v1/ü HTTP/1.1\r\n".encode()),
    "encoded line end": h1(line=b"POST /v1/x%0d%0aX-A:1 HTTP/1.1\r\n"),
    "whole url of another": h1(line=b"POST http://www.example.com/v1/chat/completions HTTP/1.1\r\n"),
    "asterisk": h1(line=b"POST * HTTP/1.1\r\n"),
    "connect inside": h1(line=f"CONNECT {HOST}:443 HTTP/1.1\r\n".encode(), framing=b"", body=b""),
    "trace": h1(line=b"TRACE /v1/models HTTP/1.1\r\n", framing=b"", body=b""),
    "method with a slash": h1(line=b"PO/ST /v1/chat/completions HTTP/1.1\r\n"),
    "endless method": h1(line=b"P" * 200 + b" /v1/chat/completions HTTP/1.1\r\n"),
    "body cut short": h1(framing=b"Content-Length: 9999\r\n"),
    "head cut short": h1()[:60],
    "tls inside tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 60,
    "h2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00" * 9,
    "noise": bytes(range(256)),
    "web page": h1(extra=b"Origin: https://evil.example\r\n"),
    "cross site": h1(extra=b"Sec-Fetch-Site: cross-site\r\n"),
    "preflight": h1(extra=b"Access-Control-Request-Method: POST\r\n"),
}


def h2of(*extra, path=b"/v1/chat/completions", method=b"POST", drop=(), **options):
    return [
        (n, v) for n, v in authorized(*extra, path=path, method=method) if n not in drop or v == b"Basic eDp5"
    ], options.get("body", CHAT)


def frame(kind, *args, **kwargs):
    return kind(*args, **kwargs).serialize()


HTTP2 = {
    "no key": h2of(drop=(b"authorization",)),
    "two keys": h2of((b"authorization", KEY)),
    "a key and another": h2of((b"authorization", b"Bearer sk-x")),
    "basic key": h2of((b"authorization", b"Basic eDp5"), drop=(b"authorization",)),
    "empty key": ([*pseudo(), (b"authorization", b"Bearer ")], CHAT),
    "key with a line end": ([*pseudo(), (b"authorization", KEY + b"\r\nx: y")], CHAT),
    "key with nul": ([*pseudo(), (b"authorization", KEY + b"\0")], CHAT),
    "key with a space after": ([*pseudo(), (b"authorization", KEY + b" ")], CHAT),
    "key in upper case name": ([*pseudo(), (b"Authorization", KEY)], CHAT),
    "no method": h2of(drop=(b":method",)),
    "no scheme": h2of(drop=(b":scheme",)),
    "no path": h2of(drop=(b":path",)),
    "no authority": h2of(drop=(b":authority",)),
    "empty authority": ([(n, b"" if n == b":authority" else v) for n, v in authorized()], CHAT),
    "another authority": ([(n, b"www.example.com" if n == b":authority" else v) for n, v in authorized()], CHAT),
    "the listener as authority": ([(n, b"127.0.0.1" if n == b":authority" else v) for n, v in authorized()], CHAT),
    "authority with user": ([(n, b"x@" + v if n == b":authority" else v) for n, v in authorized()], CHAT),
    "authority with space": ([(n, v + b" x" if n == b":authority" else v) for n, v in authorized()], CHAT),
    "another host": h2of((b"host", b"www.example.com")),
    "two hosts": h2of((b"host", HOST.encode()), (b"host", b"x.example")),
    "empty path": h2of(path=b""),
    "two paths": ([(b":path", b"/v1/x"), *authorized()], CHAT),
    "two methods": ([(b":method", b"GET"), *authorized()], CHAT),
    "unknown pseudo header": ([(b":protocol", b"websocket"), *authorized()], CHAT),
    "pseudo header after": h2of((b":path", b"/v1/x")),
    "status in a request": ([(b":status", b"200"), *authorized()], CHAT),
    "empty name": h2of((b"", b"x")),
    "upper case name": h2of((b"X-A", b"1")),
    "name with a space": h2of((b"x a", b"1")),
    "name with a colon": h2of((b"x:a", b"1")),
    "name with nul": h2of((b"x\0a", b"1")),
    "name with a line end": h2of((b"x-a: 1\r\nx-b", b"1")),
    "value with a line end": h2of((b"x-a", b"1\r\nx-b: 2")),
    "value with nul": h2of((b"x-a", b"1\0")),
    "value with control": h2of((b"x-a", b"\x01")),
    "connection": h2of((b"connection", b"close")),
    "keep-alive": h2of((b"keep-alive", b"5")),
    "proxy-connection": h2of((b"proxy-connection", b"keep-alive")),
    "chunked": h2of((b"transfer-encoding", b"chunked")),
    "upgrade": h2of((b"upgrade", b"websocket")),
    "te gzip": h2of((b"te", b"gzip")),
    "short length": h2of((b"content-length", b"5")),
    "long length": h2of((b"content-length", b"5000")),
    "two lengths": h2of((b"content-length", b"67"), (b"content-length", b"1")),
    "no number length": h2of((b"content-length", b"x")),
    "negative length": h2of((b"content-length", b"-1")),
    "length over the limit": h2of((b"content-length", b"999999999999")),
    "dots in the path": h2of(path=b"/v1/../admin"),
    "encoded dots": h2of(path=b"/v1/%2e%2e/admin"),
    "empty segment": h2of(path=b"/v1//chat/completions"),
    "not below v1": h2of(path=b"/admin"),
    "whole url": h2of(path=b"https://api.openai.com/v1/chat/completions"),
    "fragment": h2of(path=b"/v1/chat/completions#x"),
    "space in the path": h2of(path=b"/v1/chat completions"),
    "line end in the path": h2of(path=b"/v1/x\r\nX-A: 1"),
    "raw non-ascii": h2of(path="/v1/ü".encode()),
    "asterisk": h2of(path=b"*"),
    "connect": ([(b":method", b"CONNECT"), (b":authority", HOST.encode()), (b"authorization", KEY)], CHAT),
    "connect with a path": h2of(method=b"CONNECT"),
    "trace": h2of(method=b"TRACE"),
    "method with a space": h2of(method=b"PO ST"),
    "method with a line end": h2of(method=b"POST / HTTP/1.1\r\nX: 1\r\n\r\nGET"),
    "empty method": h2of(method=b""),
    "too many headers": h2of(*((b"x-%d" % n, b"1") for n in range(150))),
    "a long header": h2of(*((b"x-%d" % n, b"y" * 15_000) for n in range(5))),
    "a huge header block": h2of(*((b"x-%d" % n, b"y" * 15_000) for n in range(20))),
    "web page": h2of((b"origin", b"https://evil.example")),
    "cross site": h2of((b"sec-fetch-site", b"cross-site")),
    "data before headers": frame(DataFrame, 5, data=b"x"),
    "data on stream zero": b"\x00\x00\x01\x00\x00\x00\x00\x00\x00x",
    "headers on stream zero": b"\x00\x00\x01\x01\x04\x00\x00\x00\x00\x82",
    "even stream": frame(HeadersFrame, 2, data=b"\x82", flags=["END_HEADERS"]),
    "broken hpack": frame(HeadersFrame, 1, data=b"\xff" * 9, flags=["END_HEADERS"]),
    "hpack index too high": frame(HeadersFrame, 1, data=b"\xbf\xff\x7f", flags=["END_HEADERS"]),
    "continuation alone": frame(ContinuationFrame, 1, data=b"\x82"),
    "a frame between": frame(HeadersFrame, 1, data=b"\x82") + frame(DataFrame, 1, data=b"x"),
    "push promise": frame(PushPromiseFrame, 1, promised_stream_id=2, data=b"\x82", flags=["END_HEADERS"]),
    "priority on itself": frame(PriorityFrame, 1, depends_on=1, stream_weight=1, exclusive=False),
    "a window of nothing": b"\x00\x00\x04\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00",
    "a window too wide": frame(WindowUpdateFrame, 0, window_increment=2**31 - 1) * 2,
    "settings of three bytes": b"\x00\x00\x03\x04\x00\x00\x00\x00\x00abc",
    "settings on a stream": b"\x00\x00\x00\x04\x00\x00\x00\x00\x01",
    "settings out of range": frame(SettingsFrame, 0, settings={SettingsFrame.MAX_FRAME_SIZE: 1}),
    "a frame too large": b"\xff\xff\xff\x00\x00\x00\x00\x00\x01" + b"x" * 40_000,
    "noise": bytes(range(256)),
}  # fmt: skip


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    """One proxy for all of them; heads have a second to arrive."""
    with in_thread(FakeOpenAI()) as fake:
        fake.account("sk-account")
        config = f"proxy:\n  openai_base_url: {fake.base_url}\nlimits:\n  header_deadline_s: 1\n"
        home = make_home(tmp_path_factory.mktemp("malformed") / "home", [account("one", "sk-account")], config)
        with running_proxy(home) as proxy:
            yield fake, home, proxy
            assert "Traceback" not in proxy.said()
            assert "internal error" not in proxy.said()
            assert LOCAL_KEY not in proxy.said().replace(f"OPENAI_API_KEY={LOCAL_KEY}", "")


def served_next(stage, *alpn):
    """A good request on a new connection is answered, soon."""
    fake, home, proxy = stage
    before = fake.counts("sk-account")
    with secure(proxy, home, *alpn) as link:
        client = H2(link) if alpn else None
        started = time.monotonic()
        if client is not None:
            assert client.status(client.send(authorized())) == 200
        else:
            link.sendall(request())
            assert everything(link, 5).startswith(b"HTTP/1.1 200 ")
        took = time.monotonic() - started
    assert fake.counts("sk-account") == before + 1
    return took


@pytest.mark.parametrize("data", HTTP1.values(), ids=HTTP1.keys())
def test_over_http1_none_reaches_the_upstream(stage, data):
    fake, home, proxy = stage
    before = len(fake.log)
    with secure(proxy, home) as link:
        with contextlib.suppress(OSError):
            link.sendall(data)
        answer = everything(link, 0.3 if b"9999\r\n" in data else 3)
    if answer:
        assert answer.startswith(b"HTTP/1.1 ")
        assert 400 <= int(answer.split(b" ")[1]) < 510, answer[:200]
        assert len(STATUS_LINE.findall(answer)) == 1
        assert LOCAL_KEY.encode() not in answer.replace(
            b"OPENAI_API_KEY (CODEX_API_KEY for Codex) to " + LOCAL_KEY.encode(), b""
        )
    assert len(fake.log) == before
    assert not fake.malformed_requests
    assert served_next(stage) < SERVED_WITHIN * 5  # a loaded machine


@pytest.mark.parametrize("bad", HTTP2.values(), ids=HTTP2.keys())
def test_over_http2_none_reaches_the_upstream(stage, bad):
    fake, home, proxy = stage
    before = len(fake.log)
    with secure(proxy, home, "h2") as link:
        client = H2(link)
        if isinstance(bad, bytes):
            with contextlib.suppress(OSError):  # refused before it was all sent
                link.sendall(bad)
            outcome = client.status(1, 1.5)
            assert outcome in {"goaway", "closed", "reset", "silent"}, outcome
        else:
            headers, body = bad
            with contextlib.suppress(OSError):
                outcome = client.status(client.send(headers, body), 3)
                assert outcome in {"goaway", "closed", "reset"} or (
                    isinstance(outcome, int) and 400 <= outcome < 510
                ), outcome
    assert len(fake.log) == before
    assert not fake.malformed_requests
    assert served_next(stage, "h2") < SERVED_WITHIN * 5


def test_there_are_sixty_of_each_at_least():
    assert len(HTTP1) >= 60
    assert len(HTTP2) >= 60
