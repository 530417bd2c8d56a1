"""What the doctor says of a machine as it is: sound where all is well, a sentence and a cure where it is not."""

import datetime as dt
import os
import socket

import pytest

from tests.support import MASTER_KEY, account, make_home

from codex_manager import __version__
from codex_manager.config import presence
from codex_manager.config.paths import Paths
from codex_manager.doctor import AREAS, certificates, examine, vault
from codex_manager.ledger import Ledger
from codex_manager.vault.upkeep import lock
from codex_manager_certs.authority import Authority


ENVIRON = {"CAM_MASTER_KEY": MASTER_KEY}
QUIET = "proxy: {bind_addr: '127.0.0.1:0'}\nweb: {address: '127.0.0.1:0'}\n"
"""So that no program on the machine that runs the tests is in the way."""


@pytest.fixture
def paths(tmp_path):
    make_home(tmp_path, [account("Work", "sk-canary-0123456789abcdef")], QUIET)
    return Paths(tmp_path, tmp_path)


def found(paths, area=None, environ=ENVIRON, **how):
    findings = examine(paths, environ, network=False, **how)
    assert all(finding.area in AREAS for finding in findings)
    assert all(bool(finding.cure) == (finding.level != "ok") for finding in findings), findings
    assert "canary" not in repr(findings)
    return [(finding.level, finding.text, finding.cure) for finding in findings if area is None or finding.area == area]


def test_a_sound_install_gets_no_complaint(paths):
    Authority.open_or_make(paths.authority_dir, {"api.openai.com"})
    assert {level for level, _, _ in found(paths)} == {"ok"}


def test_nothing_is_made_by_looking(tmp_path):
    nowhere = Paths(tmp_path / "config", tmp_path / "data")
    levels = dict.fromkeys(level for level, _, _ in found(nowhere))
    assert "warn" in levels
    assert list(tmp_path.iterdir()) == []


def test_every_mistake_of_the_configuration_is_told_and_keys_are_sent_nowhere(paths):
    paths.config_file.write_text("routing: {strategy: fastest, max_attempts: 0}\n")
    assert [level for level, _, _ in found(paths, "configuration")] == ["bad", "bad"]
    asked = [finding for finding in examine(paths, ENVIRON, network=True) if finding.area in {"upstream", "accounts"}]
    assert [finding.level for finding in asked] == ["warn"]


def test_settings_that_are_seldom_meant(paths):
    paths.config_file.write_text(
        "proxy: {bind_addr: '0.0.0.0:0', api_key: sk-canary-of-my-own, foreign_keys: pass}\nmetering: {enabled: false}\n"
        "metrics: {open: true}\nweb: {address: '127.0.0.1:0'}\n"
    )
    assert [level for level, _, _ in found(paths, "configuration")] == ["ok", "warn", "warn", "warn", "warn"]


def test_a_vault_that_does_not_serve_says_why(paths, monkeypatch):
    assert found(paths, "vault") == [("ok", "the vault opens and every record is sound: 1 account", "")]
    ((level, text, _),) = found(paths, "vault", environ={})
    assert (level, "could not be opened" in text) == ("warn", True)
    assert found(paths, "vault", environ={"CAM_MASTER_KEY": "wrong"})[0][0] == "bad"
    lock(paths.vault_file)
    assert found(paths, "vault")[0][1] == "the vault is locked, so no account serves"
    monkeypatch.setattr(vault, "is_locked", lambda path: 1 / 0)
    ((level, text, _),) = found(paths, "vault")
    assert (level, text.startswith("this could not be looked at: ZeroDivisionError")) == ("bad", True)


def test_an_open_vault_can_be_lent(paths, tmp_path):
    from codex_manager.core.secret import Secret
    from codex_manager.vault.store import Vault

    lent = lambda: Vault.open(paths.vault_file, Secret(MASTER_KEY))  # noqa: E731
    assert found(paths, "vault", environ={}, open_vault=lent)[0][0] == "ok"


def test_where_the_master_key_comes_from(paths):
    assert found(paths, "master key") == [("ok", "the master key comes from CAM_MASTER_KEY", "")]
    ((level, text, _),) = found(paths, "master key", environ={})
    assert level == "warn"
    assert "no keyring service" in text


@pytest.mark.skipif(os.name == "nt", reason="modes")
def test_files_that_others_may_read(paths):
    paths.config_file.chmod(0o644)
    assert found(paths, "permissions")[0][0] == "ok"  # the default key is no secret
    paths.config_file.write_text("proxy: {api_key: sk-canary-0123456789}\n")
    paths.data_dir.chmod(0o770)
    said = found(paths, "permissions")
    assert [level for level, _, _ in said] == ["bad", "bad"]
    assert said[0][2] == f"chmod 600 {paths.config_file}"


