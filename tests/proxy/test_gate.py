"""Only holders of a local key get in; web pages cannot (docs/security.md, promise 6)."""

import json

from typing import Any

import pytest

from codex_manager.core.openai_error import INVALID_API_KEY
from codex_manager.proxy.gate import Gate, GateSettings
from codex_manager.proxy.incoming import Admission, Incoming, Limits
from codex_manager.proxy.local_keys import LocalKey, LocalKeys, digest
from codex_manager.proxy.origin import Hosts
from codex_manager.proxy.refusal import Refusal


KEY = "sk-codex-manager"
FOREIGN = "sk-proj-AbCdEfGhIjKlMnOpQrStUvWx0123456789"
KEYS = LocalKeys([
    LocalKey("default", digest(KEY.encode())),
    LocalKey("default", digest(b"sk-codex-account-manager")),
    LocalKey("laptop", digest(b"cm-7f3a")),
    LocalKey("ключ", digest("clé-ü".encode())),
])  # fmt: skip


def gate(**changes) -> Gate:
    settings: dict[str, Any] = {
        "keys": KEYS,
        "hosts": Hosts(listener=frozenset({"192.168.1.5", "ai.lan"}), routed=frozenset({"api.openai.com"})),
        "public_key": KEY,
    }
    return Gate(GateSettings(**settings | changes))


def incoming(*headers: tuple[Any, Any], **fields: Any) -> Incoming:
    """A good request but for what the test changes: `None` as a value takes a header away."""
    pairs: dict[bytes, list[bytes]] = {b"Host": [b"127.0.0.1:8080"], b"Authorization": [f"Bearer {KEY}".encode()]}
    extra: list[tuple[bytes, bytes]] = []
    for name, value in headers:
        raw = name.encode() if isinstance(name, str) else name
        if value is None:
            pairs.pop(raw, None)
        elif raw in pairs:
            pairs[raw] = [value.encode() if isinstance(value, str) else value]
        else:
            extra.append((raw, value.encode() if isinstance(value, str) else value))
    base = [(name, value) for name, values in pairs.items() for value in values]
    good: dict[str, Any] = {"method": "POST", "target": "/v1/chat/completions", "headers": (*base, *extra)}
    return Incoming(**good | fields)


def outcome(answer: Admission | Refusal) -> int:
    return answer.status if isinstance(answer, Refusal) else 200


def words(refusal: Admission | Refusal) -> str:
    assert isinstance(refusal, Refusal)
    error = json.loads(refusal.body)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["code"] == refusal.code
    return error["message"]


BASE, FORWARD = {"via": "base_url"}, {"via": "forward", "secure": True}


