"""Whatever became of the authority's file, the user is told one sentence and how to go on."""

import contextlib
import json
import os

import pytest

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codex_manager_certs import document
from codex_manager_certs.authority import Authority
from codex_manager_certs.errors import AuthorityError
from codex_manager_certs.generations import renewed


HOSTS = frozenset({"api.openai.com"})


@pytest.fixture
def damage(folder, authority):
    """Change the document on disk; a function gets it parsed, bytes replace it."""

    def apply(change):
        path = folder / "authority.json"
        if isinstance(change, bytes):
            path.write_bytes(change)
            return
        content = json.loads(path.read_text())
        replaced = change(content)
        path.write_text(json.dumps(content if replaced is None else replaced))

    return apply


def put(*path_and_value):
    """Set one value deep in the document."""
    *path, last, value = path_and_value

    def change(content):
        for name in path:
            content = content[name]
        content[last] = value

    return change


def foreign_key(content):
    from tests.certs.conftest import NOW

    from codex_manager_certs.certificates import make_authority
    from codex_manager_certs.generations import Issuer

    certificate, key = make_authority(HOSTS, NOW)
    content["active"]["key"] = document._issuer_out(Issuer(certificate, key, NOW))["key"]


def cut(name):
    def change(content):
        text = content["active"][name]
        content["active"][name] = text[: len(text) // 2]

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (b"", "the file is empty"),
        (b"\x00" * 4096, "no JSON document"),
        (os.urandom(512), "no JSON document"),
        (b"[" * 100_000, "no JSON document"),
        (b'{"version": 1, "active', "no JSON document"),
        (b"[]", "no version"),
        (b"{}", "no version"),
        (put("version", 0), "no version"),
        (put("version", "1"), "no version"),
        (b'{"version": 1}', "the active authority is missing"),
        (put("active", "certificate", None), "the active authority has no certificate"),
        (put("active", "certificate", "nothing"), "certificate of the active authority cannot be used"),
        (put("active", "certificate", "ä"), "the active authority has no certificate"),
        (cut("certificate"), "certificate of the active authority cannot be used"),
        (put("active", "key", ""), "the key of the active authority cannot be read"),
        (cut("key"), "the key of the active authority cannot be read"),
        (foreign_key, "do not belong together"),
        (put("active", "since", "yesterday"), "the active authority has no time"),
        (put("active", "since", "2026-01-01T00:00:00"), "the active authority has no time"),
        (put("next", {}), "the next authority has no certificate"),
        (put("next", 7), "the next authority is missing"),
        (put("previous", 7), "no list of previous"),
        (put("previous", [7]), "a previous authority is missing"),
        (b"x" * 300_000, "too long"),
    ],
)
def test_damage_is_one_sentence_with_its_cure(folder, damage, change, said):
    damage(change)
    with pytest.raises(AuthorityError, match=said) as error:
        Authority.open_or_make(folder, HOSTS)
    sentence = str(error.value)
    assert str(folder / "authority.json") in sentence
    assert "\n" not in sentence
    assert "PRIVATE" not in sentence
    assert error.value.hint
    assert Authority.replace(folder, HOSTS).hosts == HOSTS  # the cure
    assert Authority.open_or_make(folder, HOSTS).news == ()


def test_a_newer_version_is_not_called_damage(folder, damage):
    damage(put("version", 2))
    with pytest.raises(AuthorityError, match="written by a newer codex-manager"):
        Authority.open_or_make(folder, HOSTS)


def test_a_certificate_that_is_not_ours_is_refused(folder, damage):
    """An authority without constraints in our place would be a danger, not a convenience."""
    import ssl

    from codex_manager_certs.roots import system_roots

    damage(put("active", "certificate", ssl.DER_cert_to_PEM_cert(system_roots()[0])))
    with pytest.raises(AuthorityError, match="cannot be used"):
        Authority.open_or_make(folder, HOSTS)


def test_a_state_comes_back_as_it_was(authority):
    state = renewed(authority.state, authority.state.active.since)
    again = document.parse(document.dump(state), "here")
    assert document.dump(again) == document.dump(state)
    assert again.certificates == state.certificates


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_flipped_byte_is_any_other_error(authority, data):
    content = bytearray(document.dump(authority.state))
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(AuthorityError):
        document.parse(bytes(content), "here")
