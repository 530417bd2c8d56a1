"""The base error carries what the command line needs to tell it."""

import pickle

import pytest

from codex_manager.core.errors import CodexManagerError, type_and_place


def test_an_error_carries_its_sentence_hint_and_exit_status():
    error = CodexManagerError("the vault is locked", hint="run codex-manager vault unlock", exit_code=3)
    assert (str(error), error.hint, error.exit_code) == ("the vault is locked", "run codex-manager vault unlock", 3)


def test_an_error_without_more_has_no_hint_and_exit_status_1():
    error = CodexManagerError("it failed")
    assert (error.hint, error.exit_code) == (None, 1)


def test_a_package_derives_its_own_error_without_a_constructor():
    class LockedError(CodexManagerError):
        pass

    with pytest.raises(CodexManagerError, match=r"^closed$") as caught:
        raise LockedError("closed", exit_code=3)
    assert caught.value.exit_code == 3


def test_an_error_survives_pickling_between_processes():
    """Exceptions cross process borders; the hint and the status cross with them."""
    error = pickle.loads(pickle.dumps(CodexManagerError("a", hint="b", exit_code=2)))
    assert (str(error), error.hint, error.exit_code) == ("a", "b", 2)


def test_type_and_place_leave_the_message_out():
    """The message of an unexpected error may quote a header."""
    with pytest.raises(ValueError, match="sk-") as caught:
        int("sk-secret")
    said = type_and_place(caught.value)
    assert said.startswith("ValueError at test_errors.py:")
    assert "secret" not in said
    assert type_and_place(KeyError("never raised")) == "KeyError"
