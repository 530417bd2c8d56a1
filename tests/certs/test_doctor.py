"""The doctor says of real programs what is true of them, in words that say what they lack."""

import os
import shutil
import sys
import time

import psutil
import pytest

from tests.certs.conftest import HOST

from codex_manager_certs.authority import Authority
from codex_manager_certs.bundle import write_bundle
from codex_manager_certs.doctor import _tried, examine
from codex_manager_certs.environment import client_environment
from codex_manager_certs.errors import AuthorityError
from codex_manager_certs.probes import Probe, find_probes
from codex_manager_certs.witness import Witness


pytestmark = pytest.mark.slow  # each of these starts real programs; `.ci/run` runs them


@pytest.fixture
def variables(folder, authority):
    return client_environment(write_bundle(folder, authority), authority.certificate_file)


@pytest.fixture
def session(tmp_path):
    """A session whose PATH has only the programs that the test links there."""
    folder = tmp_path / "bin"
    folder.mkdir()

    def of(*programs: str) -> dict[str, str]:
        for program in programs:
            found = shutil.which(program)
            if not found:
                pytest.skip(f"no {program} here")
            (folder / program).symlink_to(found)
        return {"PATH": str(folder), "HOME": str(tmp_path)}

    return of


def examined(authority, probes, environ, variables):
    return {found.probe.name: found for found in examine(authority, HOST, probes, environ, variables)}


@pytest.mark.parametrize(
    ("program", "name", "variable"),
    [("curl", "curl", "CURL_CA_BUNDLE"), ("node", "Node", "NODE_EXTRA_CA_CERTS"), ("openssl", "OpenSSL", "SSL_CERT_FILE")],
)  # fmt: skip
def test_a_real_program_lacks_its_variable_and_no_more(authority, session, variables, program, name, variable):
    environ = session(program)
    probes = [probe for probe in find_probes(environ, HOST) if probe.name == name]
    found = examined(authority, probes, environ, variables)[name]
    assert (found.now, found.with_variables, found.why) == (False, True, f"{variable} is not set")
    alone = {variable: variables[variable]}  # each variable is said to work by itself
    assert examined(authority, probes, environ | alone, {})[name].now


def test_every_python_library_is_told_by_its_variable(authority, session, variables):
    environ = session()
    probes = find_probes(environ, HOST)
    assert {probe.program for probe in probes} == {sys.executable}
    assert {"Python ssl", "Python aiohttp", "Python openai"} <= {probe.name for probe in probes}
    for found in examine(authority, HOST, probes, environ, variables):
        assert (found.now, found.with_variables, found.why) == (False, True, f"{found.probe.variable} is not set")


def test_a_session_with_the_variables_trusts_us_now(authority, session, variables):
    environ = session("curl") | variables
    probes = [probe for probe in find_probes(environ, HOST) if probe.name == "curl"]
    found = examined(authority, probes, environ, {})["curl"]
    assert (found.now, found.with_variables, found.why) == (True, True, "")


def test_a_variable_that_names_another_file_is_told_apart(authority, session, variables, tmp_path):
    (tmp_path / "other.pem").write_bytes(b"")
    environ = session() | {"SSL_CERT_FILE": str(tmp_path / "other.pem")}
    probes = [probe for probe in find_probes(environ, HOST) if probe.name == "Python ssl"]
    assert examined(authority, probes, environ, variables)["Python ssl"].why == "SSL_CERT_FILE names another file"


@pytest.mark.slow
def test_none_of_them_believes_the_authority_beyond_its_hosts(folder, forge):
    """Whatever client is on this machine: our bundle, a certificate for OpenAI signed with our key, a host we do not have."""
    elsewhere = Authority.open_or_make(folder, {"eu.api.openai.com"})
    variables = client_environment(write_bundle(folder, elsewhere), elsewhere.certificate_file)
    environ = {**os.environ, **variables}
    probes = find_probes(environ, HOST)
    assert probes
    believers = [probe.name for probe in probes if _tried(probe, forge(elsewhere, HOST), environ).believes]
    assert believers == []


def python(code: str, **more) -> Probe:
    return Probe("mine", sys.executable, (sys.executable, "-c", code), "SSL_CERT_FILE", **more)


@pytest.mark.parametrize(
    ("probe", "said"),
    [
        (python("raise SystemExit('no such command')"), "it did not come to TLS: no such command"),
        (python("pass"), "it did not come to TLS"),
        (Probe("mine", "/nowhere", ("/nowhere/at/all",), "X"), "it cannot be started: no such file or directory"),
        (python("print('\\x1b[31mred\\x07\\n')"), "it did not come to TLS: red"),
        (python("import time; time.sleep(60)", patience=0.5), "it did not come to TLS"),
    ],
)
def test_a_program_that_asks_nothing_is_not_called_distrustful(authority, session, probe, said):
    started = time.monotonic()
    (found,) = examine(authority, HOST, [probe], {"PATH": os.defpath}, {})
    assert (found.now, found.with_variables, found.why) == (False, False, said)
    assert time.monotonic() - started < 20


def test_what_a_client_says_of_the_certificate_is_told(authority, session):
    environ = session("curl")
    probes = [probe for probe in find_probes(environ, HOST) if probe.name == "curl"]
    found = examined(authority, probes, environ, {})["curl"]
    assert found.why == "no trust: tlsv1 alert unknown ca"


def test_a_probe_leaves_no_process(authority, tmp_path):
    """Also none that it started itself."""
    marker = tmp_path / "pid"
    code = f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
open({str(marker)!r}, "w").write(str(child.pid))
time.sleep(300)
"""
    examine(authority, HOST, [python(code, patience=2.0)], {"PATH": os.defpath}, {})
    pid = int(marker.read_text())
    deadline = time.monotonic() + 5
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_host_that_is_not_ours_is_refused(authority):
    with pytest.raises(AuthorityError, match="cannot vouch"):
        examine(authority, "example.org", [], {}, {})


def test_the_witness_refuses_other_hosts_and_what_is_no_request(authority):
    import socket

    with Witness(authority.leaf(HOST)) as witness:
        for said, answer in [
            (b"CONNECT example.org:443 HTTP/1.1\r\n\r\n", b"HTTP/1.1 502"),
            (b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 502"),
        ]:
            with socket.create_connection(("127.0.0.1", witness.port), timeout=5) as connection:
                connection.sendall(said)
                assert connection.recv(12) == answer
        assert not witness.believed.is_set()
