"""The forward proxy as its users have it: tools that know nothing of us, a process, TLS at both ends."""

import contextlib
import functools
import http.client
import http.server
import json
import os
import shutil
import ssl
import subprocess
import sys
import threading
import zipfile

from pathlib import Path

import pytest

from tests.e2e.forward import CHAT, H2, HOST, authorized, ca_of, connect, everything, request, secure, tls_fake
from tests.support import LOCAL_KEY, account, make_home, running_proxy, wait_for

from codex_manager.ledger import Reader
from codex_manager.testing import answers
from codex_manager_certs.authority import Authority


LOOPBACK = "allow_private: [127.0.0.0/8, '::1']"


@contextlib.contextmanager
def new_upstream(folder):
    with tls_fake(folder) as (fake, theirs, base_url):
        fake.account("sk-limited")
        fake.always("sk-limited", answers.rate_limited(retry_after=60))
        fake.account("sk-good")
        yield fake, theirs, base_url


@pytest.fixture
def upstream(tmp_path):
    with new_upstream(tmp_path / "theirs") as made:
        yield made


def new_home(path, upstream, proxy="", forward=""):
    _, theirs, base_url = upstream
    config = f"""\
proxy:
  openai_base_url: {base_url}
  {proxy}
upstream:
  ca_file: {theirs.ca_file}
forward:
  enabled: true
  {forward}
routing:
  strategy: priority
"""
    return make_home(path, [account("limited", "sk-limited", priority=2), account("good", "sk-good")], config)


@pytest.fixture
def home_of(upstream, isolated_home):
    return functools.partial(new_home, isolated_home, upstream)


@pytest.fixture(scope="module")
def shared_upstream(tmp_path_factory):
    with new_upstream(tmp_path_factory.mktemp("shared") / "theirs") as made:
        yield made


@pytest.fixture(scope="module")
def shared(shared_upstream, tmp_path_factory):
    """One proxy for each way it is set, for what leaves nothing behind in it: starting one costs more than it is asked."""
    with contextlib.ExitStack() as running:

        @functools.cache
        def with_settings(proxy="", forward=""):
            home = new_home(tmp_path_factory.mktemp("shared") / "home", shared_upstream, proxy, forward)
            home.environment["HOME"] = str(home.path)
            return home, running.enter_context(running_proxy(home))

        yield with_settings


SDK = """
import openai
client = openai.OpenAI(max_retries=0, timeout=20)
answer = client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "hi"}])
assert answer.choices[0].message.content
stream = client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "hi"}], stream=True)
print(len(list(stream)), client.base_url)
"""


def tool_environment(proxy, home, key=LOCAL_KEY):
    return {
        "PATH": os.environ["PATH"],
        "HTTPS_PROXY": proxy.url,
        "SSL_CERT_FILE": str(ca_of(home)),
        "OPENAI_API_KEY": key,
    }


