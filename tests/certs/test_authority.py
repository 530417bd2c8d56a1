"""The authority on disk: private from its first moment, whole after any crash, one for all processes."""

import datetime as dt
import os
import stat
import subprocess
import sys
import textwrap
import time

import pytest

from tests.certs.conftest import HOST, NOW

from codex_manager_certs.authority import Authority
from codex_manager_certs.bundle import write_bundle
from codex_manager_certs.errors import AuthorityError


HOSTS = frozenset({HOST})


def days(number: float) -> dt.timedelta:
    return dt.timedelta(days=number)


def mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def open_umask():
    before = os.umask(0)
    yield
    os.umask(before)


# Modes -------------------------------------------------------------------------------------------------------------


def test_files_are_private_under_any_umask(folder, open_umask):
    authority = Authority.open_or_make(folder, HOSTS)
    write_bundle(folder, authority)
    assert mode(folder) == 0o700
    assert mode(folder.parent) == 0o700
    assert {path.name: mode(path) for path in folder.iterdir()} == dict.fromkeys(
        ["authority.json", "authority.lock", "ca.pem", "bundle.pem"], 0o600
    )


@pytest.mark.parametrize("loose", [0o644, 0o640, 0o604, 0o660, 0o602, 0o777])
def test_a_key_that_others_may_use_is_refused(folder, authority, loose):
    key = folder / "authority.json"
    key.chmod(loose)
    with pytest.raises(AuthorityError, match=f"has mode {loose:04o}") as error:
        Authority.open_or_make(folder, HOSTS)
    assert f"chmod 600 {key}" in str(error.value.hint)
    key.chmod(0o600)
    assert Authority.open_or_make(folder, None).fingerprint_sha256 == authority.fingerprint_sha256


def test_a_folder_that_others_may_change_is_refused(folder, authority):
    folder.chmod(0o777)
    with pytest.raises(AuthorityError, match=r"folder .* has mode 0777"):
        Authority.open_or_make(folder, None)


def test_a_link_in_place_of_the_key_is_refused(folder, authority, tmp_path):
    (folder / "authority.json").rename(tmp_path / "elsewhere.json")
    (folder / "authority.json").symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(AuthorityError, match="not a plain file"):
        Authority.open_or_make(folder, HOSTS)


def test_a_file_where_the_folder_should_be_is_one_sentence(folder):
    folder.parent.mkdir()
    folder.write_text("")
    with pytest.raises(AuthorityError, match=r"where a folder is needed|not a directory"):
        Authority.open_or_make(folder, HOSTS)


# Opening -----------------------------------------------------------------------------------------------------------


def test_what_is_opened_is_what_was_made(folder, authority):
    again = Authority.open_or_make(folder, authority.hosts)
    assert again.fingerprint_sha256 == authority.fingerprint_sha256
    assert again.news == ()
    assert authority.news
    assert authority.certificate_file.read_bytes() == again.certificates_pem == again.certificate_pem


def test_nothing_is_written_when_nothing_is_due(folder, authority):
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    Authority.open_or_make(folder, authority.hosts)
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_other_hosts_make_a_new_one_and_it_is_said(folder, authority):
    other = Authority.open_or_make(folder, HOSTS)
    assert other.fingerprint_sha256 != authority.fingerprint_sha256
    assert other.hosts == HOSTS
    assert "the intercepted hosts changed to api.openai.com" in other.news[0]
    assert authority.is_stale()
    assert not other.is_stale()
    assert Authority.open_or_make(folder, None).hosts == HOSTS  # who does not mind takes it as it is


def test_the_order_and_spelling_of_hosts_do_not_matter(folder, authority):
    assert Authority.open_or_make(folder, ["EU.api.openai.com.", "API.openai.com"]).news == ()


def test_one_that_has_ended_is_replaced_and_the_new_one_is_believed(folder, client, believes):
    old = Authority.open_or_make(folder, HOSTS, now=NOW - days(400))
    assert not believes(client(old.certificate_file), old.leaf(HOST, NOW - days(10)))  # it has ended for clients, too
    with pytest.raises(AuthorityError, match="ended on"):
        old.leaf(HOST, NOW)
    new = Authority.open_or_make(folder, HOSTS)
    assert "ended on" in new.news[0]
    assert believes(client(write_bundle(folder, new)), new.leaf(HOST))


