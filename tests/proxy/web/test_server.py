"""Only holders of the token get in, web pages cannot, and whoever is in can look and manage, not run or read files (docs/security.md).

One process for all tests: a real proxy with its page, and a browser that is a script which writes down how it was called.
"""

import base64
import itertools
import os
import re
import stat

from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.support import LOCAL_KEY, account, make_home, wait_for
from tests.web_support import XSRF, addresses, raw, running_web

from codex_manager.proxy import web


KEY = "sk-canary-page-0123456789abcdef"
HERE = Path(web.__file__).parent
BROWSERS = ("gio", "x-www-browser", "xdg-open")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("site")


@pytest.fixture(scope="module")
def site(folder):
    home = make_home(folder / "home", [account("Work", KEY)], "proxy:\n  openai_base_url: http://127.0.0.1:9\n")
    programs = folder / "bin"
    programs.mkdir()
    for name in BROWSERS:
        (programs / name).write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >> {folder}/browsed\n')
        (programs / name).chmod(0o755)
    home.environment = {"HOME": str(folder), "PATH": f"{programs}:{os.environ['PATH']}", "DISPLAY": ":99"}
    with running_web(home, browser=True) as running:
        yield running


def test_nobody_gets_in_without_the_token(site):
    found = addresses()
    assert len(found) > 45
    there = dict.fromkeys(("/processes", "/executable-icon"), 404)  # taken out
    xsrf = {"Cookie": f"_mitmproxy_xsrf={XSRF}", "X-XSRFToken": XSRF}
    socket = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": base64.b64encode(b"0" * 16).decode()}  # fmt: skip
    wrong = []
    for path in found:
        for method in ("GET", "POST", "PUT", "DELETE"):
            seen = site.ask(method, path, b"" if method != "GET" else None, xsrf)
            if seen.status not in {403, 405, there.get(path, 403)} or site.token.encode() in seen.body:
                wrong.append((method, path, seen.status))
        if site.ask("GET", path, None, socket).status not in {403, 405, there.get(path, 403)}:
            wrong.append(("WebSocket", path, 0))
    assert wrong == []
    assert {site.ask("GET", path).status for path in ("/codex", "/flows", "/", "/state")} == {200}, "with it, yes"


@pytest.mark.parametrize(
    "wrong", ["x", "ä", "%FF%FE", "\udcff", "", "a" * 9000, "%00"], ids=["short", "latin", "no utf-8", "surrogate", "none", "long", "nul"]
)  # fmt: skip
def test_a_wrong_token_is_refused_in_every_place_it_can_stand(site, wrong):
    sent = wrong.encode("utf-8", "surrogateescape").decode("latin-1")
    for line in (
        f"Authorization: Bearer {sent}",
        f"Cookie: mitmproxy-auth-{site.port}={sent}",
        f"Cookie: mitmproxy-auth-8081={sent}",
        "X: y",
    ):
        for query in ("", f"?token={sent}"):
            if not (query and " " in sent):
                answer = raw(
                    site.port,
                    f"GET /flows{query} HTTP/1.1\r\nHost: {site.host}\r\nConnection: close\r\n{line}\r\n\r\n".encode(
                        "latin-1"
                    ),
                )
                assert answer[9:12] in {b"403", b"400"}, (line, query)


def test_a_token_that_is_nearly_right_is_wrong(site):
    for near in (site.token[:-1], site.token + "0", site.token.upper(), f" {site.token}", f"{site.token}\x00"):
        if near != site.token:
            assert site.ask(
                "GET", "/flows", None, {"Authorization": f"Bearer {near}".replace("\x00", "%00")}
            ).status in {403} | ({200} if near == f" {site.token}" else set())
    assert site.ask("GET", "/flows", None, {"Authorization": f"Basic {site.token}"}).status == 403


