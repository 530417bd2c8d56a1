"""Sealing and opening, against the published vectors and against every single changed bit."""

import base64

import pytest

from hypothesis import given
from hypothesis import strategies as st

from codex_manager.vault.envelope import SealBrokenError, aad, new_key, open_sealed, seal, wipe


KEY = bytes(range(32))
PLACE = aad("codex-manager vault", "1", "8f4b", "account", "a1")
PLAIN = b'{"label":"Work","api_key":"sk-x"}'

_P = (
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
    "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255"
)
_C = (
    "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
    "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad"
)
_K = "feffe9928665731c6d6a8f9467308308" * 2
NIST = [
    # McGrew and Viega, The Galois/Counter Mode of Operation, appendix B, as submitted to NIST: the AES-256 cases
    # with a 96-bit IV. (key, iv, plaintext, aad, ciphertext, tag)
    pytest.param("00" * 32, "00" * 12, "", "", "", "530f8afbc74536b9a963b4f1c4cb738b", id="13"),
    pytest.param(
        "00" * 32,
        "00" * 12,
        "00" * 16,
        "",
        "cea7403d4d606b6e074ec5d3baf39d18",
        "d0d1c8a799996bf0265b98b5d48ab919",
        id="14",
    ),
    pytest.param(_K, "cafebabefacedbaddecaf888", _P, "", _C, "b094dac5d93471bdec1a502270e3cc6c", id="15"),
    pytest.param(
        _K,
        "cafebabefacedbaddecaf888",
        _P[:120],
        "feedfacedeadbeeffeedfacedeadbeefabaddad2",
        _C[:120],
        "76fc6ece0f4e1768cddf8853bb2d551b",
        id="16",
    ),
]


@pytest.mark.parametrize(("key", "iv", "plain", "extra", "cipher", "tag"), NIST)
def test_the_nist_vectors_hold_through_our_own_path(key, iv, plain, extra, cipher, tag, monkeypatch):
    """Sealed with the vector's nonce it is the vector's ciphertext; the vector's ciphertext opens."""
    monkeypatch.setattr("secrets.token_bytes", lambda _: bytes.fromhex(iv))
    sealed = seal(bytes.fromhex(key), bytes.fromhex(plain), bytes.fromhex(extra))
    assert base64.b64decode(sealed).hex() == iv + cipher + tag
    assert open_sealed(bytes.fromhex(key), sealed, bytes.fromhex(extra)).hex() == plain


def test_a_hundred_thousand_seals_take_no_nonce_twice():
    """Each seal draws a fresh random nonce."""
    nonces = {seal(KEY, b"", b"")[:16] for _ in range(100_000)}  # 16 characters of base64 are the 12 bytes of nonce
    assert len(nonces) == 100_000


def test_every_flipped_bit_of_the_sealed_value_is_refused():
    """Nonce, ciphertext and tag."""
    raw = base64.b64decode(seal(KEY, PLAIN, PLACE))
    assert len(raw) == 12 + len(PLAIN) + 16
    for bit in range(len(raw) * 8):
        flipped = bytearray(raw)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(SealBrokenError):
            open_sealed(KEY, base64.b64encode(flipped).decode(), PLACE)


def test_every_flipped_bit_of_the_place_is_refused():
    """The AAD, its length fields included."""
    sealed = seal(KEY, PLAIN, PLACE)
    for bit in range(len(PLACE) * 8):
        flipped = bytearray(PLACE)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(SealBrokenError):
            open_sealed(KEY, sealed, bytes(flipped))


def test_every_flipped_bit_of_the_key_is_refused():
    sealed = seal(KEY, PLAIN, PLACE)
    for bit in range(256):
        flipped = bytearray(KEY)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(SealBrokenError):
            open_sealed(flipped, sealed, PLACE)


def test_every_shorter_value_is_refused():
    raw = base64.b64decode(seal(KEY, PLAIN, PLACE))
    for length in range(len(raw)):
        with pytest.raises(SealBrokenError):
            open_sealed(KEY, base64.b64encode(raw[:length]).decode(), PLACE)


@pytest.mark.parametrize("change", ["{}\n", " {}", "{}=", "{}A", "-{}", "ä{}", "\N{FULLWIDTH DIGIT ONE}{}", "\0{}"])
def test_only_the_canonical_text_opens(change):
    """Whitespace, padding and foreign characters around the base64 are changes, too."""
    with pytest.raises(SealBrokenError):
        open_sealed(KEY, change.format(seal(KEY, PLAIN, PLACE)), PLACE)


def test_unused_bits_of_the_last_character_are_not_ignored():
    """`QQ==` and `QR==` decode alike; only one of them is what was sealed."""
    sealed = seal(KEY, b"12345", PLACE)  # 12 + 5 + 16 = 33 bytes end without padding; 34 leave four bits unused
    sealed = seal(KEY, b"123456", PLACE)
    assert sealed.endswith("==")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    other = sealed[:-3] + alphabet[alphabet.index(sealed[-3]) ^ 1] + "=="
    assert base64.b64decode(other) == base64.b64decode(sealed)
    with pytest.raises(SealBrokenError):
        open_sealed(KEY, other, PLACE)


@given(st.lists(st.text(max_size=8), max_size=5), st.lists(st.text(max_size=8), max_size=5))
def test_two_places_never_share_a_name(one, other):
    """("ab", "c") and ("a", "bc") differ."""
    assert (aad(*one) == aad(*other)) == (one == other)


@given(st.binary(max_size=200), st.binary(max_size=40))
def test_what_is_sealed_opens(plain, place):
    assert open_sealed(KEY, seal(KEY, plain, place), place) == plain


def test_keys_are_random_and_can_be_wiped():
    one, other = new_key(), new_key()
    assert one != other
    assert len(one) == 32
    wipe(one)
    assert one == bytearray(32)