def test_the_sdk_unmodified_by_two_variables(upstream, home_of):
    home = home_of()
    with running_proxy(home) as proxy:
        done = subprocess.run(
            [sys.executable, "-c", SDK],
            env=tool_environment(proxy, home),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    chunks, base_url = done.stdout.split()
    assert int(chunks) > 2
    assert base_url == "https://api.openai.com/v1/"
    fake = upstream[0]
    assert (fake.counts("sk-good"), fake.counts("sk-limited")) == (2, 1)
    assert fake.connections_total <= 2
    with Reader.open(home.path / "ledger.db") as reader:
        assert sorted((r.status, r.streamed, r.estimated, r.account) for r in reader.requests()) == [
            (200, False, False, "good"),
            (200, True, False, "good"),
        ]


def test_a_foreign_key_is_told_which_variable_to_set(shared_upstream, shared):
    home, proxy = shared()
    before = len(shared_upstream[0].log)
    done = subprocess.run(
        [sys.executable, "-c", SDK], env=tool_environment(proxy, home, "sk-mine"), capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert "AuthenticationError" in done.stderr
    assert "OPENAI_API_KEY" in done.stderr
    assert "sk-mine" not in done.stderr
    assert len(shared_upstream[0].log) == before


@pytest.mark.parametrize("http2", [False, True])
def test_foreign_keys_pass_untouched_where_that_is_wanted(http2, shared_upstream, shared):
    """To the host the client asked for, verified, with its key, its organization and its cookies; no account is used."""
    fake, _, base_url = shared_upstream
    mine = f"sk-mine-{http2}"
    fake.account(mine, organization="org-mine")
    if not shutil.which("curl"):
        pytest.skip("needs curl")
    home, proxy = shared(proxy="foreign_keys: pass", forward="hosts: [localhost]")
    before = len(fake.log)
    command = [
        "curl", "-sS", "--http2" if http2 else "--http1.1", "-x", proxy.url, "--cacert", str(ca_of(home)), "-w", "\n%{http_version} %{http_code}",
        "-H", f"Authorization: Bearer {mine}", "-H", "OpenAI-Organization: org-mine", "-H", "Cookie: a=b", "-H", "Content-Type: application/json",
        "-d", CHAT.decode(), f"{base_url}/v1/chat/completions",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    body, _, status = done.stdout.rpartition("\n")
    assert status == ("2 200" if http2 else "1.1 200")
    assert json.loads(body)["object"] == "chat.completion"
    (seen,) = fake.log[before:]
    headers = {name.lower(): value for name, value in seen.headers}
    assert seen.key == mine
    assert headers["cookie"] == "a=b"
    assert headers["openai-organization"] == "org-mine"
    assert headers["host"] == base_url.removeprefix("https://")
    assert seen.body == CHAT


def test_new_clients_find_the_upstream_connection_warm(upstream, home_of):
    fake = upstream[0]
    home = home_of()
    with running_proxy(home) as proxy:
        for _ in range(10):
            with secure(proxy, home) as link:
                link.sendall(request())
                assert everything(link, 10).startswith(b"HTTP/1.1 200 ")
            with secure(proxy, home, "h2") as link:
                client = H2(link)
                assert client.status(client.send(authorized())) == 200
    assert fake.counts("sk-good") == 20
    assert fake.connections_total <= 2  # one for the account that was limited


@contextlib.contextmanager
def index(folder, context):
    """A package index with one wheel in it."""
    (folder / "simple" / "demo").mkdir(parents=True)
    wheel = folder / "simple" / "demo" / "demo-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("demo.py", "x = 1\n")
        archive.writestr("demo-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n")
        archive.writestr("demo-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("demo-1.0.dist-info/RECORD", "")
    (folder / "simple" / "demo" / "index.html").write_text(f'<a href="{wheel.name}">{wheel.name}</a>')

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(folder))

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


@pytest.mark.slow
def test_pip_downloads_through_a_tunnel_and_sees_the_servers_own_certificate(upstream, home_of, tmp_path):
    _, theirs, _ = upstream
    home = home_of(forward=LOOPBACK)
    with index(tmp_path / "index", theirs.context()) as port, running_proxy(home) as proxy:
        url = f"https://localhost:{port}/simple/"
        arguments = [
            "--no-deps",
            "--no-cache-dir",
            "--disable-pip-version-check",
            "--isolated",
            "--retries",
            "0",
            "--proxy",
            proxy.url,
        ]

        def download(name, cafile):
            return subprocess.run(
                [sys.executable, "-m", "pip", "download", *arguments, "--cert", str(cafile), "-i", url, "-d", str(tmp_path / name), "demo"],
                env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)}, capture_output=True, text=True, timeout=60, check=False,
            )  # fmt: skip

        assert download("with theirs", theirs.ca_file).returncode == 0
        assert download("with ours", ca_of(home)).returncode != 0
    assert [path.name for path in (tmp_path / "with theirs").iterdir()] == ["demo-1.0-py3-none-any.whl"]


def test_a_tunnel_shows_the_servers_own_certificate(shared_upstream, shared):
    fake, theirs, _ = shared_upstream
    _, proxy = shared(forward=LOOPBACK)
    before = fake.counts("sk-good")
    trusting = ssl.create_default_context(cafile=theirs.ca_file)
    with trusting.wrap_socket(connect(proxy, f"localhost:{fake.port}"), server_hostname="localhost") as link:
        link.sendall(request("sk-good").replace(HOST.encode(), b"localhost"))
        assert everything(link, 10).startswith(b"HTTP/1.1 200 ")
    assert fake.counts("sk-good") == before + 1


def test_without_the_setting_this_machine_is_forbidden(shared_upstream, shared):
    _, proxy = shared()
    with pytest.raises(AssertionError, match="403 Forbidden"):
        connect(proxy, f"localhost:{shared_upstream[0].port}")


@contextlib.contextmanager
def plain_server():
    seen = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            seen.append((self.requestline, dict(self.headers), body))
            self.send_response(201, "Made")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Set-Cookie", "theirs=1")
            self.end_headers()
            self.wfile.write(body[::-1])

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1], seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


