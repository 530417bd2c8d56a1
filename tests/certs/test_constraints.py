"""The authority can vouch for the intercepted hosts and for nothing else, whoever verifies and whoever has its key."""

import json
import shutil
import ssl
import subprocess

import pytest

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from codex_manager_certs.authority import Authority
from codex_manager_certs.certificates import make_authority, make_leaf


HOSTS = frozenset({"api.openai.com", "eu.api.openai.com"})
OTHERS = (
    "openai.com", "www.openai.com", "platform.openai.com", "auth.openai.com", "chatgpt.com", "xapi.openai.com",
    "api.openai.com.example.org", "api-openai.com", "api.openai.co", "us.openai.com", "openai.com.api.example.net",
    "www.google.com", "github.com", "gitlab.com", "python.org", "login.microsoftonline.com", "localhost",
    "example.org", "bank.example", "*.openai.com", "*.example.org", "127.0.0.1", "::1", "169.254.169.254",
)  # fmt: skip
"""More than twenty: neighbours, lookalikes, strangers, wildcards, addresses."""
NODE = """
const tls = require("tls"), fs = require("fs");
const { ca, cases } = JSON.parse(fs.readFileSync(0));
(async () => {
  const said = {};
  for (const { name, ask, port } of cases)
    said[name] = await new Promise((done) => {
      const socket = tls.connect({ host: "127.0.0.1", port, servername: /[:]|^[0-9.]+$/.test(ask) ? "" : ask, ca,
        checkServerIdentity: (_, certificate) => tls.checkServerIdentity(ask, certificate) }, () => {
        socket.end("x"); done("accepted"); });
      socket.setTimeout(5000, () => socket.destroy(new Error("timeout")));
      socket.on("error", (error) => done(error.message));
    });
  console.log(JSON.stringify(said));
})();
"""


def asked_name(name: str) -> str:
    """What a client would ask for to be shown this certificate."""
    return name.replace("*", "shop")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return Authority.open_or_make(tmp_path_factory.mktemp("one") / "ca", HOSTS)


def openssl_verifies(authority: Authority, leaf, name: str, tmp_path) -> tuple[bool, str]:
    (tmp_path / "leaf.pem").write_bytes(leaf.cert_chain_pem)
    check = "-verify_ip" if ":" in name or name.replace(".", "").isdigit() else "-verify_hostname"
    command = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", check, name, "-no-CApath", "-no-CAstore"]
    files = ["-CAfile", authority.certificate_file, tmp_path / "leaf.pem"]
    done = subprocess.run([*command, *files], capture_output=True, text=True, timeout=20, check=False)
    return done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl here")
@pytest.mark.parametrize("name", [*sorted(HOSTS), "below.api.openai.com"])
def test_openssl_accepts_the_intercepted_hosts(made, name, tmp_path):
    accepted, said = openssl_verifies(made, made.leaf(name), name, tmp_path)
    assert accepted, said


@pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl here")
def test_openssl_refuses_all_others(made, forge, tmp_path):
    said = {name: openssl_verifies(made, forge(made, name), asked_name(name), tmp_path) for name in OTHERS}
    assert [name for name, (accepted, _) in said.items() if accepted] == []
    assert [
        name for name, (_, text) in said.items() if "subtree violation" not in text
    ] == []  # and for no other reason


@pytest.mark.parametrize("name", sorted(HOSTS))
def test_a_strict_python_accepts_the_intercepted_hosts(made, name, client, believes):
    assert believes(client(made.certificate_file), made.leaf(name))


def test_a_strict_python_refuses_all_others(made, forge, client, believes):
    context = client(made.certificate_file)
    assert [name for name in OTHERS if believes(context, forge(made, name), asked_name(name))] == []


def test_pythons_default_context_accepts_the_intercepted_hosts(made, believes):
    context = ssl.create_default_context(cafile=made.certificate_file)
    assert believes(context, made.leaf("api.openai.com"))


@pytest.mark.skipif(not shutil.which("node"), reason="no node here")
def test_node_accepts_the_intercepted_hosts_and_refuses_all_others(made, forge, serving):
    leaves = [*(made.leaf(name) for name in sorted(HOSTS)), *(forge(made, name) for name in OTHERS)]
    cases = [{"name": leaf.host, "ask": asked_name(leaf.host), "port": serving(leaf)} for leaf in leaves]
    given = json.dumps({"ca": made.certificates_pem.decode(), "cases": cases})
    done = subprocess.run(["node", "-e", NODE], input=given, capture_output=True, text=True, timeout=50, check=True)
    said = json.loads(done.stdout)
    assert {name for name, answer in said.items() if answer == "accepted"} == HOSTS
    assert {said[name] for name in OTHERS} == {"permitted subtree violation", "excluded subtree violation"}


@pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl here")
def test_an_authority_below_ours_is_refused(made, tmp_path):
    """Path length 0: what it signs cannot sign."""
    active = made.state.active
    below, key = make_authority(HOSTS, active.since)
    builder = x509.CertificateBuilder().subject_name(below.subject).issuer_name(active.certificate.subject)
    builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(below.not_valid_before_utc).not_valid_after(below.not_valid_after_utc)
    for extension in below.extensions:
        builder = builder.add_extension(extension.value, critical=extension.critical)
    between = builder.sign(active.key, hashes.SHA256())
    leaf, _ = make_leaf("api.openai.com", between, key, active.since)
    for name, certificate in {"between.pem": between, "leaf.pem": leaf}.items():
        (tmp_path / name).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    command = ["openssl", "verify", "-CAfile", made.certificate_file, "-untrusted", tmp_path / "between.pem"]
    done = subprocess.run([*command, tmp_path / "leaf.pem"], capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode != 0
    assert "path length constraint exceeded" in done.stderr
