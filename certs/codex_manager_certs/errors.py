"""What can go wrong with the authority, told in one sentence.

Law: this package imports nothing of ours, so its errors have the form of the house (a message, a hint, an exit status)
without its base class; who calls turns them into their own.
"""

__all__ = ["AuthorityError"]


class AuthorityError(Exception):
    """The authority cannot be used or made. The message is one sentence without a secret; `hint` says what to do."""

    def __init__(self, message: str, *, hint: str | None = None, exit_code: int = 1) -> None:
        super().__init__(message)
        self.hint = hint
        self.exit_code = exit_code