@pytest.mark.parametrize(
    ("settings", "status"), [(LOOPBACK, 403), (f"plain_http: true\n  {LOOPBACK}", 201), ("plain_http: true", 403)]
)
def test_plain_http_passes_or_not_by_setting(settings, status, shared):
    _, proxy = shared(forward=settings)
    with (
        plain_server() as (port, seen),
        contextlib.closing(http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=10)) as client,
    ):
        headers = {
            "Authorization": "Basic theirs",
            "Cookie": "a=b",
            "Proxy-Authorization": "Basic x",
            "X-Case": "Kept",
        }
        client.request("POST", f"http://localhost:{port}/path?q=%20", b"body", headers)
        answer = client.getresponse()
        body = answer.read()
    assert answer.status == status
    if status != 201:
        assert not seen
        return
    assert (answer.reason, body, answer.headers["Set-Cookie"]) == ("Made", b"ydob", "theirs=1")
    line, headers, sent = seen[0]
    assert (line, sent) == ("POST /path?q=%20 HTTP/1.1", b"body")
    assert headers["Host"] == f"localhost:{port}"
    assert (headers["Authorization"], headers["Cookie"], headers["X-Case"]) == ("Basic theirs", "a=b", "Kept")
    assert "Proxy-Authorization" not in headers


def test_a_client_with_http_proxy_set_reaches_the_base_url_all_the_same(shared):
    """`http_proxy` leads to us, and so does the base URL: the request comes as a whole URL."""
    _, proxy = shared()
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=10)) as client:
        headers = {"Authorization": f"Bearer {LOCAL_KEY}", "Content-Type": "application/json"}
        client.request("POST", f"{proxy.base_url}/chat/completions", CHAT, headers)
        assert client.getresponse().status == 200


def test_an_authority_that_others_can_read_refuses_to_start(home_of):
    home = home_of()
    Authority.open_or_make(home.path / "ca", {HOST})
    (home.path / "ca" / "authority.json").chmod(0o644)
    ended = subprocess.run(
        [sys.executable, "-m", "codex_manager.proxy", "--bind", "127.0.0.1:0"], env=home.environ(), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert ended.returncode == 1
    assert "codex-manager: error: " in ended.stderr
    assert "listening" not in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.slow
def test_a_new_host_is_served_while_the_proxy_runs(home_of):
    home = home_of()
    with running_proxy(home) as proxy:
        text = home.config_file.read_text().replace("forward:\n", "forward:\n  hosts: [eu.api.openai.com]\n")
        home.config_file.write_text(text)
        assert wait_for(lambda: "eu.api.openai.com" in proxy.said(), 15), proxy.said()

        def served():
            with contextlib.suppress(OSError, AssertionError):
                context = ssl.create_default_context(cafile=ca_of(home))
                with context.wrap_socket(
                    connect(proxy, "eu.api.openai.com:443"), server_hostname="eu.api.openai.com"
                ) as link:
                    link.sendall(request().replace(b"Host: api", b"Host: eu.api"))
                    return everything(link, 5).startswith(b"HTTP/1.1 200 ")
            return False

        assert wait_for(served, 15, 0.3), proxy.said()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_no_key_is_left_anywhere(upstream, home_of):
    """An account's, a client's own that passed, and the local one of a client that spoke plain HTTP where TLS was due."""
    fake = upstream[0]
    mine = "sk-canary-mine-0123456789abcdef"
    fake.account(mine)
    home = home_of(proxy="foreign_keys: pass", forward=f"hosts: [localhost]\n  {LOOPBACK}")
    with running_proxy(home, "-v") as proxy:
        with secure(proxy, home) as link:
            link.sendall(request())
            assert everything(link, 10).startswith(b"HTTP/1.1 200 ")
        with secure(proxy, home, "h2") as link:
            client = H2(link)
            assert client.status(client.send(authorized())) == 200
            client.status(client.send(authorized((b"x-a", f"{LOCAL_KEY}\r\n".encode()))))
        with connect(proxy) as link:
            link.sendall(request())
            assert everything(link, 2) == b""
        context = ssl.create_default_context(cafile=ca_of(home))
        with context.wrap_socket(connect(proxy, f"localhost:{fake.port}"), server_hostname="localhost") as link:
            link.sendall(request(mine).replace(HOST.encode(), b"localhost"))
            assert everything(link, 10).startswith(b"HTTP/1.1 200 ")
        process = Path(f"/proc/{proxy.process.pid}")
        found = (process / "environ").read_bytes() + (process / "cmdline").read_bytes()
    said = proxy.said().replace(f"OPENAI_API_KEY={LOCAL_KEY}", "").encode()
    found += b"".join(path.read_bytes() for path in home.path.rglob("*") if path.is_file())
    assert {seen.key for seen in fake.log} == {"sk-limited", "sk-good", mine}
    for key in ("sk-limited", "sk-good", mine):
        assert key.encode() not in found + said
        assert key.encode().hex().encode() not in said
    assert LOCAL_KEY.encode() not in said
    assert LOCAL_KEY.encode().hex().encode() not in said