@pytest.mark.parametrize(
    ("way", "headers", "expected"),
    [
        # Keys, in every spelling of the scheme.
        (BASE, [], 200),
        (BASE, [("Authorization", f"bearer {KEY}")], 200),
        (BASE, [("Authorization", f"BEARER   {KEY}")], 200),
        (BASE, [("Authorization", "Bearer sk-codex-account-manager")], 200),
        (BASE, [("Authorization", "Bearer cm-7f3a")], 200),
        (BASE, [("Authorization", "Bearer clé-ü".encode())], 200),
        (BASE, [("Authorization", None)], 401),
        (BASE, [("Authorization", "")], 401),
        (BASE, [("Authorization", "Bearer")], 401),
        (BASE, [("Authorization", "Bearer ")], 401),
        (BASE, [("Authorization", KEY)], 401),
        (BASE, [("Authorization", f"Basic {KEY}")], 401),
        (BASE, [("Authorization", f"Bearer {FOREIGN}")], 401),
        (BASE, [("Authorization", f"Bearer {KEY}x")], 401),
        (BASE, [("Authorization", f"Bearer {KEY[:-1]}")], 401),
        (BASE, [("Authorization", b"Bearer \xff\xfe\xf0")], 401),
        (BASE, [("authorization", f"Bearer {KEY}")], 400),
        (BASE, [("AUTHORIZATION", f"Bearer {FOREIGN}")], 400),
        (BASE, [("Authorization", None), ("x-api-key", KEY)], 401),
        # Hosts.
        (BASE, [("Host", "localhost:8080")], 200),
        (BASE, [("Host", "LOCALHOST")], 200),
        (BASE, [("Host", "127.8.9.1:1")], 200),
        (BASE, [("Host", "[::1]:8080")], 200),
        (BASE, [("Host", "192.168.1.5:8080")], 200),
        (BASE, [("Host", "ai.lan")], 200),
        (BASE, [("Host", "api.openai.com")], 200),
        (BASE, [("Host", None)], 400),
        (BASE, [("Host", "")], 400),
        (BASE, [("host", "localhost")], 400),
        (BASE, [("Host", "evil.example")], 403),
        (BASE, [("Host", "127.0.0.1.evil.example:8080")], 403),
        (BASE, [("Host", "localhost.evil.example")], 403),
        (BASE, [("Host", "localhost.")], 403),
        (BASE, [("Host", "2130706433")], 403),
        (BASE, [("Host", "0x7f.1")], 403),
        (BASE, [("Host", "127.1")], 403),
        (BASE, [("Host", "[::ffff:127.0.0.1]")], 403),
        (BASE, [("Host", "192.168.1.6:8080")], 403),
        (BASE, [("Host", "127.0.0.1:8080@evil.example")], 403),
        (BASE, [("Host", "127.0.0.1, evil.example")], 403),
        (BASE, [("Host", "127.0.0.1:eighty")], 403),
        (BASE, [("Host", b"127.0.0.1\xe2\x80\xa8")], 403),
        (BASE | {"host": "evil.example"}, [], 403),
        (BASE | {"host": "127.0.0.1:8080"}, [("Host", None)], 200),
        (FORWARD, [("Host", "api.openai.com")], 200),
        (FORWARD, [("Host", "api.openai.com:443")], 200),
        (FORWARD, [("Host", "127.0.0.1:8080")], 403),
        (FORWARD, [("Host", "chatgpt.com")], 403),
        (FORWARD, [("Host", "api.openai.com"), ("Authorization", f"Bearer {FOREIGN}")], 401),
        # Pages.
        (BASE, [("Origin", "http://127.0.0.1:8080")], 200),
        (BASE, [("Origin", "https://127.0.0.1:8080")], 403),
        (BASE | {"secure": True}, [("Origin", "https://127.0.0.1:8080")], 200),
        (BASE, [("Origin", "http://127.0.0.1:3000")], 403),
        (BASE, [("Origin", "http://localhost:8080")], 403),
        (BASE, [("Origin", "https://evil.example")], 403),
        (BASE, [("Origin", "null")], 403),
        (BASE, [("Origin", "")], 403),
        (BASE, [("Host", "api.openai.com"), ("Origin", "http://api.openai.com")], 403),
        (BASE, [("Host", "api.openai.com"), ("Sec-Fetch-Site", "same-origin")], 403),
        (BASE, [("Sec-Fetch-Site", "cross-site")], 403),
        (BASE, [("Sec-Fetch-Site", "Cross-Site")], 403),
        (BASE, [("Sec-Fetch-Site", "same-site")], 403),
        (BASE, [("Sec-Fetch-Site", "anything-new")], 403),
        (BASE, [("Sec-Fetch-Site", "none")], 200),
        (BASE, [("Sec-Fetch-Site", "same-origin")], 200),
        (BASE, [("Sec-Fetch-Mode", "cors"), ("Accept-Language", "*")], 200),
        (BASE, [("Sec-Fetch-Site", "none"), ("sec-fetch-site", "cross-site")], 403),
        (FORWARD, [("Host", "api.openai.com"), ("Sec-Fetch-Mode", "cors")], 200),
        (FORWARD, [("Host", "api.openai.com"), ("Origin", "https://api.openai.com")], 403),
        (FORWARD, [("Host", "api.openai.com"), ("Origin", "https://chat.example")], 403),
        (FORWARD, [("Host", "api.openai.com"), ("Sec-Fetch-Site", "cross-site")], 403),
    ],
)
def test_host_origin_and_key_decide(way, headers, expected):
    assert outcome(gate().admit(incoming(*headers, **way))) == expected


@pytest.mark.parametrize("method", ["OPTIONS", "POST"])
def test_a_preflight_is_refused_and_no_answer_allows_any_page(method):
    """Neither an own Origin nor a right key makes a preflight welcome."""
    for origin in ("http://127.0.0.1:8080", "https://evil.example"):
        answer = gate().admit(incoming(("Origin", origin), ("Access-Control-Request-Method", "POST"), method=method))
        assert isinstance(answer, Refusal)
        assert answer.status == 403
        assert not any(name.lower().startswith(b"access-control") for name, _ in answer.headers)


