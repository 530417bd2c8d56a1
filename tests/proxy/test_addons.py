"""The addons inside real mitmdump and mitmweb processes: reverse mode, regular mode, CONNECT; no key in what they show."""

import contextlib
import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time

from pathlib import Path

import openai
import psutil
import pytest

from tests.support import LOCAL_KEY, account, make_home, stop, wait_for

from codex_manager.ledger import Reader
from codex_manager.testing import FakeOpenAI, answers, in_thread, toxics


pytestmark = pytest.mark.slow  # each of these starts real programs; `.ci/run` runs them


MAIN = Path(__file__).parents[2] / "addon" / "main.py"
KEY = "sk-canary-account-0123456789"
HEADERS = {"Authorization": f"Bearer {LOCAL_KEY}", "Content-Type": "application/json"}
CHAT = b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":"hi"}]}'


@contextlib.contextmanager
def new_fake():
    with in_thread(FakeOpenAI()) as server:
        server.account("sk-limited")
        server.always("sk-limited", answers.rate_limited(retry_after=60))
        server.account(KEY, organization="org-b")
        yield server


def new_home(path, fake):
    config = f"proxy:\n  openai_base_url: {fake.base_url}\nrouting:\n  strategy: priority\n"
    return make_home(path, [account("limited", "sk-limited", priority=2), account("good", KEY)], config)


@pytest.fixture
def fake():
    with new_fake() as server:
        yield server


