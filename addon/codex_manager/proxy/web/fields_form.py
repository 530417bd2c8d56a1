"""What forms in the dialog have in common: values as the browser sends them, and all mistakes at once, each beside its field.

Law: on a mistake only the places for sentences are sent back, never the fields: what was typed, a key among it, stays in the browser
and is in no answer.
"""

import json

from collections.abc import Iterable, Mapping
from typing import ClassVar

from codex_manager.accounts.errors import AccountError, FieldsError
from codex_manager.core.errors import CodexManagerError
from codex_manager.proxy.web.accounts_page import AccountsBase


__all__ = ["FieldsForm", "changed_only"]

MOST_CHARACTERS = 100_000
"""Of what a form remembers of itself; the longest notes are 4,096."""


class FieldsForm(AccountsBase):
    """A form whose fields are those of `fields`; a mistake in another one is told above them."""

    in_sheet = True
    fields: ClassVar[tuple[str, ...]] = ()

    def values(self, names: Iterable[str]) -> dict[str, str]:
        """What was sent, by field, with the line ends of this world."""
        sent = {name: self.get_body_argument(name, None, strip=False) for name in names}
        return {name: text.replace("\r\n", "\n") for name, text in sent.items() if text is not None}

    def problem(self, error: CodexManagerError, status: int = 422) -> None:
        """Beside the fields where it is about them; what was said before is taken back."""
        wrong: Mapping[str, str] = {}
        if self.request.method == "POST":
            if isinstance(error, FieldsError):
                wrong = error.fields
            elif isinstance(error, AccountError) and error.field is not None:
                wrong = {error.field: f"{error}; {error.hint}" if error.hint else str(error)}
        beside = {name: sentence for name, sentence in wrong.items() if name in self.fields}
        if not beside:
            super().problem(error, status)
            return
        rest = "; ".join(sentence for name, sentence in wrong.items() if name not in beside)
        self.set_status(status)
        self.set_header("HX-Reswap", "none")
        self.page("accounts/wrong.html", names=self.fields, wrong=beside, rest=rest)


def changed_only(sent: Mapping[str, str], was: str) -> dict[str, str]:
    """The fields that are not as the form was opened with (`was`, its own JSON): others may have been changed elsewhere meanwhile."""
    try:
        before = json.loads(was) if len(was) <= MOST_CHARACTERS else {}
    except ValueError:
        before = {}
    if not isinstance(before, dict):
        before = {}
    return {name: text for name, text in sent.items() if before.get(name) != text}