def test_missing_certificates_are_put_there_again(folder, authority):
    authority.certificate_file.unlink()
    assert Authority.open_or_make(folder, None).certificate_file.read_bytes() == authority.certificates_pem
    authority.certificate_file.write_bytes(b"something else")
    assert Authority.open_or_make(folder, None).certificate_file.read_bytes() == authority.certificates_pem


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(AuthorityError, match="cannot be made: not a directory"):
        Authority.open_or_make(blocked / "ca", HOSTS)


def test_the_repr_shows_no_key(authority):
    leaf = authority.leaf(HOST)
    shown = f"{authority!r} {authority.state!r} {leaf!r}"
    assert "PrivateKey" not in shown
    assert "PRIVATE" not in shown


# Rotation ----------------------------------------------------------------------------------------------------------


def test_a_rotation_breaks_no_running_client(folder, client, believes):
    """Clients read the bundle when they start; one that runs since the successor was announced trusts both."""
    first = Authority.open_or_make(folder, HOSTS, now=NOW - days(390))
    long_running = client(first.certificate_file)
    announced = Authority.open_or_make(folder, HOSTS, now=NOW - days(10))
    assert announced.fingerprint_sha256 == first.fingerprint_sha256
    assert "its successor is in the bundle" in announced.news[0]
    running = client(write_bundle(folder, announced))

    switched = Authority.open_or_make(folder, HOSTS, now=NOW)
    assert "replaced by its successor" in switched.news[0]
    assert switched.fingerprint_sha256 != first.fingerprint_sha256
    fresh = client(write_bundle(folder, switched))

    by_old, by_new = announced.leaf(HOST, NOW), switched.leaf(HOST, NOW)
    assert believes(running, by_old)
    assert believes(running, by_new)
    assert believes(fresh, by_new)
    assert believes(fresh, by_old)  # another proxy may still hold the old key
    assert believes(long_running, by_old)
    assert not believes(long_running, by_new)  # it would have had to run for more than the time between


def test_on_demand_the_successor_signs_after_a_day(folder, authority):
    rotated = Authority.rotate(folder)
    assert rotated.fingerprint_sha256 == authority.fingerprint_sha256
    assert len(rotated.certificates) == 2
    assert "takes over on" in rotated.news[0]
    tomorrow = Authority.open_or_make(folder, None, now=NOW + days(1.01))
    assert tomorrow.fingerprint_sha256 != authority.fingerprint_sha256


def test_at_once_the_new_one_signs_and_the_old_is_still_trusted(folder, authority, client, believes):
    rotated = Authority.rotate(folder, at_once=True)
    assert rotated.fingerprint_sha256 != authority.fingerprint_sha256
    bundle = client(write_bundle(folder, rotated))
    assert believes(bundle, rotated.leaf(HOST))
    assert believes(bundle, authority.leaf(HOST))


def test_replaced_the_old_one_is_believed_no_more(folder, authority, client, believes):
    write_bundle(folder, authority)
    replaced = Authority.replace(folder, HOSTS)
    bundle = client(write_bundle(folder, replaced))
    assert believes(bundle, replaced.leaf(HOST))
    assert not believes(bundle, authority.leaf(HOST))


def test_the_key_of_a_retired_authority_is_gone(folder, authority):
    Authority.rotate(folder, at_once=True)
    content = (folder / "authority.json").read_text()
    assert content.count("BEGIN PRIVATE KEY") == 1
    assert content.count("BEGIN CERTIFICATE") == 2


def test_there_is_nothing_to_rotate_without_one(folder):
    with pytest.raises(AuthorityError, match="no certificate authority to rotate"):
        Authority.rotate(folder)


def test_a_running_process_notices(folder, authority):
    assert not authority.is_stale()
    assert not authority.needs_rotation()
    assert authority.needs_rotation(authority.expires_at - days(59))
    assert authority.is_stale(authority.expires_at - days(59))
    Authority.rotate(folder)
    assert authority.is_stale()


# Leaves ------------------------------------------------------------------------------------------------------------