def test_a_ledger_that_is_damaged(paths):
    assert found(paths, "ledger")[0][1] == "nothing was recorded yet"
    Ledger.open(paths.ledger_file).close()
    assert found(paths, "ledger")[0][1].startswith("the ledger is sound: 0 requests")
    paths.ledger_file.write_bytes(b"no database at all" * 100)
    assert found(paths, "ledger")[0][0] == "bad"


def test_a_port_that_somebody_else_has(paths):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        paths.config_file.write_text(f"proxy: {{bind_addr: '127.0.0.1:{port}'}}\nweb: {{address: '127.0.0.1:0'}}\n")
        ((level, text, cure),) = found(paths, "proxy")
        assert (level, "in use by another program" in text) == ("bad", True)
        assert "codex-manager proxy --bind 127.0.0.1:" in cure


def test_a_proxy_that_runs(paths):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        proxy = presence.RunningProxy(pid=7, host="0.0.0.0", port=port, version="0.0.1", started="")
        here = presence.announce(paths.data_dir, proxy)
        assert here is not None
        (paths.data_dir / "web.html").write_text('url=http://127.0.0.1:99/codex/login?token=canary"')
        try:
            said = found(paths, "proxy")
            environ = ENVIRON | {"OPENAI_BASE_URL": f"http://localhost:{port}/v1"}
            assert found(paths, "environment", environ) == [("ok", "OPENAI_BASE_URL leads to the proxy", "")]
            listener.close()
            assert "does not answer" in found(paths, "proxy")[0][1]
        finally:
            here.withdraw()
    assert [text for _, text, _ in said] == [
        f"the proxy runs at 127.0.0.1:{port} (process 7)",
        f"the proxy that runs is version 0.0.1, this is {__version__}",
        "its page is served at http://127.0.0.1:99",
    ]


def test_an_authority_that_ends_or_lacks_a_host_or_is_open_to_others(paths):
    authority = Authority.open_or_make(paths.authority_dir, {"api.openai.com"})
    first = certificates._lifetime(authority.state, authority.expires_at)
    assert (first.level, "ended on" in first.text) == ("bad", True)
    assert certificates._lifetime(authority.state, authority.expires_at - dt.timedelta(days=3)).level == "warn"
    assert certificates._lifetime(authority.state, dt.datetime(2000, 1, 1, tzinfo=dt.UTC)).level == "bad"
    paths.config_file.write_text(QUIET + "forward: {hosts: [eu.example.com]}\n")
    assert any("cannot vouch for eu.example.com" in text for _, text, _ in found(paths, "certificates"))
    bundle = str(paths.authority_dir / "bundle.pem")
    environ = ENVIRON | {"SSL_CERT_FILE": bundle}
    assert any("does not hold the authority" in text for _, text, _ in found(paths, "certificates", environ))
    if os.name != "nt":
        (paths.authority_dir / "authority.json").chmod(0o640)
        assert found(paths, "certificates")[0][0] == "bad"
    paths.config_file.write_text(QUIET + "forward: {enabled: false}\n")
    assert found(paths, "certificates")[0][0] == "ok"


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        (
            {"OPENAI_BASE_URL": "https://me:canary@other.example/v1"},
            "OPENAI_BASE_URL leads to other.example:443, not to",
        ),
        ({"OPENAI_BASE_URL": "::canary::"}, "OPENAI_BASE_URL leads to something that is no address"),
        (
            {"HTTPS_PROXY": "http://me:canary@10.0.0.1:3128"},
            "HTTPS_PROXY leads to 10.0.0.1:3128; the proxy itself never",
        ),
        (
            {"https_proxy": "127.0.0.1:7", "NO_PROXY": "localhost,.openai.com"},
            "NO_PROXY makes programs pass the proxy by",
        ),
        (
            {"OPENAI_BASE_URL": "http://127.0.0.1:7/v1", "OPENAI_API_KEY": "sk-canary"},
            "OPENAI_API_KEY is not proxy.api_key",
        ),
        (
            {"OPENAI_BASE_URL": "http://127.0.0.1:7/v1", "OPENAI_PROJECT": "p"},
            "OPENAI_PROJECT is set and has no effect",
        ),
        ({"NODE_EXTRA_CA_CERTS": "/nowhere.pem"}, "NODE_EXTRA_CA_CERTS names /nowhere.pem, which is not there"),
    ],
)
def test_variables_that_lead_elsewhere(paths, environ, sentence):
    paths.config_file.write_text("proxy: {bind_addr: '127.0.0.1:7'}\nweb: {address: '127.0.0.1:0'}\n")
    said = [text for level, text, _ in found(paths, "environment", ENVIRON | environ) if level == "warn"]
    assert len(said) == 1
    assert said[0].startswith(sentence)
