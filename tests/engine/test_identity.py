"""A request speaks for the chosen account and for nobody else, and is otherwise as it came."""

import pytest

from codex_manager.core.account import Account
from codex_manager.core.secret import Secret
from codex_manager.engine.identity import UnsendableError, answer_headers, lower_headers, way_to
from codex_manager.engine.messages import Request


DEFAULT = "https://api.openai.com"
OURS = frozenset({("127.0.0.1", 8080), ("::1", 8080)})


def way(base_url=None, key="sk-key", **fields):
    return way_to(Account(id="a", label="a", api_key=Secret(key), base_url=base_url, **fields), DEFAULT, OURS)


def built(headers=(), body=b"", method="POST", target="/v1/x", way_=None, **more):
    return (way_ or way()).request(Request(method=method, target=target, headers=tuple(headers), body=body, **more))


def test_the_three_identity_headers_are_the_accounts_and_the_rest_is_as_it_came():
    sent = built(
        [
            (b"User-Agent", b"curl"), (b"host", b"127.0.0.1:8080"), (b"Authorization", b"Bearer local"), (b"X-One", b"1"),
            (b"openai-organization", b"org-client"), (b"OpenAI-Project", b"proj-client"), (b"Cookie", b"__cf_bm=x"),
            (b"content-length", b"999"), (b"x-one", b"2"), (b"Connection", b"keep-alive"), (b"TE", b"trailers"),
            (b"X-Codex-Manager-Session", b"s"), (b"Expect", b"100-continue"), (b"Accept-Encoding", b"gzip"),
        ],
        b"abc",
        way_=way(organization="org-mine", project="proj-mine"),
    )  # fmt: skip
    assert sent.headers == (
        (b"User-Agent", b"curl"), (b"host", b"api.openai.com"), (b"X-One", b"1"), (b"content-length", b"3"), (b"x-one", b"2"),
        (b"Accept-Encoding", b"gzip"), (b"OpenAI-Organization", b"org-mine"), (b"OpenAI-Project", b"proj-mine"),
        (b"Authorization", b"Bearer sk-key"),
    )  # fmt: skip


def test_without_organization_and_project_neither_is_sent():
    names = {name.lower() for name, _ in built([(b"OpenAI-Organization", b"org-client")]).headers}
    assert names == {b"host", b"content-length", b"authorization"}


@pytest.mark.parametrize(
    ("method", "body", "chunked", "length", "given", "expected"),
    [
        ("GET", b"", False, None, (), None),
        ("GET", b"", False, None, ((b"Content-Length", b"0"),), (b"Content-Length", b"0")),
        ("DELETE", b"", False, None, (), None),
        ("POST", b"", False, None, (), (b"Content-Length", b"0")),
        ("POST", b"abc", False, None, (), (b"Content-Length", b"3")),
        ("POST", b"abc", True, None, ((b"transfer-encoding", b"Chunked"),), (b"transfer-encoding", b"chunked")),
        ("POST", iter(()), True, None, (), (b"Transfer-Encoding", b"chunked")),
        ("POST", iter(()), False, 7, (), (b"Content-Length", b"7")),
    ],
)
def test_exactly_one_framing_header(method, body, chunked, length, given, expected):
    sent = built(given, body, method, chunked=chunked, content_length=length)
    framing = [header for header in sent.headers if header[0].lower() in {b"content-length", b"transfer-encoding"}]
    assert framing == ([expected] if expected else [])


def test_a_body_of_unknown_length_that_is_not_chunked_is_not_sent():
    with pytest.raises(UnsendableError, match="length of the body is not known"):
        built(body=iter(()))


@pytest.mark.parametrize(
    ("base_url", "endpoint", "prefix", "host"),
    [
        (None, "https://api.openai.com:443", b"", b"api.openai.com"),
        ("https://api.openai.com/v1", "https://api.openai.com:443", b"", b"api.openai.com"),
        ("https://api.openai.com/v1/", "https://api.openai.com:443", b"", b"api.openai.com"),
        (
            "https://gateway.example:8443/openai/eu",
            "https://gateway.example:8443",
            b"/openai/eu",
            b"gateway.example:8443",
        ),
        ("https://gateway.example/openai/v1", "https://gateway.example:443", b"/openai", b"gateway.example"),
        ("http://[::1]:9000", "http://[::1]:9000", b"", b"[::1]:9000"),
        ("http://LOCALHOST:9000", "http://localhost:9000", b"", b"localhost:9000"),
    ],
)
def test_where_a_base_url_leads(base_url, endpoint, prefix, host):
    found = way(base_url)
    assert (found.origin, found.prefix, found.unusable) == (endpoint, prefix, None)
    sent = built(way_=found, target="/v1/files?limit=2&x=%2F")
    assert sent.target == prefix + b"/v1/files?limit=2&x=%2F"
    assert (b"Host", host) in sent.headers


@pytest.mark.parametrize(
    "base_url",
    [
        "http://127.0.0.1:8080", "http://localhost:8080/v1", "http://[::1]:8080", "http://127.9.9.9:8080", "http://0.0.0.0:8080",
        "http://[::ffff:127.0.0.1]:8080", "http://localhost.:8080", "https://x.localhost:8080",
    ],
)  # fmt: skip
def test_a_base_url_that_is_this_proxy_is_refused(base_url):
    found = way(base_url)
    assert found.unusable is not None
    assert found.unusable.endswith("is this proxy itself")
    with pytest.raises(UnsendableError, match="is this proxy itself"):
        built(way_=found)


@pytest.mark.parametrize("base_url", ["http://127.0.0.1:8081", "http://192.0.2.1:8080", "https://api.openai.com:8080"])
def test_other_places_are_not_this_proxy(base_url):
    assert way(base_url).unusable is None


@pytest.mark.parametrize(
    "base_url", ["ftp://x", "nonsense", "https://", "https://x:99999", "https://[::1", "https://ex ample.com/ü"]
)
def test_a_base_url_that_is_none_is_refused(base_url):
    assert way(base_url).unusable == "its base URL is not one"


@pytest.mark.parametrize("key", ["", "sk-\nkey", "sk-ü", "sk key", "sk\0"])
def test_a_key_that_cannot_be_sent_is_not_replaced_by_nothing(key):
    found = way(key=key)
    with pytest.raises(UnsendableError, match="its key cannot be sent in a header") as refused:
        built(way_=found)
    assert "sk" not in str(refused.value)


def test_cookies_and_hop_headers_do_not_come_back():
    headers = (
        (b"X-A", b"1"),
        (b"Set-Cookie", b"__cf_bm=x"),
        (b"Connection", b"close"),
        (b"Transfer-Encoding", b"chunked"),
        (b"x-a", b"2"),
    )
    assert answer_headers(headers) == ((b"X-A", b"1"), (b"Transfer-Encoding", b"chunked"), (b"x-a", b"2"))


def test_header_names_are_looked_up_in_lower_case():
    assert lower_headers(((b"X-A", b"1"), (b"x-b", b"caf\xe9"))) == {"x-a": "1", "x-b": "café"}


def test_the_secret_is_in_no_repr():
    assert "sk-key" not in repr(built())
