"""The one base of every error a user is told about: a sentence, perhaps a hint, an exit status.

Law: the message is one sentence for the person who will read it, lower-case, without a full stop and without a secret;
the hint says what to do next. Each package derives its own errors from this; the command line shows any of them.
"""

import traceback


__all__ = ["CodexManagerError", "type_and_place"]


class CodexManagerError(Exception):
    """Something went wrong that the user should be told in one sentence."""

    def __init__(self, message: str, *, hint: str | None = None, exit_code: int = 1) -> None:
        super().__init__(message)
        self.hint = hint
        """What to do about it, one line; None when the message says it all."""
        self.exit_code = exit_code
        """Exit status of a command that ends with it: 1 failed, 2 usage, 3 vault locked or wrong key."""


def type_and_place(error: BaseException) -> str:
    """What may be logged of an error nobody expected: its message may quote a header, and a header may hold a key."""
    frames = traceback.extract_tb(error.__traceback__)
    places = [f"{frame.filename.replace('\\', '/').rsplit('/', 1)[-1]}:{frame.lineno}" for frame in frames[-3:]]
    return f"{type(error).__name__} at {' < '.join(reversed(places))}" if places else type(error).__name__