FOREIGN = "http://evil.example"
HOSTS = {
    "own": None,
    "localhost": "localhost:{port}",
    "rebound": "evil.example:{port}",
    "private": "192.168.1.2:{port}",
}
SITES = {
    "no browser": {},
    "own page": {"Origin": "http://{host}", "Sec-Fetch-Site": "same-origin"},
    "another site": {"Origin": FOREIGN, "Sec-Fetch-Site": "cross-site"},
    "another port": {"Origin": "http://127.0.0.1:3000", "Sec-Fetch-Site": "same-site"},
    "an old browser's other site": {"Origin": FOREIGN},
    "no origin told": {"Sec-Fetch-Site": "cross-site"},
}


def test_web_pages_cannot(site):
    """72 combinations of name, site, credential and method: answered only under a local name, for our own page or a program, with a credential."""
    cookie = logged_in(site)
    wrong = []
    for (named, name), (who, lines), known, method in itertools.product(
        HOSTS.items(), SITES.items(), ("cookie", "bearer", "nothing"), ("GET", "POST")
    ):
        if method == "POST" and known == "nothing":
            continue
        host = site.host if name is None else name.format(port=site.port)
        headers = {key: value.format(host=host) for key, value in lines.items()} | {"Host": host, "X-XSRFToken": XSRF}
        headers["Cookie"] = f"_mitmproxy_xsrf={XSRF}" + (f"; {cookie}" if known == "cookie" else "")
        if known == "bearer":
            headers["Authorization"] = f"Bearer {site.token}"
        path = "/flows" if method == "GET" else "/clear"
        seen = site.ask(method, path, b"" if method == "POST" else None, headers)
        allowed = named in {"own", "localhost"} and who in {"no browser", "own page"} and known != "nothing"
        if seen.status != (200 if allowed else 403) or "Access-Control-Allow-Origin" in seen.headers:
            wrong.append((named, who, known, method, seen.status))
    assert wrong == []


def logged_in(site):
    """The cookie a browser gets for the token."""
    answer = site.ask("GET", f"/codex/login?token={site.token}", None, {})
    lines = answer.headers.get_all("Set-Cookie") or []
    (line,) = [line for line in lines if line.startswith("mitmproxy-auth-")]
    assert line.startswith(f"mitmproxy-auth-{site.port}="), (
        "browsers send cookies to every port, so the name tells ours"
    )
    assert "httponly" in line.lower()
    assert "samesite=strict" in line.lower()
    assert site.token not in answer.body.decode()
    return line.partition(";")[0]


def test_what_changes_something_needs_the_xsrf_token(site):
    for headers in (
        {"Authorization": f"Bearer {site.token}"},
        {"Authorization": f"Bearer {site.token}", "Cookie": f"_mitmproxy_xsrf={XSRF}"},
        {"Authorization": f"Bearer {site.token}", "Cookie": f"_mitmproxy_xsrf={XSRF}", "X-XSRFToken": XSRF[::-1]},
        {"Cookie": logged_in(site), "X-XSRFToken": XSRF},
    ):
        for method, path in (
            ("POST", "/clear"),
            ("PUT", "/options"),
            ("POST", "/codex/appearance"),
            ("POST", "/flows/dump"),
            ("DELETE", "/flows/abc"),
        ):
            assert site.ask(method, path, b"", headers).status == 403, (method, path)


def test_headers_of_every_page(site):
    own = ["/codex/static/app.css", "/static/nothing.js", "/nothing", "/codex/nothing"]
    inside = ["/", "/codex", "/codex/accounts", "/codex/settings/strategy", "/flows", "/updates", "/codex/live", *own]
    for paths, headers in (([*addresses(), *own], dict[str, str]()), (inside, None)):
        for path in paths:
            seen = site.ask("GET", path, None, headers)
            policy = seen.headers["Content-Security-Policy"]
            assert "unsafe-eval" not in policy
            assert not re.search(r"(script-src|default-src)[^;]*('unsafe|\*|http)", policy), path
            assert "frame-ancestors 'none'" in policy, path
            assert " ws:;" not in policy, "no socket to elsewhere"
            if path.startswith("/codex"):
                assert "unsafe" not in policy, path
            assert seen.headers["Referrer-Policy"] == "no-referrer", path
            assert seen.headers["X-Content-Type-Options"] == "nosniff", path
            assert seen.headers["X-Frame-Options"] == "DENY", path
            assert "mitmproxy" not in seen.headers["Server"], path
            if not path.startswith(("/static", "/codex/static")):
                assert seen.headers["Cache-Control"] == "no-store", path
            assert site.token.encode() not in seen.body, path


