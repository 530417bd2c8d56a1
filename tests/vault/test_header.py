"""The header: authenticated, and refused when it is not exactly one of ours."""

import contextlib
import json
import sqlite3
import uuid

import pytest

from codex_manager.core.secret import Secret
from codex_manager.vault import CHEAPEST, Vault, envelope
from codex_manager.vault.errors import VaultHeaderRefusedError, VaultTooNewError, WrongKeyError
from codex_manager.vault.header import Header
from codex_manager.vault.kdf import KdfParams, derive


MASTER = Secret("k")
KDF = KdfParams.fresh(CHEAPEST)
DEK = envelope.new_key()
HEADER = Header.wrap(str(uuid.uuid4()), str(uuid.uuid4()), KDF, kek=derive(MASTER, KDF), dek=DEK)
TEXT = HEADER.to_json()


def changed(**fields):
    return json.dumps({**json.loads(TEXT), **fields})


def with_kdf(**fields):
    data = json.loads(TEXT)
    data["kdf"].update(fields)
    return json.dumps(data)


REFUSED = {
    "t=0": with_kdf(time_cost=0),
    "m=1": with_kdf(memory_kib=1),
    "m=2**31": with_kdf(memory_kib=2**31),
    "p=0": with_kdf(parallelism=0),
    "no salt": with_kdf(salt=""),
    "short salt": with_kdf(salt="AAAA"),
    "unknown function": with_kdf(name="pbkdf2"),
    "unknown Argon2 version": with_kdf(version=16),
    "no kdf": changed(kdf=None),
    "version 0": changed(version=0),
    "version is text": changed(version="1"),
    "version is true": changed(version=True),
    "version is huge as text": changed(version="9" * 100),
    "other format": changed(format="age"),
    "one more field": changed(extra=1),
    "vault id is no UUID": changed(vault_id="../../etc"),
    "vault id in capitals": changed(vault_id=HEADER.vault_id.upper() + "X"),
    "key id is null": changed(key_id=None),
    "wrapped key is null": changed(wrapped_key=None),
    "wrapped key is endless": changed(wrapped_key="A" * 81),
    "truncated": TEXT[:-10],
    "empty": "",
    "not JSON": "hello",
    "a list": "[]",
    "a number": "1",
    "nested deep": "[" * 4000,
    "too long": TEXT + " " * 4096,
    "a field twice": TEXT[:-1] + ', "version": 1}',
    "not text": b"{}",
    "null": None,
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_a_header_of_ours_is_refused(case):
    """Each is the one named error, before any key is derived."""
    with pytest.raises(VaultHeaderRefusedError, match="the vault's header is refused: ") as caught:
        Header.from_json(REFUSED[case])
    assert caught.value.hint


@pytest.mark.parametrize("text", [changed(version=2), changed(version=10**9), changed(version=2, new_field={})])
def test_a_later_version_says_so(text):
    """Not "refused": the cure is another one."""
    with pytest.raises(VaultTooNewError, match="knows formats up to 1") as caught:
        Header.from_json(text)
    assert caught.value.hint == "update codex-manager"


def test_a_header_survives_storage():
    assert Header.from_json(TEXT) == HEADER
    assert HEADER.unwrap(derive(MASTER, KDF)) == DEK


@pytest.mark.parametrize(
    "fields",
    [
        {"vault_id": str(uuid.uuid4())},
        {"key_id": str(uuid.uuid4())},
        {"kdf": {**json.loads(TEXT)["kdf"], "time_cost": 2}},
        {"kdf": {**json.loads(TEXT)["kdf"], "memory_kib": 16}},
        {"kdf": {**json.loads(TEXT)["kdf"], "salt": "AAAAAAAAAAAAAAAAAAAAAA=="}},
    ],
    ids=["vault id", "key id", "time cost", "memory", "salt"],
)
def test_each_field_of_the_header_is_authenticated(fields):
    """A changed field opens with no key: not with the key of the old parameters, not with that of the new."""
    other = Header.from_json(changed(**fields))
    for params in (KDF, other.kdf):
        with pytest.raises(WrongKeyError):
            other.unwrap(derive(MASTER, params))


def test_every_flipped_bit_of_the_header_in_the_file_is_a_named_error(vault_file):
    """Of some 3,500 flips none opens the vault and none crashes."""
    Vault.create(vault_file, MASTER, profile=CHEAPEST).close()
    with contextlib.closing(sqlite3.connect(vault_file)) as connection:
        text = connection.execute("SELECT json FROM header").fetchone()[0].encode()
    outcomes: set[type] = set()
    for bit in range(len(text) * 8):
        flipped = bytearray(text)
        flipped[bit // 8] ^= 1 << bit % 8
        try:
            header = Header.from_json(flipped.decode("utf-8", "surrogateescape"))
        except (VaultHeaderRefusedError, VaultTooNewError) as error:
            outcomes.add(type(error))
            continue
        if header.kdf.memory_kib * header.kdf.time_cost > 2**16:
            continue  # allowed parameters, too dear to try hundreds of times; their AAD is tested above
        with pytest.raises(WrongKeyError):
            header.unwrap(derive(MASTER, header.kdf))
        outcomes.add(WrongKeyError)
    assert outcomes >= {VaultHeaderRefusedError, WrongKeyError}


def test_a_wrong_key_is_one_named_error_and_the_file_stays_as_it_was(filled, vault_file):
    """Exit status 3, a sentence, a cure, and not a byte written."""
    filled.close()
    before = vault_file.read_bytes(), vault_file.stat().st_mtime_ns
    with pytest.raises(WrongKeyError, match="the master key does not open this vault") as caught:
        Vault.open(vault_file, Secret("wrong"))
    assert (caught.value.exit_code, "CAM_MASTER_KEY" in str(caught.value.hint)) == (3, True)
    assert (vault_file.read_bytes(), vault_file.stat().st_mtime_ns) == before
    assert [path.name for path in vault_file.parent.iterdir()] == ["vault.db"]


def test_the_keyring_name_says_vault_and_key_and_nothing_secret():
    other = Header.wrap(HEADER.vault_id, HEADER.key_id, KdfParams.fresh(CHEAPEST), kek=envelope.new_key(), dek=DEK)
    assert HEADER.keyring_name.startswith(f"vault {HEADER.vault_id} key ")
    assert other.keyring_name != HEADER.keyring_name
