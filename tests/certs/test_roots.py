"""The roots are the system's, found where no variable points, and never ours."""

import ssl

import pytest

from codex_manager_certs import roots
from codex_manager_certs.roots import certificates_in, system_roots
from codex_manager_certs.trust import upstream_context


@pytest.fixture
def system(monkeypatch, tmp_path):
    """A system whose bundle is a file of the test's, and which has a folder of certificates besides."""
    file, folder = tmp_path / "bundle.pem", tmp_path / "folder"
    folder.mkdir()
    paths = ssl.get_default_verify_paths()._replace(openssl_cafile=str(file), openssl_capath=str(folder))
    monkeypatch.setattr(roots, "BUNDLES", ())
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: paths)
    return file, folder


def pem(*ders: bytes) -> bytes:
    return "".join(ssl.DER_cert_to_PEM_cert(der) for der in ders).encode()


FIRST, SECOND, THIRD = system_roots()[:3]


def test_they_are_read_from_the_systems_file(system):
    file, _ = system
    file.write_bytes(b"# a comment\n" + pem(FIRST) + b"another\n" + pem(SECOND, FIRST))
    assert system_roots() == [FIRST, SECOND]


def test_a_system_with_a_folder_instead_has_it_read(system):
    _, folder = system
    (folder / "one.pem").write_bytes(pem(SECOND))
    (folder / "1234abcd.0").symlink_to(folder / "one.pem")
    (folder / "two.pem").write_bytes(pem(THIRD))
    (folder / "README").write_text("no certificate")
    assert system_roots() == [SECOND, THIRD]


def test_a_platform_without_roots_uses_certifis(system):
    assert len(system_roots()) > 50


def test_a_broken_block_is_one_root_fewer(system):
    file, _ = system
    broken = b"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n"
    file.write_bytes(pem(FIRST) + broken + pem(SECOND) + b"-----BEGIN CERTIFICATE-----\nAAAA")
    assert FIRST in system_roots()
    assert SECOND in system_roots()
    assert upstream_context().cert_store_stats()["x509"] == 2


def test_our_own_authority_in_the_systems_store_is_no_root(system, authority):
    """Whoever installed it for clients did not want it to vouch for OpenAI towards us."""
    file, _ = system
    file.write_bytes(pem(FIRST) + authority.certificates_pem)
    assert system_roots() == [FIRST]
    assert upstream_context().cert_store_stats()["x509"] == 1


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_variables_do_not_move_them(monkeypatch, authority, name):
    before = system_roots()
    monkeypatch.setenv(name, str(authority.certificate_file))
    assert system_roots() == before


def test_text_without_certificates_has_none():
    assert certificates_in(b"") == certificates_in(b"nothing here") == []