def test_a_leaf_is_kept_for_half_its_life(authority):
    first = authority.leaf(HOST, NOW)
    assert authority.leaf("API.openai.com.", NOW + days(2)) is first
    later = authority.leaf(HOST, NOW + days(4))
    assert later is not first
    assert later.private_key.private_numbers() != first.private_key.private_numbers()


def test_a_leaf_is_short_lived_and_has_a_key_of_its_own(authority):
    leaf, other = authority.leaf(HOST), authority.leaf("eu.api.openai.com")
    assert leaf.expires_at - leaf.certificate.not_valid_before_utc <= days(30)
    keys = [
        entry.public_key().public_numbers()
        for entry in (leaf.private_key, other.private_key, authority.state.active.key)
    ]
    assert len(set(keys)) == 3
    assert leaf.key_pem.startswith(b"-----BEGIN PRIVATE KEY-----")


def test_a_leaf_ends_with_its_authority(authority):
    leaf = authority.leaf(HOST, authority.expires_at - days(1))
    assert leaf.expires_at == authority.expires_at
    assert authority.leaf(HOST, authority.expires_at - days(0.1)) is leaf  # a new one would live no longer


@pytest.mark.parametrize("host", ["www.google.com", "openai.com", "127.0.0.1", "*.openai.com", ""])
def test_there_is_no_leaf_for_others(authority, host):
    with pytest.raises(AuthorityError):
        authority.leaf(host)


# Several processes, and the end of one ---------------------------------------------------------------------------------

OPEN = """
import sys
from pathlib import Path
from codex_manager_certs.authority import Authority
from codex_manager_certs.bundle import write_bundle
sys.stdin.readline()
authority = Authority.open_or_make(Path(sys.argv[1]), {"api.openai.com"})
write_bundle(Path(sys.argv[1]), authority)
print(authority.fingerprint_sha256, len(authority.news))
"""


def test_processes_that_start_together_make_one_authority(folder):
    children = [
        subprocess.Popen([sys.executable, "-c", OPEN, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(6)
    ]
    time.sleep(0.4)  # until all have imported what they need and wait for the word
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    said = [child.communicate(timeout=30)[0].split() for child in children]
    assert len({fingerprint for fingerprint, _ in said}) == 1
    assert sorted(news for _, news in said) == ["0"] * 5 + ["1"]
    assert sorted(path.name for path in folder.iterdir()) == [
        "authority.json",
        "authority.lock",
        "bundle.pem",
        "ca.pem",
    ]


KILL = """
import os, signal, sys
from pathlib import Path
from codex_manager_certs.authority import Authority
from codex_manager_certs.bundle import write_bundle
from codex_manager_certs.roots import system_roots

HOSTS = {"api.openai.com"}
base, rotating = Path(sys.argv[1]), sys.argv[2] == "rotate"
write_bundle(base / "warm", Authority.open_or_make(base / "warm", HOSTS))  # all that is imported late is imported now
point = 0
while True:
    folder = base / str(point)
    before = Authority.open_or_make(folder, HOSTS).fingerprint_sha256 if rotating else None
    child = os.fork()
    if child == 0:
        left = point

        def die(event, _):
            global left
            if event in {"open", "os.rename", "os.mkdir", "os.remove", "os.listdir"}:
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                left -= 1

        sys.addaudithook(die)
        authority = Authority.rotate(folder, at_once=True) if rotating else Authority.open_or_make(folder, HOSTS)
        write_bundle(folder, authority)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    after = Authority.open_or_make(folder, HOSTS)
    write_bundle(folder, after)
    after.leaf("api.openai.com")
    Authority.rotate(folder)  # the next writer sweeps what was left
    write_bundle(folder, Authority.open_or_make(folder, HOSTS))
    left = sorted(path.name for path in folder.iterdir())
    assert left == ["authority.json", "authority.lock", "bundle.pem", "ca.pem"], left
    if not os.WIFSIGNALED(status):
        break
    point += 1
print(point)
"""


@pytest.mark.slow
@pytest.mark.parametrize("doing", ["make", "rotate"])
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_process_killed_at_any_step_leaves_an_authority_that_opens(tmp_path, doing):
    """SIGKILL before each file operation in turn, until none is left."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILL), tmp_path, doing], capture_output=True, text=True, timeout=50, check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 10, "too few steps to mean anything"
