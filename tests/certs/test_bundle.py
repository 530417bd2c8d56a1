"""The bundle has the system's roots of now and every certificate of ours, and is replaced only when it must be."""

import ssl

import pytest

from tests.certs.conftest import HOST

from codex_manager_certs import roots
from codex_manager_certs.authority import Authority
from codex_manager_certs.bundle import missing_from, write_bundle
from codex_manager_certs.errors import AuthorityError
from codex_manager_certs.roots import certificates_in, system_roots


@pytest.fixture
def system(monkeypatch, tmp_path):
    """A system with a few roots in a file of the test's; the function changes them."""
    some = system_roots()[:5]
    file = tmp_path / "roots.pem"
    paths = ssl.get_default_verify_paths()._replace(openssl_cafile=str(file), openssl_capath="/nowhere")
    monkeypatch.setattr(roots, "BUNDLES", ())
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: paths)

    def have(count: int) -> list[bytes]:
        file.write_text("".join(ssl.DER_cert_to_PEM_cert(der) for der in some[:count]))
        return some[:count]

    have(2)
    return have


def inside(path) -> list[bytes]:
    return certificates_in(path.read_bytes())


def ours(authority) -> list[bytes]:
    return certificates_in(authority.certificates_pem)


def test_it_holds_ours_and_the_systems(folder, authority):
    assert inside(write_bundle(folder, authority)) == [*ours(authority), *system_roots()]


def test_it_is_not_written_again_without_reason(folder, authority):
    path = write_bundle(folder, authority)
    before = path.stat()
    assert write_bundle(folder, authority) == path
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == (before.st_mtime_ns, before.st_ino)


def test_it_follows_the_systems_roots(folder, authority, system):
    for count in (2, 4, 1):
        expected = system(count)
        assert inside(write_bundle(folder, authority)) == [*ours(authority), *expected]


def test_it_follows_the_authority(folder, authority, system):
    write_bundle(folder, authority)
    rotated = Authority.rotate(folder)
    assert inside(write_bundle(folder, rotated))[:2] == ours(rotated)
    assert len(ours(rotated)) == 2


def test_a_change_of_the_authority_is_in_the_bundle_at_once(folder, authority, system, tmp_path):
    """Programs whose variables name it need no command of ours to run in between; a company's roots stay in it."""
    company = tmp_path / "company.pem"
    company.write_text(ssl.DER_cert_to_PEM_cert(system(5)[4]))
    path = write_bundle(folder, authority, also=company)
    others = inside(path)[1:]
    rotated = Authority.rotate(folder)
    assert inside(path) == [*ours(rotated), *others]
    replaced = Authority.replace(folder, {HOST})
    assert inside(path) == [*ours(replaced), *others]


def test_a_process_that_died_before_it_told_of_a_change_is_made_up_for(folder, authority, system):
    path = write_bundle(folder, authority)
    before = path.read_bytes(), authority.certificate_file.read_bytes()
    rotated = Authority.rotate(folder)
    path.write_bytes(before[0])
    authority.certificate_file.write_bytes(before[1])
    assert Authority.open_or_make(folder, None).news == ()
    assert inside(path)[:2] == ours(rotated)


def test_no_bundle_is_made_that_nobody_asked_for(folder, authority):
    Authority.rotate(folder)
    assert not (folder / "bundle.pem").exists()


def test_a_process_with_an_old_snapshot_does_not_take_a_new_authority_out(folder, authority, system):
    """It would break the clients of the others."""
    rotated = Authority.rotate(folder, at_once=True)
    write_bundle(folder, rotated)
    assert inside(write_bundle(folder, authority))[:2] == ours(rotated)


def test_one_installed_in_the_system_is_not_in_it_twice(folder, authority, system, tmp_path):
    system(2)
    with (tmp_path / "roots.pem").open("ab") as file:
        file.write(authority.certificates_pem)
    assert len(inside(write_bundle(folder, authority))) == 3


def test_a_companys_roots_are_added(folder, authority, system, tmp_path):
    company = tmp_path / "company.pem"
    company.write_text(ssl.DER_cert_to_PEM_cert(system(5)[4]))
    system(2)
    path = write_bundle(folder, authority, also=company)
    assert len(inside(path)) == 4
    assert missing_from(path, company) == 0
    assert missing_from(write_bundle(folder, authority), company) == 1


def test_a_missing_company_file_is_one_sentence(folder, authority, tmp_path):
    with pytest.raises(AuthorityError, match="cannot be read: no such file"):
        write_bundle(folder, authority, also=tmp_path / "none.pem")
    assert missing_from(folder / "bundle.pem", tmp_path / "none.pem") == 0


@pytest.mark.parametrize("spoil", ["cut", "emptied", "removed", "closed"])
def test_a_spoiled_bundle_is_made_again(folder, authority, spoil):
    path = write_bundle(folder, authority)
    content = path.read_bytes()
    if spoil == "cut":
        path.write_bytes(content[:1000])
    elif spoil == "emptied":
        path.write_bytes(b"")
    elif spoil == "removed":
        path.unlink()
    else:
        path.chmod(0)
    assert write_bundle(folder, authority).read_bytes() == content


def test_a_client_with_the_bundle_believes_us_and_the_world(folder, authority, client, believes):
    context = client(write_bundle(folder, authority))
    assert believes(context, authority.leaf(HOST))
    assert context.cert_store_stats()["x509_ca"] == len(system_roots()) + 1
