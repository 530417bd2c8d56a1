"""What the upstream gets and what the client gets is what they would have had directly, but for the identity headers.

Each request goes out twice as the same raw bytes, once to the fake OpenAI itself and once through the proxy, and both
sides of both exchanges are compared.
"""

import contextlib
import gzip
import hashlib
import re
import socket

import pytest

from tests.e2e.conftest import KEYS
from tests.support import LOCAL_KEY

from codex_manager.testing import answers, toxics


KEY = KEYS["limited"]  # first in line; nothing limits it here
CHAT = b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":"h\\u00e9llo \\ud83d\\ude00"}]}'
STREAM = CHAT[:-1] + b',"stream":true,"stream_options":{"include_usage":true}}'
FORM = (
    b'--b0\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
    b'--b0\r\nContent-Disposition: form-data; name="file"; filename="a.jsonl"\r\n'
    b"Content-Type: application/octet-stream\r\n\r\n" + bytes(range(256)) * 40 + b"\r\n--b0--\r\n"
)
IDENTITY = {"host", "authorization", "openai-organization", "openai-project", "cookie"}
OURS = {"x-account-id", "x-account-label", "x-routing-strategy", "x-retry-count", "x-codex-manager-request-id"}
VARYING = {"connection", "x-request-id", "set-cookie", "x-ratelimit-remaining-requests", "x-ratelimit-remaining-tokens"}


@pytest.fixture
def fake(shared_fake):
    return shared_fake


@pytest.fixture
def proxy(shared_proxy):
    return shared_proxy


def post(path, body, *lines):
    return b"POST %s HTTP/1.1\r\nHost: HOST\r\nAuthorization: Bearer KEY\r\n%sContent-Length: %d\r\n\r\n%s" % (
        path, b"".join(line + b"\r\n" for line in lines), len(body), body,
    )  # fmt: skip


def chunked(path, body, *lines, size=1000):
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    framed = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    head = b"POST %s HTTP/1.1\r\nHost: HOST\r\nAuthorization: Bearer KEY\r\n%sTransfer-Encoding: chunked\r\n\r\n"
    return head % (path, b"".join(line + b"\r\n" for line in lines)) + framed


JSON = b"Content-Type: application/json"
REQUESTS = {
    "JSON": post(b"/v1/chat/completions", CHAT, JSON),
    "headers in odd case and order": post(
        b"/v1/chat/completions", CHAT, b"X-b: 2", b"x-A: 1", JSON, b"X-b: 3", b"ACCEPT: */*"
    ),
    "a value that is not ASCII": post(b"/v1/chat/completions", CHAT, JSON, "X-Name: Zoë ☃".encode()),
    "SSE, chat": post(b"/v1/chat/completions", STREAM, JSON),
    "SSE, responses": post(b"/v1/responses", b'{"model":"gpt-4o-mini","input":"hi","stream":true,"store":false}', JSON),
    "multipart": post(b"/v1/files", FORM, b"Content-Type: multipart/form-data; boundary=b0"),
    "multipart, chunked": chunked(b"/v1/files", FORM, b"Content-Type: multipart/form-data; boundary=b0"),
    "binary answer": post(b"/v1/audio/speech", b'{"model":"tts-1","voice":"alloy","input":"hi"}', JSON),
    "GET with a query": b"GET /v1/models/gpt-4o-mini?a=1&b=%2F%20x&c HTTP/1.1\r\nHost: HOST\r\nAuthorization: Bearer KEY\r\n\r\n",
    "HEAD": b"HEAD /v1/models/gpt-4o-mini HTTP/1.1\r\nHost: HOST\r\nAuthorization: Bearer KEY\r\n\r\n",
    "DELETE": b"DELETE /v1/nothing/of/that/name HTTP/1.1\r\nHost: HOST\r\nAuthorization: Bearer KEY\r\n\r\n",
    "a compressed body": post(b"/v1/chat/completions", gzip.compress(CHAT, mtime=0), JSON, b"Content-Encoding: gzip"),
    "a chunked body": chunked(b"/v1/chat/completions", CHAT, JSON, size=7),
    "an empty body": post(b"/v1/chat/completions", b"", JSON),
    "an unknown path": b"GET /v1/nothing/of/that/name?x HTTP/1.1\r\nHost: HOST\r\nAuthorization: Bearer KEY\r\n\r\n",
}
ENDS = {
    "as it is": None,
    "gzip": answers.ok() | toxics.encoded("gzip"),
    "zstd": answers.ok() | toxics.encoded("zstd"),
    "an error, brotli": answers.context_length() | toxics.encoded("br"),
    "closing": answers.ok() | toxics.close_announced(),
    "one byte a segment": answers.ok() | toxics.slice_into(1),
}


