"""Bad input is one sentence with the cure, and the proxy goes on serving."""

import contextlib
import http.client
import json
import os
import re
import socket
import stat
import subprocess
import sys

import pytest

from tests.e2e.conftest import KEYS
from tests.support import LOCAL_KEY, MASTER_KEY, account, make_home, running_proxy, wait_for

from codex_manager.testing import answers


AUTHORIZED = {"Authorization": f"Bearer {LOCAL_KEY}", "Content-Type": "application/json"}
CHAT = b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":"hi"}]}'


def ask(proxy, method="POST", path="/v1/chat/completions", body=CHAT, headers=AUTHORIZED, timeout=20):
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=timeout)) as connection:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()


def send_raw(proxy, data, timeout=10):
    """Raw bytes in, what comes back until the answer is whole, the proxy closes or falls silent."""
    whole = re.compile(rb"(?s).*?\r\ncontent-length: *(\d+)\r\n.*?\r\n\r\n", re.IGNORECASE)
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=timeout) as link:
        link.sendall(data)
        link.shutdown(socket.SHUT_WR)
        received = b""
        with contextlib.suppress(TimeoutError, ConnectionError):
            while piece := link.recv(65536):
                received += piece
                if (head := whole.match(received)) and len(received) >= head.end() + int(head[1]):
                    break
    return received


def error_of(body):
    error = json.loads(body)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert "\n" not in error["message"].strip()
    assert "Traceback" not in error["message"]
    return error


def test_the_proxy_still_serves_after_each_of_many_bad_requests(shared_proxy, shared_fake):
    """Wrong keys, malformed heads, unknown paths: refused in OpenAI's shape, none of them reaches the upstream."""
    authorization = f"Authorization: Bearer {LOCAL_KEY}\r\n".encode()
    bad = {
        "wrong local key": b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer sk-proj-foreign\r\n\r\n",
        "no key": b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        "two authorizations": b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\n" + authorization * 2 + b"\r\n",
        "NUL in a header": b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: a\0b\r\n" + authorization + b"\r\n",
        "unknown path": b"GET /admin HTTP/1.1\r\nHost: 127.0.0.1\r\n" + authorization + b"\r\n",
        "traversal": b"GET /v1/../admin HTTP/1.1\r\nHost: 127.0.0.1\r\n" + authorization + b"\r\n",
        "foreign host": b"GET /v1/models HTTP/1.1\r\nHost: evil.example\r\n" + authorization + b"\r\n",
        "foreign origin": b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: https://evil.example\r\n" + authorization + b"\r\n",
        "no host": b"GET /v1/models HTTP/1.1\r\n" + authorization + b"\r\n",
        "CONNECT": b"CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: 169.254.169.254:80\r\n\r\n",
        "absolute form": b"GET http://169.254.169.254/ HTTP/1.1\r\nHost: 169.254.169.254\r\n" + authorization + b"\r\n",
        "both framings": b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n"
        + authorization + b"\r\n0\r\n\r\n",
        "two lengths": b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 4\r\nContent-Length: 5\r\n"
        + authorization + b"\r\nabcde",
        "space before colon": b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A : b\r\n" + authorization + b"\r\n",
        "not HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello\r\n\r\n",
        "huge header": b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: " + b"a" * 80_000 + b"\r\n" + authorization + b"\r\n",
        "many headers": b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"".join(b"X-%d: a\r\n" % n for n in range(150))
        + authorization + b"\r\n",
    }  # fmt: skip
    for what, data in bad.items():
        answer = send_raw(shared_proxy, data)
        head, _, body = answer.partition(b"\r\n\r\n")
        if answer:  # what is not HTTP at all may just be hung up on
            assert head.split()[1][:1] == b"4" or head.split()[1] == b"501", f"{what}: {answer[:200]!r}"
            error_of(body)
        assert shared_fake.log == [], f"{what} reached the upstream"
    status, _ = ask(shared_proxy)
    assert status == 200
    assert "Traceback" not in shared_proxy.said()


@pytest.mark.parametrize(
    ("body", "expected"),
    [(b"{not json", 400), (b"", 400), (b"[" * 100_000, 400), (b'{"model": 7}', 400)],
    ids=["malformed", "empty", "deeply nested", "model is a number"],
)
def test_a_malformed_body_is_the_upstreams_to_refuse_and_is_not_repeated(shared_proxy, shared_fake, body, expected):
    shared_fake.always(KEYS["limited"], answers.bad_request())
    status, answer = ask(shared_proxy, body=body)
    assert status == expected
    assert error_of(answer)
    assert len(shared_fake.log) == 1


def test_an_unknown_model_is_told_in_openais_words(shared_proxy, shared_fake):
    for key in KEYS.values():
        shared_fake.always(key, answers.model_not_found())
    status, body = ask(shared_proxy, body=CHAT.replace(b"gpt-4o-mini", b"gpt-nonsense"))
    assert status == 404
    assert error_of(body)["code"] == "model_not_found"


def test_a_forty_megabyte_body_is_carried_and_one_over_the_limit_refused(shared_proxy, shared_fake):
    big = CHAT[:-1] + b',"pad":"' + b"x" * (40 << 20) + b'"}'
    status, _ = ask(shared_proxy, body=big, timeout=40)
    assert status == 200
    assert shared_fake.log[0].body_size == len(big)

    head = b"POST /v1/files HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer sk-codex-manager\r\nContent-Length: %d\r\n\r\n"
    answer = send_raw(shared_proxy, head % (600 << 20))
    assert answer.split()[1] == b"413"
    assert error_of(answer.partition(b"\r\n\r\n")[2])["code"] == "request_too_large"
    assert ask(shared_proxy)[0] == 200