@pytest.fixture
def home(fake, isolated_home):
    return new_home(isolated_home, fake)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A fake and one mitmdump for tests that leave nothing behind in them: it takes two seconds to start."""
    folder = tmp_path_factory.mktemp("shared")
    with new_fake() as server:
        made = new_home(folder / "home", server)
        made.environment["HOME"] = str(folder)
        with mitm(made, folder) as running:
            yield server, running


class Mitm:
    """A running mitmdump or mitmweb."""

    def __init__(self, process, port, output, confdir):
        self.process = process
        self.port = port
        self.output = output
        self.confdir = confdir

    def said(self):
        return "".join(self.output)

    def ask(self, path="/v1/chat/completions", body=CHAT, headers=HEADERS, method=None):
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)) as connection:
            connection.request(method or ("POST" if body else "GET"), path, body, headers)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()


@contextlib.contextmanager
def mitm(home, tmp_path, *arguments, tool="mitmdump", ready=200):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    confdir = tmp_path / "mitmproxy"
    command = [shutil.which(tool) or str(Path(sys.executable).parent / tool), "--set", f"confdir={confdir}"]
    command += ["--listen-host", "127.0.0.1", "--listen-port", str(port), "-s", str(MAIN), *arguments]
    process = subprocess.Popen(
        command,
        env=home.environ(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    output: list[str] = []
    assert process.stdout is not None
    stream = process.stdout
    reader = threading.Thread(target=lambda: output.extend(stream), daemon=True)
    reader.start()
    running = Mitm(process, port, output, confdir)

    def serving():
        with contextlib.suppress(OSError, http.client.HTTPException):
            return running.ask("/health", body=None)[0] == ready
        return False

    try:
        assert wait_for(serving, 20), running.said()
        yield running
    finally:
        stop(process)
        reader.join(5)
        stream.close()


@pytest.mark.parametrize("mode", [("--mode", "reverse:https://api.openai.com"), ()], ids=["reverse", "regular"])
def test_the_sdk_and_its_streams_fail_over(mode, home, fake, tmp_path):
    with mitm(home, tmp_path, *mode) as proxy:
        with openai.OpenAI(
            api_key=LOCAL_KEY, base_url=f"http://127.0.0.1:{proxy.port}/v1", max_retries=0, timeout=20
        ) as client:
            answer = client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "hi"}])
            assert answer.choices[0].message.content
            stream = client.chat.completions.create(
                model="gpt-4o-mini", messages=[{"role": "user", "content": "hi"}], stream=True
            )
            assert len(list(stream)) > 2
        assert proxy.ask(headers={"Authorization": "Bearer wrong"})[0] == 401
        assert (
            b'account="good",endpoint="chat/completions",model="gpt-4o-mini"} 2.0'
            in proxy.ask("/metrics", body=None)[2]
        )
    assert fake.counts(KEY) == 2
    with Reader.open(home.path / "ledger.db") as reader:
        assert [record.status for record in reader.requests()] == [200, 200]
    assert "Traceback" not in proxy.said()


@pytest.mark.slow
def test_chunks_pass_mitmdump_live(home, fake, tmp_path):
    fake.always(KEY, answers.ok(chunks=5, every=0.1))
    with mitm(home, tmp_path) as proxy:
        connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=20)
        connection.request("POST", "/v1/chat/completions", CHAT.replace(b"}]}", b'}],"stream":true}'), HEADERS)
        answer = connection.getresponse()
        arrived = []
        while answer.readline():
            arrived.append(time.monotonic())
        assert arrived[-1] - arrived[0] > 0.35
        connection.close()


def tunnel(port, host, cafile):
    """A TLS connection through CONNECT."""
    link = socket.create_connection(("127.0.0.1", port), timeout=20)
    link.sendall(f"CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n".encode())
    assert b" 200 " in link.recv(4096)
    try:
        return ssl.create_default_context(cafile=cafile).wrap_socket(link, server_hostname=host)
    except BaseException:
        link.close()
        raise


@pytest.mark.parametrize("http2", [False, True])
def test_connect_to_openai_is_carried_by_the_engine(http2, shared):
    if http2 and not shutil.which("curl"):
        pytest.skip("needs curl for HTTP/2")
    fake, proxy = shared
    before, said = fake.counts(KEY), len(proxy.said())
    cafile = proxy.confdir / "mitmproxy-ca-cert.pem"
    if http2:
        done = subprocess.run(
            ["curl", "--http2", "-sS", "-w", "\n%{http_version} %{http_code}", "-x", f"http://127.0.0.1:{proxy.port}", "--cacert",
             str(cafile), "-H", f"Authorization: Bearer {LOCAL_KEY}", "-H", "Content-Type: application/json", "-d", CHAT.decode(),
             "https://api.openai.com/v1/chat/completions"],
            capture_output=True, text=True, timeout=30, check=True,
        )  # fmt: skip
        body, _, status = done.stdout.rpartition("\n")
        assert status == "2 200"
        assert json.loads(body)["object"] == "chat.completion"
    else:
        with tunnel(proxy.port, "api.openai.com", cafile) as link:
            lines = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
            link.sendall(
                f"POST /v1/chat/completions HTTP/1.1\r\nHost: api.openai.com\r\n{lines}Content-Length: {len(CHAT)}\r\n\r\n".encode()
                + CHAT
            )
            assert link.recv(4096).startswith(b"HTTP/1.1 200 OK\r\n")
    assert fake.counts(KEY) == before + 1
    assert "server connect" not in proxy.said()[said:]


@pytest.mark.skipif(not shutil.which("curl"), reason="needs curl for HTTP/2")
def test_a_large_body_over_http2_passes_the_layers_of_mitmdump(home, fake, tmp_path):
    """It streams with windows of its own, and what opens them travels through mitmproxy's layers."""
    home.config_file.write_text(home.config_file.read_text() + "limits:\n  replay_body_mib: 1\n")
    fake.always("sk-limited", answers.raw(200, body=b"{}"))
    body = tmp_path / "body.json"
    body.write_text(CHAT.decode().replace('"hi"', f'"{"x" * 6_000_000}"'))
    with mitm(home, tmp_path) as proxy:
        done = subprocess.run(
            ["curl", "--http2", "-sS", "-w", "%{http_version} %{http_code}", "-x", f"http://127.0.0.1:{proxy.port}",
             "--cacert", str(proxy.confdir / "mitmproxy-ca-cert.pem"), "-H", f"Authorization: Bearer {LOCAL_KEY}",
             "-H", "Content-Type: application/json", "-H", "Expect:", "--data-binary", f"@{body}", "https://api.openai.com/v1/chat/completions"],
            capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
    assert (done.stdout, done.stderr) == ("{}2 200", "")
    assert [seen.body_size for seen in fake.log] == [body.stat().st_size]


def test_our_own_authority_certifies_hosts_of_ours_alone_where_that_is_asked_for(home, fake, tmp_path):
    with mitm(home, tmp_path, "--set", "codex_ca=true") as proxy:
        ours, theirs = home.path / "ca" / "ca.pem", proxy.confdir / "mitmproxy-ca-cert.pem"
        assert wait_for(ours.exists, 10)
        with tunnel(proxy.port, "api.openai.com", ours) as link:
            lines = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
            link.sendall(f"GET /v1/models HTTP/1.1\r\nHost: api.openai.com\r\n{lines}\r\n".encode())
            assert link.recv(4096).startswith(b"HTTP/1.1 200 OK\r\n")
        with tunnel(proxy.port, "www.example.com", theirs):
            pass
        with pytest.raises(ssl.SSLCertVerificationError):
            tunnel(proxy.port, "api.openai.com", theirs)


def test_other_hosts_are_mitmproxys_own_business(shared):
    """A plain-http request to another server passes as without us, with whatever key it carries."""
    fake, proxy = shared
    before, said = len(fake.log), len(proxy.said())
    with in_thread(FakeOpenAI()) as other:
        other.account("sk-theirs")
        target = f"http://localhost:{other.base_url.rpartition(':')[2]}/v1/models"
        status, headers, _ = proxy.ask(target, body=None, headers={"Authorization": "Bearer sk-theirs"})
        assert status == 200
        assert "X-Account-ID" not in headers
        assert other.counts("sk-theirs") == 1
    assert len(fake.log) == before
    assert wait_for(
        lambda: "server connect" in proxy.said()[said:]
    )  # mitmproxy's own connection, as the next test may look


def test_no_key_is_in_a_dump_a_log_or_a_har(home, fake, tmp_path):
    dump, har = tmp_path / "flows", tmp_path / "flows.har"
    with mitm(home, tmp_path, "-w", str(dump), "--set", f"hardump={har}", "-v", "--flow-detail", "4") as proxy:
        status, headers, _ = proxy.ask()
        assert (status, len(headers["X-Codex-Manager-Request-Id"])) == (200, 32)
        assert proxy.ask(headers={"Authorization": "Bearer sk-foreign-0123456789"})[0] == 401
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as half:
            half.sendall(f"POST /v1/x HTTP/1.1\r\nAuthorization: Bearer {LOCAL_KEY}".encode())
        link = socket.create_connection(("127.0.0.1", proxy.port), timeout=5)
        link.sendall(f"BAD\r\nAuthorization: Bearer {LOCAL_KEY}\r\n\r\n".encode())
        assert link.recv(4096).startswith(b"HTTP/1.1 400 ")
        link.close()
    shown = dump.read_bytes() + har.read_bytes() + proxy.said().encode()
    for secret in (LOCAL_KEY, KEY, "sk-foreign-0123456789", "sk-limited"):
        assert secret.encode() not in shown.replace(b"OPENAI_API_KEY to sk-codex-manager", b""), secret
    assert b"Bearer [codex-manager]" in shown
    assert b"good" in dump.read_bytes()  # the flow names the account that served it
    assert b" tok \xc2\xb7 " in dump.read_bytes()  # and what it used


@pytest.mark.slow
def test_foreign_keys_pass_over_mitmproxys_own_connection_when_allowed(home, fake, tmp_path):
    """The client's own key reaches the server it was meant for, and stands in no flow."""
    fake.account("sk-foreign-0123456789")
    port = fake.base_url.rpartition(":")[2]
    home.config_file.write_text(
        f"proxy:\n  openai_base_url: http://localhost:{port}\n  foreign_keys: pass\nforward:\n  hosts: [localhost]\n"
    )
    dump = tmp_path / "flows"
    with mitm(home, tmp_path, "-w", str(dump)) as proxy:
        target = f"http://localhost:{port}/v1/chat/completions"
        foreign = HEADERS | {"Authorization": "Bearer sk-foreign-0123456789", "Host": f"localhost:{port}"}
        status, headers, _ = proxy.ask(target, headers=foreign)
        assert status == 200
        assert "X-Account-ID" not in headers
        status, headers, _ = proxy.ask(target, headers=HEADERS | {"Host": f"localhost:{port}"})
        assert (status, headers["X-Account-Label"]) == (200, "good")
    assert fake.counts("sk-foreign-0123456789") == 1
    assert b"sk-foreign-0123456789" not in dump.read_bytes()


@pytest.mark.slow
def test_a_slow_http2_reader_does_not_fill_the_memory(home, fake, tmp_path):
    """100 MB through CONNECT to a client that takes 20 MB/s for a second and then leaves."""
    if not shutil.which("curl"):
        pytest.skip("needs curl for HTTP/2")
    fake.always(KEY, answers.raw(200, [("content-type", "application/octet-stream")], b"x" * (100 << 20)))
    with mitm(home, tmp_path) as proxy:
        watched = psutil.Process(proxy.process.pid)
        before = watched.memory_info().rss
        curl = subprocess.Popen(
            ["curl", "--http2", "-sS", "--limit-rate", "5M", "-o", "/dev/null", "-x", f"http://127.0.0.1:{proxy.port}", "--cacert",
             str(proxy.confdir / "mitmproxy-ca-cert.pem"), "-H", f"Authorization: Bearer {LOCAL_KEY}", "https://api.openai.com/v1/files/file-1/content"],
        )  # fmt: skip
        time.sleep(3)
        assert curl.poll() is None
        grown = watched.memory_info().rss - before
        curl.kill()
        curl.wait()
    assert fake.counts(KEY) == 1
    assert grown < 40 << 20, f"{grown >> 20} MiB"


@pytest.mark.slow
def test_mitmweb_shows_conversations_and_decisions_and_obeys_commands(home, fake, tmp_path):
    """Through mitmweb's own interface, as its page asks."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        web = free.getsockname()[1]
    options = ("--no-web-open-browser", "--web-port", str(web), "--set", "web_password=opened")
    with mitm(home, tmp_path, *options, tool="mitmweb") as proxy:
        assert proxy.ask()[0] == 200

        def page(method, path, body=None):
            headers = {
                "Authorization": "Bearer opened",
                "Cookie": f"_mitmproxy_xsrf={'ab' * 16}",
                "X-XSRFToken": "ab" * 16,
            }
            headers |= {"Content-Type": "application/json"} if body else {}
            with contextlib.closing(http.client.HTTPConnection("127.0.0.1", web, timeout=20)) as connection:
                connection.request(method, path, body, headers)
                answer = connection.getresponse().read()
                assert answer.startswith((b"{", b"[")), (path, answer, proxy.said())
                return json.loads(answer)

        (flow,) = (each for each in page("GET", "/flows") if each["request"]["path"] == "/v1/chat/completions")
        content = f"/flows/{flow['id']}/%s/content/%s"
        asked = page("GET", content % ("request", "Auto"))
        assert (asked["view_name"], asked["syntax_highlight"]) == ("OpenAI conversation", "yaml")
        assert "user: |\n  hi" in asked["text"]
        assert "ended: stop\nusage: " in page("GET", content % ("response", "OpenAI%20conversation"))["text"]
        decision = page("GET", content % ("response", "codex-manager%20decision"))["text"]
        assert "1. limited, " in decision
        assert "2. good, " in decision
        assert "1 of 2 accounts can serve" in page("POST", "/commands/codex.status", '{"arguments": []}')["value"]
        said = page("POST", "/commands/codex.switch", '{"arguments": ["nobody"]}')["error"]
        assert said.startswith("there is no account 'nobody'")
        page("POST", "/commands/codex.disable", '{"arguments": ["good"]}')
        assert wait_for(lambda: proxy.ask()[0] != 200)


def test_the_dashboard_is_on_the_server_of_ones_own_mitmweb(home, fake, tmp_path):
    """Behind its password, under names of this machine only; its own pages stay as they are."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        web = free.getsockname()[1]
    options = ("--no-web-open-browser", "--web-port", str(web), "--set", "web_password=opened")
    with mitm(home, tmp_path, *options, tool="mitmweb") as proxy:

        def page(path, **headers):
            with contextlib.closing(http.client.HTTPConnection("127.0.0.1", web, timeout=20)) as connection:
                connection.request("GET", path, headers=headers)
                answer = connection.getresponse()
                return answer.status, answer.read().decode()

        known = {"Authorization": "Bearer opened"}
        status, text = page("/codex", **known)
        assert (status, "<h1>Dashboard</h1>" in text, f"http://127.0.0.1:{proxy.port}/v1" in text) == (200, True, True)
        assert [page(path, **known)[0] for path in ("/codex/accounts", "/codex/settings", "/codex/about")] == [200] * 3
        assert page("/codex")[0] == 403
        assert page("/codex", Host="evil.example", **known)[0] == 403
        assert page("/codex", **{"Sec-Fetch-Site": "cross-site"}, **known)[0] == 403
        assert "<title>mitmproxy</title>" in page("/", **known)[1]
        assert KEY not in text


def test_a_vault_that_cannot_be_opened_stops_mitmdump_with_a_sentence(home, tmp_path):
    home.environment["CAM_MASTER_KEY"] = "wrong"
    command = [
        str(Path(sys.executable).parent / "mitmdump"),
        "--set",
        f"confdir={tmp_path}",
        "--listen-host",
        "127.0.0.1",
        "--listen-port",
        "0",
        "-s",
        str(MAIN),
    ]
    ended = subprocess.run(
        command, env=home.environ(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False
    )
    assert ended.returncode == 1
    assert "codex-manager: " in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr


@pytest.mark.slow
def test_a_hanging_upstream_and_a_leaving_client_inside_mitmdump(home, fake, tmp_path):
    fake.always(KEY, answers.ok() | toxics.hang())
    with mitm(home, tmp_path) as proxy:
        link = socket.create_connection(("127.0.0.1", proxy.port), timeout=10)
        link.sendall(
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {LOCAL_KEY}\r\nContent-Length: {len(CHAT)}\r\n\r\n".encode()
            + CHAT
        )
        assert wait_for(lambda: fake.counts(KEY))
        link.close()
        started = time.monotonic()
        assert wait_for(lambda: any(seen.key == KEY and seen.aborted for seen in fake.log), 5, 0.005)
        assert time.monotonic() - started < 0.3
    assert os.environ.get("OPENAI_API_KEY") is None