def test_files_are_served_from_their_folder_only(site):
    for path in (
        "/codex/static/../face.py", "/codex/static/..%2fface.py", "/codex/static/%2e%2e/face.py", "/codex/static//etc/passwd",
        "/codex/static/%2fetc%2fpasswd", "/codex/static/..\\face.py", "/codex/static/vendor/../../face.py", "/codex/static/", "/codex/static/vendor",
        "/codex/static/app.css%00.js", "/static/../app.py", "/static/%2e%2e/app.py", "//etc/passwd", "/codex/../codex/static/../page.py",
    ):  # fmt: skip
        answer = raw(site.port, f"GET {path} HTTP/1.1\r\nHost: {site.host}\r\nAuthorization: Bearer {site.token}\r\nConnection: close\r\n\r\n".encode())  # fmt: skip
        assert answer[9:12] in {b"403", b"404"}, path
        assert b"import" not in answer
        assert b"root:" not in answer


def test_nothing_said_can_write_read_or_run(site, tmp_path):
    """mitmweb's own would: `cut.save`, `export.file` and `options.save` write where they are told."""
    (tmp_path / "secret").write_text("a file of the user's")
    site.ask("POST", "/commands/view.flows.create", {"arguments": ["get", "http://example.com/x"]})
    tries = [
        ("export.file", "raw", "@all", f"{tmp_path}/written"), ("cut.save", "@all", "request.path", f"{tmp_path}/written"),
        ("options.save", f"{tmp_path}/written"), ("save.file", "@all", f"{tmp_path}/written"), ("view.flows.load", f"{tmp_path}/secret"),
        ("options.load", f"{tmp_path}/secret"), ("script.run", "@all", f"{tmp_path}/secret"), ("cut.clip", "@all", "request.path"),
        ("export.clip", "raw", "@all"), ("set", f"confdir={tmp_path}"), ("set", "ssl_insecure=true"), ("set", f"modify_body=|~q|x|@{tmp_path}/secret"),
        ("options.reset",), ("quit",), ("shutdown",),
    ]  # fmt: skip
    for name, *arguments in tries:
        assert "error" in site.command(name, *arguments), name
    for change in (
        {"map_local": [f"|.*|{tmp_path}/secret"]}, {"modify_body": [f"|~q|x|@{tmp_path}/secret"]}, {"scripts": [f"{tmp_path}/secret"]},
        {"validate_inbound_headers": False}, {"web_password": "x"}, {"mode": ["upstream:http://127.0.0.1:9"]}, {"server": False}, {"proxy_debug": True},
        {"save_stream_file": f"{tmp_path}/written"}, {"hardump": f"{tmp_path}/written"}, {"confdir": str(tmp_path)}, {"onboarding": True},
    ):  # fmt: skip
        assert site.ask("PUT", "/options", change).status == 400, change
    assert site.ask("PUT", "/options", {"intercept_active": True}).status == 200, "what is for the page, is"
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]
    site.ask("POST", "/clear")


def test_what_is_no_dump_and_no_edit_is_said_and_changes_nothing(site):
    site.ask("POST", "/clear")
    site.ask("POST", "/commands/view.flows.create", {"arguments": ["get", "http://example.com/x"]})
    (flow,) = site.ask("GET", "/flows").json()
    for dump in (b"garbage", b"99999999999:", b"0:~" * 100, b"[" * 20000, b"3:abc#"):
        assert site.ask("POST", "/flows/dump", dump).status == 400, dump[:20]
    edits: list[object] = [
        {"marked": {"a": 1}}, {"comment": 5}, {"comment": "\ud800"}, {"request": 5}, {"request": {"headers": [["a"]]}}, {"request": {"port": "9" * 20}},
        {"request": {"path": "/y", "port": -1}}, {"response": {"code": 10**9}}, {"nothing": 1}, [],
    ]  # fmt: skip
    for edit in edits:
        assert site.ask("PUT", f"/flows/{flow['id']}", edit).status == 400, edit
    (after,) = site.ask("GET", "/flows").json()
    assert after["request"]["path"] == "/x"
    dump = site.ask("GET", "/flows/dump").body
    assert site.ask("POST", "/flows/dump", dump).status == 200
    assert [flow["request"]["path"] for flow in site.ask("GET", "/flows").json()] == ["/x"]
    site.ask("POST", "/clear")


