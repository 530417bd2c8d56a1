"""What users call things: labels, and how a label, an id or the beginning of either finds its account.

Pure. Law: an exact label wins over an exact id, exact wins over a prefix, and a prefix that fits two is never guessed.
"""

import unicodedata

from collections.abc import Iterable
from typing import Final

from codex_manager.core.account import Account
from codex_manager.vault.errors import AccountNotFoundError, AmbiguousIdentifierError, LabelRefusedError


__all__ = ["MAX_LABEL_CHARS", "checked_label", "find", "folded"]

MAX_LABEL_CHARS: Final = 100  # still fits a table, a header and a window title


def folded(label: str) -> str:
    """The form in which two labels are the same."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", label).casefold())


def checked_label(label: str, what: str = "label") -> str:
    """The label as it is stored: trimmed, in composed form.

    Raises:
        LabelRefusedError: it is empty, too long, or has characters that cannot be shown.
    """
    text = unicodedata.normalize("NFC", label.strip())
    if not text:
        raise LabelRefusedError(f"the {what} is empty", hint="give it a name such as `work`")
    if len(text) > MAX_LABEL_CHARS:
        raise LabelRefusedError(f"the {what} is longer than {MAX_LABEL_CHARS} characters", hint="shorten it")
    if any(unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for character in text):
        raise LabelRefusedError(
            f"the {what} has characters that cannot be shown", hint="use letters, digits and spaces"
        )
    return text


def find(identifier: str, accounts: Iterable[Account]) -> Account:
    """The one account that is meant.

    Raises:
        AccountNotFoundError: none is.
        AmbiguousIdentifierError: several may be; the message names them.
    """
    everyone = list(accounts)
    wanted = folded(identifier.strip())
    for exact in (
        [account for account in everyone if folded(account.label) == wanted],
        [account for account in everyone if account.id == wanted],
    ):
        if exact:
            return exact[0]
    fitting = [a for a in everyone if wanted and (folded(a.label).startswith(wanted) or a.id.startswith(wanted))]
    if len(fitting) == 1:
        return fitting[0]
    if not fitting:
        known = ", ".join(account.label for account in everyone[:10])
        raise AccountNotFoundError(
            f"there is no account {identifier!r}",
            hint=f"the accounts are: {known}" if known else "add one with `codex-manager add`",
        )
    labels = tuple(account.label for account in fitting)
    raise AmbiguousIdentifierError(
        f"{identifier!r} fits several accounts: {', '.join(labels)}", hint="give the whole label", candidates=labels
    )
