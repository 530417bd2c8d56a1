"""Whatever comes, the gate decides: it never raises, and nothing gets by it without a local key."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from codex_manager.proxy.gate import Gate, GateSettings
from codex_manager.proxy.incoming import Admission, Incoming
from codex_manager.proxy.local_keys import LocalKey, LocalKeys, digest
from codex_manager.proxy.origin import Hosts


KEY = b"sk-codex-manager"
NAMES = [
    b"Host", b"host", b"Authorization", b"authorization", b"Origin", b"Sec-Fetch-Site", b"Content-Length", b"Connection",
    b"Transfer-Encoding", b"Cookie", b"Upgrade", b"X-Codex-Manager-Session", b"Proxy-Authorization", b"X-Other",
]  # fmt: skip
VALUES = [
    b"127.0.0.1:8080", b"localhost", b"api.openai.com", b"evil.example", b"[::1]", b"[", b"Bearer " + KEY, b"bearer\t" + KEY,
    b"Bearer sk-proj-foreign", b"chunked", b"5", b"close, authorization", b"http://127.0.0.1:8080", b"null", b"websocket", b"",
]  # fmt: skip
PIECES = [
    "/v1/",
    "/v1",
    "models",
    "..",
    "%2e",
    "%2f",
    "%25",
    "//",
    "/health",
    "?",
    "#",
    "\\",
    ";",
    "\x00",
    "é",
    "\udc80",
    "http://x",
]

headers = st.lists(
    st.tuples(
        st.sampled_from(NAMES) | st.binary(max_size=12),
        st.sampled_from(VALUES) | st.binary(max_size=24),
    ),
    max_size=8,
).map(tuple)
requests = st.builds(
    Incoming,
    method=st.sampled_from(["GET", "POST", "OPTIONS", "HEAD", "TRACE", ""]) | st.text(max_size=6),
    target=st.lists(st.sampled_from(PIECES), max_size=6).map("".join) | st.text(max_size=20),
    headers=headers,
    via=st.sampled_from(["base_url", "forward"]),
    secure=st.booleans(),
    host=st.sampled_from(["", "127.0.0.1:8080", "api.openai.com", "evil.example"]) | st.text(max_size=12),
    content_length=st.none() | st.integers(0, 2**40),
    chunked=st.booleans(),
)
GATES = {
    rule: Gate(
        GateSettings(
            keys=LocalKeys([LocalKey("default", digest(KEY))]), hosts=Hosts(any_address=True), foreign_keys=rule
        )
    )
    for rule in ("reject", "pass")
}


@settings(max_examples=400, deadline=None)
@given(incoming=requests, rule=st.sampled_from(["reject", "pass"]))
def test_nothing_gets_by_without_a_local_key(incoming, rule):
    decided = GATES[rule].admit(incoming)
    keys = [value for name, value in incoming.headers if name.lower() == b"authorization"]
    if not isinstance(decided, Admission):
        assert json.loads(decided.body)["error"]["message"].endswith(".")
        assert 400 <= decided.status < 500
        return
    assert len(keys) <= 1
    ours = bool(keys) and KEY in keys[0]
    if decided.foreign:
        assert (incoming.via, rule) == ("forward", "pass")
        assert not ours
    else:
        assert decided.local or ours
        assert decided.local or incoming.target.startswith("/v1/")
        left = {name.lower() for name, _ in decided.headers}
        assert not left & {b"authorization", b"cookie", b"connection", b"proxy-authorization", b"upgrade"}
        assert not any(KEY in value for name, value in decided.headers if name.lower() == b"authorization")