def exchange(port, raw, key):
    """Send the bytes, read until the answer has ended."""
    raw = raw.replace(b"HOST", b"127.0.0.1:%d" % port, 1).replace(b"KEY", key.encode(), 1)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as link:
        link.sendall(raw)
        received = b""
        link.settimeout(10)
        while not complete(received, head_only=raw.startswith(b"HEAD")):
            piece = link.recv(65536)
            if not piece:
                break
            received += piece
    return received


def complete(received, *, head_only):
    head, found, body = received.partition(b"\r\n\r\n")
    if not found:
        return False
    low = head.lower()
    if head_only:
        return True
    if b"transfer-encoding: chunked" in low:
        return body.endswith(b"0\r\n\r\n")
    for line in low.split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return len(body) >= int(line.split(b":")[1])
    return False


def answer_of(received):
    """Status line, headers in order and case, body with its framing taken off."""
    head, _, body = received.partition(b"\r\n\r\n")
    status, *lines = head.split(b"\r\n")
    headers = [tuple(part.strip() for part in line.split(b":", 1)) for line in lines]
    kept = [(name, value) for name, value in headers if name.lower().decode() not in OURS | VARYING]
    if any(name.lower() == b"transfer-encoding" for name, _ in headers):
        body = unchunk(body)
    same = re.sub(rb"\b(file-|resp_|msg_)\w+", rb"\1ID", body)  # what is stored has an id of its own
    return status, kept, hashlib.sha256(same).hexdigest(), len(body)


def unchunk(body):
    whole = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        whole, body = whole + body[: int(size, 16)], body[int(size, 16) + 2 :]
    return whole


def request_of(seen):
    headers = [(name, value) for name, value in seen.headers if name.lower() not in IDENTITY]
    return seen.method, seen.target, headers, seen.body_sha256, seen.body_size


def compare(fake, proxy, raw):
    directly = exchange(fake.port, raw, KEY)
    through = exchange(proxy.port, raw, LOCAL_KEY)
    assert request_of(fake.log[-1]) == request_of(fake.log[-2])
    assert answer_of(through) == answer_of(directly)
    return directly


@pytest.mark.parametrize("what", REQUESTS)
def test_a_request_goes_up_and_comes_back_as_it_would_directly(proxy, fake, what):
    assert compare(fake, proxy, REQUESTS[what]).startswith(b"HTTP/1.1 ")


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("raw", [REQUESTS["JSON"], REQUESTS["SSE, chat"]], ids=["whole", "stream"])
def test_an_answer_comes_back_byte_for_byte_however_it_is_sent(proxy, fake, raw, end):
    if ENDS[end] is not None:
        fake.script(KEY, ENDS[end], ENDS[end])
    compare(fake, proxy, raw)


def test_expect_100_continue_is_answered_before_the_body(proxy, fake):
    """The proxy says 100 itself; the upstream gets the body without having been asked."""
    head, _, body = REQUESTS["JSON"].partition(b"\r\n\r\n")
    head = head.replace(b"HOST", b"127.0.0.1", 1).replace(b"KEY", LOCAL_KEY.encode(), 1)
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as link:
        link.sendall(head + b"\r\nExpect: 100-continue\r\n\r\n")
        assert link.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        link.sendall(body)
        assert link.recv(65536).startswith(b"HTTP/1.1 200 ")
    assert fake.log[-1].body == body


def test_a_connection_serves_many_requests_of_every_kind(proxy, fake):
    """Keep-alive: nothing of one exchange is left over for the next."""
    before = len(fake.log)
    kinds = [raw for what, raw in REQUESTS.items() if what not in {"HEAD"}] * 3
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as link:
        for raw in kinds:
            link.sendall(raw.replace(b"HOST", b"127.0.0.1", 1).replace(b"KEY", LOCAL_KEY.encode(), 1))
            received = b""
            while not complete(received, head_only=False):
                piece = link.recv(65536)
                assert piece, "the proxy closed the connection"
                received += piece
    with contextlib.suppress(IndexError):
        assert len({seen.connection for seen in fake.log[before:]}) <= 2