def test_strangers_cannot_make_it_hold_much(site):
    """A body is refused by its announced length before any of it is taken."""
    head = "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n{known}\r\n"
    known = f"Authorization: Bearer {site.token}\r\n"
    for path, length, lines in (
        ("/flows/dump", 1 << 20, ""), ("/codex/login", 1 << 20, ""), ("/codex/accounts", 8 << 20, known), ("/flows/dump", 1 << 30, known),
        ("/flows/dump", -5, known),
    ):  # fmt: skip
        answer = raw(site.port, head.format(path=path, host=site.host, length=length, known=lines).encode(), 5)
        assert answer.startswith(b"HTTP/1.1 400"), (path, length)
    both = f"POST /flows/dump HTTP/1.1\r\nHost: {site.host}\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n{known}\r\n0\r\n\r\n"
    assert raw(site.port, both.encode(), 5).startswith(b"HTTP/1.1 400")
    for line in ("GET /codex", "GET", "\x16\x03\x01\x02", "GET /" + "a" * 70000 + " HTTP/1.1"):
        raw(site.port, f"{line}\r\n\r\n".encode("latin-1"), 0.3)
    assert site.ask("GET", "/codex").status == 200, "and the next one is served"


def test_other_methods_do_nothing(site):
    for method in ("HEAD", "OPTIONS", "TRACE", "CONNECT", "PATCH", "PROPFIND"):
        for path in ("/codex", "/flows", "/codex/appearance", "/codex/live", "/"):
            line = f"{method} {path} HTTP/1.1\r\nHost: {site.host}\r\nConnection: close\r\n"
            lines = "".join(f"{name}: {value}\r\n" for name, value in site.bearer.items())
            answer = raw(site.port, f"{line}{lines}\r\n".encode())
            assert answer[9:12] == b"405", (method, path)
            assert b"Access-Control" not in answer


def test_a_broken_socket_ends_alone(site):
    """Frames that are none: unmasked, too long, reserved bits; the page goes on."""
    key = base64.b64encode(b"0" * 16).decode()
    upgrade = f"Host: {site.host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\nAuthorization: Bearer {site.token}\r\n\r\n"
    long = b"\x81\xff" + (1 << 40).to_bytes(8, "big") + b"\0" * 4
    for frame in (
        b"\x81\x05hello",
        b"\xf1\x80\0\0\0\0",
        long,
        b"\x83\x80\0\0\0\0",
        b"\x89\xfe\xff\xff\0\0\0\0",
        b"\x81\x82\0\0\0\0[]",
        b"\x81\x82\0\0\0\0\xff\xff",
    ):
        answer = raw(site.port, f"GET /updates HTTP/1.1\r\n{upgrade}".encode() + frame, 0.2)
        assert answer.startswith(b"HTTP/1.1 101"), frame
    for wrong in ("Sec-WebSocket-Version: 6", "Connection: close", "Upgrade: h2c"):
        name = wrong.partition(":")[0]
        lines = re.sub(rf"{name}: [^\r]*", wrong, upgrade)
        assert not raw(site.port, f"GET /updates HTTP/1.1\r\n{lines}".encode(), 0.2).startswith(
            (b"HTTP/1.1 101", b"HTTP/1.1 5")
        ), wrong
    assert site.ask("GET", "/codex/live?topic=nothing").status in {400, 404}
    assert site.ask("GET", "/codex").status == 200


KEYS = f"Authorization: Bearer {LOCAL_KEY}\r\nProxy-Authorization: Bearer {LOCAL_KEY}\r\n"


