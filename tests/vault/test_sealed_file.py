"""What travels sealed opens with its passphrase only, and not at all when it was changed."""

import json

import pytest

from codex_manager.core.secret import Secret
from codex_manager.vault.errors import VaultTooNewError
from codex_manager.vault.kdf import CHEAPEST
from codex_manager.vault.sealed_file import (
    SealedFileRefusedError,
    WrongPassphraseError,
    is_sealed,
    open_text,
    seal_text,
)


WORDS = Secret("correct horse battery staple")
TEXT = '{"label": "arbeit 🚀", "api_key": "sk-canary"}'


@pytest.fixture(scope="module")
def sealed():
    return seal_text(TEXT, WORDS, profile=CHEAPEST)


def changed(file, **fields):
    return json.dumps(json.loads(file) | fields)


def test_it_opens_to_what_was_sealed_and_shows_nothing_of_it(sealed):
    assert open_text(sealed, WORDS) == TEXT
    assert "canary" not in sealed
    assert is_sealed(sealed)


def test_the_same_text_never_seals_to_the_same_file(sealed):
    assert seal_text(TEXT, WORDS, profile=CHEAPEST) != sealed


def test_a_default_seal_costs_what_a_vault_costs():
    costs = json.loads(seal_text("x", WORDS))["kdf"]
    assert (costs["name"], costs["time_cost"], costs["memory_kib"], costs["parallelism"]) == ("argon2id", 3, 65536, 4)


def test_another_passphrase_does_not_open_it(sealed):
    with pytest.raises(WrongPassphraseError) as caught:
        open_text(sealed, Secret("correct horse battery stable"))
    assert caught.value.exit_code == 3


def test_every_changed_character_of_the_ciphertext_is_refused(sealed):
    text = json.loads(sealed)["sealed"]
    for place, character in enumerate(text):
        other = "A" if character != "A" else "B"
        with pytest.raises(WrongPassphraseError):
            open_text(changed(sealed, sealed=text[:place] + other + text[place + 1 :]), WORDS)


def test_other_costs_than_it_was_sealed_with_do_not_open_it(sealed):
    costs = json.loads(sealed)["kdf"]
    with pytest.raises(WrongPassphraseError):
        open_text(changed(sealed, kdf=costs | {"time_cost": costs["time_cost"] + 1}), WORDS)


def kdf(name, time_cost, memory_kib, salt):
    return {
        "name": name, "version": 19, "time_cost": time_cost, "memory_kib": memory_kib, "parallelism": 4, "salt": salt,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"format": "something else"}, SealedFileRefusedError),
        ({"version": 2}, VaultTooNewError),
        ({"version": 0}, SealedFileRefusedError),
        ({"version": "1"}, SealedFileRefusedError),
        ({"extra": 1}, SealedFileRefusedError),
        ({"sealed": 7}, SealedFileRefusedError),
        ({"kdf": None}, SealedFileRefusedError),
        ({"kdf": kdf("argon2id", 3, 2**31, "A" * 24)}, SealedFileRefusedError),
        ({"kdf": kdf("argon2id", 0, 65536, "A" * 24)}, SealedFileRefusedError),
        ({"kdf": kdf("scrypt", 3, 65536, "A" * 24)}, SealedFileRefusedError),
        ({"kdf": kdf("argon2id", 3, 65536, "")}, SealedFileRefusedError),
    ],
)
def test_an_envelope_of_another_shape_is_refused_before_it_costs_anything(fields, error, sealed):
    with pytest.raises(error) as caught:
        open_text(changed(sealed, **fields), WORDS)
    assert "vault's header" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "hello", "[]", "[" * 100_000, '{"format": "codex-manager sealed"'])
def test_what_is_not_sealed_is_told_apart(text):
    assert not is_sealed(text)
    with pytest.raises(SealedFileRefusedError):
        open_text(text, WORDS)


def test_a_cut_file_is_not_sealed_any_more(sealed):
    for length in range(0, len(sealed) - 2, 7):
        assert not is_sealed(sealed[:length])