def test_no_accounts_names_the_command_that_adds_one(fake, isolated_home):
    home = make_home(isolated_home, [], f"proxy:\n  openai_base_url: {fake.base_url}\n")
    with running_proxy(home) as proxy:
        status, body = ask(proxy)
        assert status == 503
        assert error_of(body)["code"] == "no_available_accounts"
        assert "no accounts yet" in proxy.said()
        assert "codex-manager add" in error_of(body)["message"]
        assert ask(proxy, "GET", "/ready", None, {})[0] == 503
        with home.vault() as vault:
            vault.add(account("healthy", KEYS["healthy"]))
        assert wait_for(lambda: ask(proxy)[0] == 200, 3)


def test_a_vault_locked_while_running_is_503_until_it_is_unlocked(proxy, home, fake):
    assert ask(proxy)[0] == 200
    manager(home, "vault", "lock")
    assert wait_for(lambda: ask(proxy)[0] == 503, 3)
    assert error_of(ask(proxy)[1])["code"] == "vault_locked"
    manager(home, "vault", "unlock")
    assert wait_for(lambda: ask(proxy)[0] == 200, 3)


def test_accounts_and_settings_changed_while_running_are_taken_over_and_a_bad_edit_is_kept_out(proxy, home, fake):
    manager(home, "disable", "limited")
    assert wait_for(lambda: (ask(proxy), fake.log[-1].key)[1] == KEYS["revoked"], 3)

    before = home.config_file.read_text()
    home.config_file.write_text(before.replace("strategy: priority", "strategy: fastest"))
    assert wait_for(lambda: "routing.strategy" in proxy.said(), 3)
    assert ask(proxy)[0] == 200
    home.config_file.write_text(before.replace("strategy: priority", "strategy: round_robin"))
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=10)) as connection:

        def strategy():
            connection.request("POST", "/v1/chat/completions", CHAT, AUTHORIZED)
            answer = connection.getresponse()
            answer.read()
            return answer.headers["X-Routing-Strategy"]

        assert wait_for(lambda: strategy() == "round_robin", 3)


def manager(home, *arguments, status=0):
    done = subprocess.run(
        [sys.executable, "-m", "codex_manager_cli", *arguments],
        env=home.environ(), capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    assert done.returncode == status, done.stderr
    return done


def start(home, *arguments, status, **environ):
    """Start a proxy that should refuse to; what it said."""
    done = subprocess.run(
        [sys.executable, "-m", "codex_manager.proxy", *arguments],
        env=home.environ() | environ, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    errors = [line for line in done.stderr.splitlines() if "error:" in line]
    assert len(errors) == 1, done.stderr
    return done.stderr


def test_a_base_url_that_points_at_ourselves_is_refused(home, free_port):
    home.config_file.write_text(f"proxy:\n  openai_base_url: http://localhost:{free_port}\n")
    assert "own address" in start(home, "--bind", f"127.0.0.1:{free_port}", status=1)


def test_a_wrong_master_key_is_exit_3_and_changes_nothing(home):
    before = home.vault_file.read_bytes()
    said = start(home, status=3, CAM_MASTER_KEY="another")
    assert "another" not in said
    assert home.vault_file.read_bytes() == before


def test_a_missing_master_key_names_all_three_ways(home):
    said = start(home, status=3, CAM_MASTER_KEY="")
    assert "CAM_MASTER_KEY" in said
    assert "keyring" in said
    assert MASTER_KEY not in said


def test_a_corrupt_vault_is_one_sentence(home):
    home.vault_file.write_bytes(b"this is not a database, not even close to one" * 100)
    assert "restore" in start(home, status=1)


def test_a_corrupt_configuration_names_file_line_and_key(home):
    home.config_file.write_text("proxy:\n  response_headers: perhaps\n")
    said = start(home, status=1)
    assert "config.yaml" in said
    assert "line 2" in said
    assert "proxy.response_headers" in said


@pytest.mark.skipif(os.name == "nt", reason="POSIX modes")
def test_an_unwritable_data_directory_is_one_sentence(isolated_home):
    """Root may write anywhere, so the folder is a file here: the same sentence for everybody."""
    isolated_home.parent.mkdir(parents=True, exist_ok=True)
    isolated_home.write_text("not a folder")
    environ = {"PATH": os.environ["PATH"], "CODEX_MANAGER_HOME": str(isolated_home), "CAM_MASTER_KEY": MASTER_KEY}
    done = subprocess.run(
        [sys.executable, "-m", "codex_manager_cli", "add", "one", "-", "--no-check"],
        env=environ, input="sk-0123456789abcdef\n", capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert str(isolated_home) in done.stderr
    assert "Traceback" not in done.stderr


def test_files_are_for_the_owner_alone_even_under_umask_000(isolated_home):
    """What the command line makes under umask 000 is 0600 in a 0700 folder."""
    environ = {"PATH": os.environ["PATH"], "CODEX_MANAGER_HOME": str(isolated_home), "CAM_MASTER_KEY": MASTER_KEY}
    subprocess.run(
        ["sh", "-c", f"umask 000; exec {sys.executable} -m codex_manager_cli init"],
        env=environ, capture_output=True, timeout=30, check=True,
    )  # fmt: skip
    assert stat.S_IMODE(isolated_home.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in isolated_home.iterdir()}
    assert {"vault.db", "config.yaml"} <= set(modes)
    assert set(modes.values()) == {0o600}