def test_the_proxy_never_leads_to_the_page(site):
    """CONNECT, absolute form, Host: by every name of this machine; and nothing of the page is at the proxy's own port."""
    import socket

    port = site.port
    for name in ("127.0.0.1", "localhost", "localhost.", "127.1", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0x7f.0.0.1", socket.gethostname()):  # fmt: skip
        tunnel = raw(
            site.proxy.port, f"CONNECT {name}:{port} HTTP/1.1\r\nHost: {name}:{port}\r\n{KEYS}\r\n".encode(), 5
        )
        assert tunnel[9:12] in {b"400", b"403"}, name
        for target, host in (
            (f"http://{name}:{port}/codex?token={site.token[::-1]}", f"{name}:{port}"),
            (f"/codex?token={site.token[::-1]}", f"{name}:{port}"),
        ):
            answer = raw(
                site.proxy.port, f"GET {target} HTTP/1.1\r\nHost: {host}\r\n{KEYS}Connection: close\r\n\r\n".encode(), 5
            )
            assert answer[9:12] in {b"400", b"403", b"404"}, (name, target)
            assert b"<html" not in answer
            assert b"Set-Cookie" not in answer


def test_the_token_is_on_no_command_line_and_in_no_log(site, folder):
    """The browser is sent to a file of the owner's, which leads on."""
    browsed, door = folder / "browsed", folder / "home" / "web.html"
    assert wait_for(lambda: browsed.exists() and browsed.read_text().endswith("\n"), 20), site.proxy.said()
    assert browsed.read_text().split()[-1] == door.as_uri()
    assert site.token not in browsed.read_text()
    assert stat.S_IMODE(door.stat().st_mode) == 0o600
    site.ask("GET", f"/codex?token={site.token}", None, {})
    site.ask("GET", f"/flows/dump?token={site.token}&filter=(", None, {})
    raw(site.port, f"BAD /codex?token={site.token}\r\n\r\n".encode(), 0.2)
    assert site.token not in site.proxy.said()
    folder = Path(f"/proc/{site.proxy.process.pid}")
    if folder.exists():
        assert site.token.encode() not in (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
    for events in (site.ask("GET", "/events").body, site.ask("GET", "/options").body):
        assert site.token.encode() not in events


class Inline(HTMLParser):
    """Collects what a strict policy would block, or would make a browser ask another server."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        names = dict(attrs)
        if tag == "style" or (tag == "script" and not names.get("src")):
            self.found.append(f"<{tag}>")
        for name, value in attrs:
            text = (value or "").strip().lower()
            if name == "style" or name.startswith(("on", "hx-on", "data-hx-on")):
                self.found.append(f"{tag} {name}")
            if text.startswith(("http:", "https:", "//", "javascript:", "data:text")) and name in {
                "src",
                "href",
                "action",
                "srcset",
                "hx-get",
                "hx-post",
                "ws-connect",
                "data",
            }:
                self.found.append(f"{tag} {name}={value}")
            if tag in {"iframe", "object", "embed", "base"}:
                self.found.append(tag)


def test_templates_have_nothing_inline_and_nothing_from_elsewhere():
    templates = sorted((HERE / "templates").rglob("*.html"))
    assert len(templates) > 5
    wrong = []
    for template in templates:
        parser = Inline()
        text = re.sub(r"{%.*?%}|{#.*?#}", "", template.read_text(encoding="utf-8"), flags=re.DOTALL)
        parser.feed(re.sub(r"{{.*?}}", "x", text, flags=re.DOTALL))
        wrong += [f"{template.name}: {what}" for what in parser.found]
        assert "|safe" not in text.replace(" ", ""), (
            f"{template.name}: what is not escaped needs a reason and a test of its own"
        )
    assert wrong == []


def test_styles_and_scripts_of_ours_fetch_nothing_from_elsewhere():
    for path in [*(HERE / "static").glob("*.css"), *(HERE / "static").glob("*.js")]:
        text = path.read_text(encoding="utf-8")
        text = text.replace(
            "pushed.innerHTML = text;", ""
        )  # a <template>: inert, filled with what our own server pushed
        assert not re.search(
            r"@import|url\(\s*['\"]?(?:https?:)?//|\beval\(|new Function|innerHTML\s*=|document\.write|insertAdjacentHTML",
            text,
        ), path.name
