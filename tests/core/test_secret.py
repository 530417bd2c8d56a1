"""A secret shows itself by `reveal()` and in no other way."""

import copy
import dataclasses
import io
import json
import logging
import pickle
import traceback

import pytest

from codex_manager.core.secret import MASK, Secret, mask_keys


TEXT = "sk-proj-0123456789abcdef-tail"


@dataclasses.dataclass
class Holder:
    key: Secret


@pytest.fixture
def secret():
    return Secret(TEXT)


def test_reveal_is_the_way_out(secret):
    assert secret.reveal() == TEXT


@pytest.mark.parametrize(
    "show",
    [
        repr,
        str,
        format,
        ascii,
        lambda s: f"{s} {s!r} {s!s} {s:>40}",
        lambda s: "{} {!r} {:<20}".format(s, s, s),  # noqa: UP032 - this way of formatting is what is tested
        lambda s: "%s %r" % (s, s),  # noqa: UP031 - likewise
        lambda s: repr([s]) + repr({"k": s}) + repr(Holder(s)),
        lambda s: repr(dataclasses.asdict(Holder(s))),
        lambda s: json.dumps({"k": s}, default=str),
        lambda s: json.dumps({"k": s}, default=repr),
        lambda s: repr(ValueError("no good", s)),
        lambda s: str(KeyError(s)),
    ],
)
def test_every_way_of_showing_it_shows_the_mask(secret, show):
    shown = show(secret)
    assert MASK in shown
    assert TEXT not in shown
    assert "tail" not in shown


def test_format_honours_width_and_alignment(secret):
    assert f"{secret:>12}" == MASK.rjust(12)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickling_is_refused(secret, protocol):
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(secret, protocol)
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps({"deep": [secret]}, protocol)


def test_json_refuses_it(secret):
    with pytest.raises(TypeError):
        json.dumps({"k": secret})


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda s: dataclasses.asdict(Holder(s))["key"]])
def test_a_copy_is_the_same_object(secret, copied):
    """Copying must work, since dataclasses copy; it makes no second string in memory."""
    assert copied(secret) is secret


def test_a_deep_copy_of_what_holds_it_keeps_it(secret):
    assert copy.deepcopy(Holder(secret)).key is secret


def test_log_lines_show_the_mask(secret):
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logger = logging.getLogger("codex_manager.test_secret")
    logger.addHandler(handler)
    try:
        logger.warning("key %s, %r, %s", secret, secret, [secret])
    finally:
        logger.removeHandler(handler)
    assert stream.getvalue().count(MASK) == 3
    assert TEXT not in stream.getvalue()


def test_a_traceback_with_local_variables_shows_the_mask(secret):
    def fail(key):
        holder = Holder(key)
        raise ValueError("refused", holder)

    try:
        fail(secret)
    except ValueError as error:
        shown = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    assert MASK in shown
    assert TEXT not in shown


def test_it_has_no_attributes_to_list(secret):
    assert not hasattr(secret, "__dict__")
    with pytest.raises(TypeError):
        vars(secret)


@pytest.mark.parametrize(
    ("one", "other", "equal"), [("a", "a", True), ("a", "b", False), ("", "", True), ("ü€", "ü€", True)]
)
def test_equality_is_that_of_the_texts(one, other, equal):
    assert (Secret(one) == Secret(other)) is equal
    assert (Secret(one) != Secret(other)) is not equal
    assert (hash(Secret(one)) == hash(Secret(other))) is equal


def test_a_secret_is_not_equal_to_its_text(secret):
    """Otherwise a comparison with a plain string would work and keep plain strings around."""
    assert secret != TEXT
    assert hash(secret) != hash(TEXT)


def test_secrets_work_as_keys_of_a_mapping(secret):
    assert {secret: 1}[Secret(TEXT)] == 1


@pytest.mark.parametrize(("text", "true"), [("", False), ("x", True)])
def test_an_empty_secret_is_false(text, true):
    assert bool(Secret(text)) is true


@pytest.mark.parametrize(
    ("text", "hint"), [(TEXT, "…tail"), ("0123456789abcdef", "…cdef"), ("0123456789abcde", "…"), ("", "…")]
)
def test_the_hint_shows_four_characters_of_long_secrets_only(text, hint):
    assert Secret(text).hint() == hint


def test_nobody_derives_a_talkative_secret():
    assert getattr(Secret, "__final__", False)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("unexpected argument (sk-proj-abcdefgh12345)", "unexpected argument (sk-…)"),
        ("sk-0123456789", "sk-…"),
        ("sk-short and task-force-12345678", "sk-short and task-force-12345678"),
    ],
)
def test_what_looks_like_a_key_is_masked_in_a_text(text, masked):
    """Words that merely contain `sk-` stay."""
    assert mask_keys(text) == masked