@pytest.mark.parametrize(
    ("key", "client"),
    [(KEY, "default"), ("sk-codex-account-manager", "default"), ("cm-7f3a", "laptop")],
)
def test_the_client_is_named_by_its_key(key, client):
    admitted = gate().admit(incoming(("Authorization", f"Bearer {key}")))
    assert isinstance(admitted, Admission)
    assert admitted.client == client
    assert not admitted.local
    assert not admitted.foreign


def test_a_missing_key_is_answered_with_what_to_set():
    message = words(gate().admit(incoming(("Authorization", None))))
    assert f"OPENAI_API_KEY to {KEY}" in message
    assert "OPENAI_BASE_URL to http://127.0.0.1:8080/v1" in message


@pytest.mark.parametrize("key", [FOREIGN, "sk-svcacct-1234567890abcdef", "Token abc123secret"])
def test_a_foreign_key_is_never_repeated(key):
    """Not in the body, not in a header, and not in part."""
    refusal = gate().admit(incoming(("Authorization", f"Bearer {key}")))
    assert isinstance(refusal, Refusal)
    assert refusal.code == INVALID_API_KEY
    assert "OPENAI_API_KEY" in words(refusal)
    told = refusal.body + b"".join(name + value for name, value in refusal.headers)
    assert not any(key[i : i + 8].encode() in told for i in range(3, len(key) - 8))


def test_a_key_of_the_users_own_is_not_shown_in_advice():
    message = words(gate(public_key=None).admit(incoming(("Authorization", None))))
    assert "config get proxy.api_key" in message
    assert KEY not in message


@pytest.mark.parametrize(
    ("headers", "foreign"),
    [
        ([("Authorization", f"Bearer {FOREIGN}"), ("Cookie", "__cf_bm=1")], True),
        ([("Authorization", None)], True),
        (
            [("Authorization", None), ("Origin", "https://chat.example"), ("Access-Control-Request-Method", "POST")],
            True,
        ),
        ([("Authorization", f"Bearer {KEY}")], False),
    ],
)
def test_foreign_keys_may_pass_untouched_where_the_client_meant_openai(headers, foreign):
    request = incoming(("Host", "api.openai.com"), *headers, **FORWARD)
    admitted = gate(foreign_keys="pass").admit(request)
    assert isinstance(admitted, Admission)
    assert admitted.foreign is foreign
    if foreign:
        assert admitted.headers == request.headers


def test_foreign_keys_never_pass_where_the_client_meant_us():
    assert outcome(gate(foreign_keys="pass").admit(incoming(("Authorization", f"Bearer {FOREIGN}")))) == 401


def test_a_pair_of_keys_never_passes_as_foreign():
    """A local key beside a foreign one must not leave."""
    request = incoming(("Host", "api.openai.com"), ("authorization", f"Bearer {FOREIGN}"), **FORWARD)
    assert outcome(gate(foreign_keys="pass").admit(request)) == 400


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/v1/chat/completions", 200),
        ("/v1/models?limit=1&x=%2e%2e", 200),
        ("/v1/models/ft%3Agpt-4o%3Aorg%2Fx", 200),
        ("/v1/files/file-1/content/", 200),
        ("/v1/x?u=//a/../b", 200),
        ("/foo", 404),
        ("/", 404),
        ("/v1", 404),
        ("/v10/chat", 404),
        ("/chat/completions", 404),
        ("/codex-manager/api/status", 404),
        ("/metrics/", 404),
        ("/Metrics", 404),
        ("//v1/models", 400),
        ("/v1//models", 400),
        ("/v1/../health", 400),
        ("/v1/./models", 400),
        ("/v1/..", 400),
        ("/v1/%2e%2e/admin", 400),
        ("/v1/%2E./admin", 400),
        ("/v1/%252e%252e/admin", 400),
        ("/v1/%25252e%25252e/admin", 400),
        ("/v1/..%2fadmin", 400),
        ("/v1/..%5cadmin", 400),
        ("/v1/..\\admin", 400),
        ("/v1/..;x=1/admin", 400),
        ("/v1/models%00", 400),
        ("/v1/models%0d%0aX: y", 400),
        ("/v1/models%0d%0aX:y", 400),
        ("/v1/mod els", 400),
        ("/v1/mödels", 400),
        ("/v1/\udcff", 400),
        ("/v1/models\r\nX: y", 400),
        ("/v1/models#x", 400),
        ("http://127.0.0.1:8080/v1/models", 400),
        ("https://api.openai.com/v1/models", 400),
        ("127.0.0.1:8080", 400),
        ("*", 400),
        ("", 400),
    ],
)
def test_only_plain_paths_below_v1_go_on(target, expected):
    answer = gate().admit(incoming(target=target))
    assert outcome(answer) == expected
    if expected == 404:
        assert "/v1" in words(answer)


