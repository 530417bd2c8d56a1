"""Ephemeral secrets find the account that issued them; what is kept is bounded and no secret."""

from codex_manager.core.client_secrets import LIFE_S, MOST, ClientSecrets


SECRET = b"ek_0123456789abcdef"


def test_a_secret_is_the_issuers_until_it_expires():
    secrets = ClientSecrets()
    secrets.learn(b'{"value": "%b", "expires_at": 1}' % SECRET, "a", now=0.0)
    assert secrets.issuer(SECRET, LIFE_S - 1) == "a"
    assert secrets.issuer(SECRET, LIFE_S) is None
    assert secrets.issuer(b"ek_another0000000", 0.0) is None
    assert secrets.issuer(b"sk-" + SECRET, 0.0) is None


def test_the_older_form_is_learned_too_and_other_answers_teach_nothing():
    secrets = ClientSecrets()
    secrets.learn(b'{"client_secret":{"value":"%b"}}' % SECRET, "b", now=0.0)
    secrets.learn(b'{"text":"say ek_0123456789abcdeX"} \xff', "c", now=0.0)
    assert secrets.issuer(SECRET, 1.0) == "b"
    assert len(secrets) == 1


def test_only_so_many_are_kept_and_none_in_clear():
    secrets = ClientSecrets()
    for number in range(MOST + 10):
        secrets.learn(b'"ek_%012d"' % number, "a", now=0.0)
    assert len(secrets) == MOST
    assert secrets.issuer(b"ek_%012d" % 0, 1.0) is None
    assert secrets.issuer(b"ek_%012d" % (MOST + 9), 1.0) == "a"
    assert not [key for key in secrets._issued if b"ek_" in key]
