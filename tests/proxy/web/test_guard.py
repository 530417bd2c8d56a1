import pytest

from tornado import httputil

from codex_manager.proxy.web.guard import is_local_name, most_body, refusal


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8081", "localhost.", "127.0.0.1", "127.0.0.1:1", "127.8.9.1", "[::1]", "[::1]:8081", "[::ffff:127.0.0.1]:1", "a.localhost"],
)  # fmt: skip
def test_names_of_this_machine(host):
    assert is_local_name(host)


@pytest.mark.parametrize(
    "host",
    [
        "", "evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "evil.example:127.0.0.1", "[::1]evil.example", "[::1", "[::1]:x",
        "127.0.0.1:8081x", "localhost:80:80", "0.0.0.0", "[::]", "0x7f.1", "127.1", "2130706433", "10.0.0.1", "[fe80::1]", "localhost:²",
    ],
)  # fmt: skip
def test_names_that_are_not(host):
    assert not is_local_name(host)


def judged(method="GET", **headers):
    head = httputil.HTTPHeaders({"Host": "127.0.0.1:8081"})
    for name, value in headers.items():
        head[name.replace("_", "-")] = value
    return refusal(httputil.HTTPServerRequest(method, "/codex", headers=head))


def test_forms_of_pages_that_tell_no_referrer_say_null():
    assert judged("POST", Origin="null", Sec_Fetch_Site="same-origin") is None
    assert judged("POST", Origin="null") is not None
    assert judged("POST", Origin="null", Sec_Fetch_Site="cross-site") is not None


def test_a_link_from_anywhere_opens_a_page_but_no_frame_and_no_socket():
    link = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
    assert judged(**link) is None
    assert judged("POST", **link) is not None
    assert judged(**{**link, "Sec_Fetch_Dest": "iframe"}) is not None
    assert judged(**{**link, "Upgrade": "websocket"}) is not None
    assert judged(**{**link, "Sec_Fetch_Mode": "no-cors"}) is not None


def test_another_port_of_this_machine_is_another_site():
    assert judged(Origin="http://127.0.0.1:3000") is not None
    assert judged(Origin="http://127.0.0.1:8081") is None
    assert judged(Origin="https://127.0.0.1:8081") is not None
    assert judged(Sec_Fetch_Site="same-site") is not None


def test_strangers_may_bring_a_form_and_no_more():
    assert most_body("/flows/dump", known=False) < 100_000 < most_body("/codex/accounts", known=True)
    assert most_body("/flows/dump", known=True) == 64 << 20