@pytest.mark.parametrize("path", ["/health", "/healthz", "/ready", "/health?verbose"])
@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([("Authorization", None)], 200),
        ([("Authorization", f"Bearer {FOREIGN}")], 200),
        ([("Host", "evil.example")], 403),
        ([("Origin", "https://evil.example")], 403),
    ],
)
def test_health_needs_no_key_but_the_right_host_and_no_page(path, headers, expected):
    answer = gate().admit(incoming(*headers, target=path, method="GET"))
    assert outcome(answer) == expected
    if isinstance(answer, Admission):
        assert answer.local
        assert not any(name.lower() == b"authorization" for name, _ in answer.headers)


@pytest.mark.parametrize(
    ("rule", "headers", "expected"),
    [
        ("key", [], 200),
        ("key", [("Authorization", None)], 401),
        ("key", [("Authorization", "Bearer ")], 401),
        ("key", [("Authorization", f"Bearer {FOREIGN}")], 401),
        ("open", [("Authorization", None)], 200),
        ("open", [("Authorization", f"Bearer {FOREIGN}")], 200),
        ("open", [("Host", "evil.example")], 403),
        ("open", [("Origin", "https://evil.example")], 403),
        ("off", [], 404),
        ("off", [("Authorization", None)], 404),
    ],
)
def test_metrics_name_accounts_so_they_take_a_key(rule, headers, expected):
    answer = gate(metrics=rule).admit(incoming(*headers, target="/metrics?x", method="GET"))
    assert outcome(answer) == expected
    if isinstance(answer, Admission):
        assert answer.local
        assert not any(name.lower() == b"authorization" for name, _ in answer.headers)


def test_metrics_are_not_for_who_holds_a_client_secret_of_realtime():
    decided = gate(issued=lambda key: key == b"ek_1").admit(
        incoming(("Authorization", "Bearer ek_1"), target="/metrics", method="GET")
    )
    assert outcome(decided) == 401


@pytest.mark.parametrize("rule", ["key", "open"])
def test_metrics_of_the_upstream_are_not_ours(rule):
    assert outcome(gate(metrics=rule).admit(incoming(("Host", "api.openai.com"), target="/metrics", **FORWARD))) == 404


def test_health_of_the_upstream_is_not_ours():
    assert outcome(gate().admit(incoming(("Host", "api.openai.com"), target="/health", **FORWARD))) == 404


