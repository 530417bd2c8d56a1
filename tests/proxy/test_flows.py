"""What is shown of a request is true and holds no key."""

import pytest

from tests.proxy.rig import plain

from codex_manager.proxy import flows


RECEIVED = (
    (b"Host", b"127.0.0.1"),
    (b"AUTHORIZATION", b"Bearer sk-local"),
    (b"Proxy-Authorization", b"Basic abc"),
    (b"Cookie", b"__cf_bm=x"),
    (b"Sec-WebSocket-Protocol", b"realtime, OpenAI-insecure-api-key.sk-x"),
    (b"X", b"y"),
)


def test_masking_takes_every_secret_out_and_unmasking_puts_it_back():
    masked = flows.mask(RECEIVED)
    assert [name for name, _ in masked] == [name for name, _ in RECEIVED]
    shown = repr(masked)
    assert all(secret not in shown for secret in ("sk-local", "abc", "__cf_bm", "sk-x"))
    assert masked[1] == (b"AUTHORIZATION", b"Bearer [codex-manager]")
    assert flows.unmask(masked, RECEIVED) == RECEIVED


def test_unmasking_leaves_what_an_addon_put_there():
    changed = (*flows.mask(RECEIVED)[:1], (b"Authorization", b"Bearer other"), (b"X", b"z"))
    assert flows.unmask(changed, RECEIVED) == changed


def test_a_harmless_subprotocol_stays():
    fields = ((b"Sec-WebSocket-Protocol", b"realtime"),)
    assert flows.mask(fields) == fields


@pytest.mark.parametrize(
    ("label", "shown"),
    [
        ("Work", b"Work"),
        ("a b/c", b"a b/c"),
        ("Büro", b"B%C3%BCro"),
        ("x\r\nEvil: 1", b"x%0D%0AEvil: 1"),
        ("100%", b"100%25"),
        ("", b""),
    ],
)
def test_a_label_cannot_break_out_of_its_header(label, shown):
    answer = plain(account_id="id", account_label=label)
    assert dict(flows.identity_headers(answer))[b"X-Account-Label"] == shown


@pytest.mark.parametrize("version", [b"HTTP/1.0", b"HTTP/2.0"])
def test_chunked_framing_is_for_http_1_1_only(version):
    answer = plain()
    answer.headers = ((b"Transfer-Encoding", b"chunked"), (b"X", b"y"))
    assert flows.response_of(answer, version, identity=False).headers.fields == ((b"X", b"y"),)
    assert len(flows.response_of(answer, b"HTTP/1.1", identity=False).headers.fields) == 2


@pytest.mark.parametrize("account", ["id", None])
def test_every_answer_says_under_which_id_the_request_is_known(account):
    answer = plain(account_id=account, request_id="0af3")
    assert flows.response_of(answer, b"HTTP/1.1", identity=True).headers["X-Codex-Manager-Request-Id"] == "0af3"
    assert "X-Codex-Manager-Request-Id" not in flows.response_of(answer, b"HTTP/1.1", identity=False).headers