@pytest.mark.parametrize(
    ("headers", "fields", "expected"),
    [
        ([("X-A", b"a\x00b")], {}, 400),
        ([("X-A", b"a\rb")], {}, 400),
        ([("X-A", b"a\nX-B: c")], {}, 400),
        ([("X-A", b"a\x7fb")], {}, 400),
        ([("X-A", "tab\there")], {}, 200),
        ([("X-A", b"caf\xc3\xa9")], {}, 200),
        ([("X A", b"b")], {}, 400),
        ([("X-A:", b"b")], {}, 400),
        ([(b"", b"b")], {}, 400),
        ([(b"X-\xe9", b"b")], {}, 400),
        ([("Content-Length", "5")], {}, 200),
        ([("Content-Length", "5"), ("content-length", "5")], {}, 400),
        ([("Content-Length", "-5")], {}, 400),
        ([("Content-Length", "5, 5")], {}, 400),
        ([("Content-Length", "0x5")], {}, 400),
        ([("Content-Length", "5"), ("Transfer-Encoding", "chunked")], {}, 400),
        ([("Transfer-Encoding", "chunked")], {}, 200),
        ([("Transfer-Encoding", "Chunked")], {}, 200),
        ([("Transfer-Encoding", "gzip, chunked")], {}, 400),
        ([("Transfer-Encoding", "chunked"), ("transfer-encoding", "identity")], {}, 400),
        ([("Content-Type", "a/b"), ("content-type", "c/d")], {}, 400),
        ([], {"method": "GE T"}, 400),
        ([], {"method": ""}, 400),
        ([], {"method": "G\udcffT"}, 400),
        ([], {"method": "TRACE"}, 405),
        ([], {"method": "trace"}, 405),
        ([], {"method": "CONNECT"}, 405),
        ([], {"method": "PURGE"}, 200),
        ([], {"method": "OPTIONS"}, 200),
        ([(f"X-{i}", "v") for i in range(98)], {}, 200),
        ([(f"X-{i}", "v") for i in range(99)], {}, 431),
        ([("X-A", "v" * 65_500)], {}, 431),
        ([], {"content_length": 512 * 2**20}, 200),
        ([], {"content_length": 512 * 2**20 + 1}, 413),
        ([("Upgrade", "websocket"), ("Connection", "Upgrade")], {"method": "GET"}, 426),
        ([("Upgrade", "WebSocket"), ("Authorization", None)], {"method": "GET"}, 401),
        ([("Upgrade", "h2c"), ("Connection", "Upgrade, HTTP2-Settings"), ("HTTP2-Settings", "AAMA")], {}, 200),
    ],
)
def test_an_ambiguous_head_is_refused(headers, fields, expected):
    answer = gate().admit(incoming(*headers, **fields))
    assert outcome(answer) == expected
    if isinstance(answer, Refusal):
        assert words(answer).endswith(".")


def test_the_limits_are_the_configured_ones():
    small = gate(limits=Limits(header_count=2, header_bytes=200, max_body_bytes=10))
    assert outcome(small.admit(incoming())) == 200
    assert outcome(small.admit(incoming(("X-A", "b")))) == 431
    assert outcome(small.admit(incoming(content_length=11))) == 413


def test_what_is_between_client_and_proxy_stays_there():
    """The local key, hop-by-hop headers, cookies and our own headers go, but for the one the engine reads; the rest stays in
    order and case.
    """
    admitted = gate().admit(
        incoming(
            ("Connection", "keep-alive, X-Hop"),
            ("X-Hop", "1"),
            ("Keep-Alive", "timeout=5"),
            ("Proxy-Authorization", "Basic x"),
            ("Proxy-Connection", "keep-alive"),
            ("TE", "trailers"),
            ("Trailer", "Expires"),
            ("Transfer-Encoding", "chunked"),
            ("Upgrade", "h2c"),
            ("HTTP2-Settings", "AAMA"),
            ("Expect", "100-continue"),
            ("Cookie", "__cf_bm=of-another-account"),
            ("X-Codex-Manager-Session", "s1"),
            ("x-codex-manager-anything", "s1"),
            ("OpenAI-Organization", "org-client"),
            ("X-Stainless-Lang", "python"),
            ("x-stainless-os", "Linux"),
            ("Accept-Encoding", "gzip"),
            ("accept", "a"),
            ("accept", "b"),
        )
    )
    assert isinstance(admitted, Admission)
    assert admitted.headers == (
        (b"Host", b"127.0.0.1:8080"),  # these three the engine writes anew, in their place
        (b"Transfer-Encoding", b"chunked"),
        (b"X-Codex-Manager-Session", b"s1"),  # taken out by the engine (tests/engine/test_identity.py)
        (b"OpenAI-Organization", b"org-client"),
        (b"X-Stainless-Lang", b"python"),
        (b"x-stainless-os", b"Linux"),
        (b"Accept-Encoding", b"gzip"),
        (b"accept", b"a"),
        (b"accept", b"b"),
    )


@pytest.mark.parametrize(("host", "expected"), [("10.1.2.3:8080", 200), ("[fe80::1]:8080", 200), ("evil.example", 403)])
def test_bound_to_all_interfaces_any_address_is_right_but_no_name(host, expected):
    """A page that rebinds a name has that name in Host; it cannot have an address there."""
    wide = gate(hosts=Hosts(any_address=True))
    assert outcome(wide.admit(incoming(("Host", host)))) == expected


def test_keys_show_their_names_only():
    assert repr(KEYS) == "<LocalKeys default, default, laptop, ключ>"
