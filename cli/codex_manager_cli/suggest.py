"""What completion offers for words that are in the vault or the configuration: labels of accounts, names of client keys, settings.

Law: nobody is asked for anything, nothing is said, nothing fails: what cannot be had at once is not offered. A proxy that runs knows the
labels; otherwise the vault is opened, if its key is at hand without a question.
"""

import contextlib
import os

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

import click

from codex_manager_cli.talk import COMPLETION_VARIABLE


if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from codex_manager.vault.store import Vault

__all__ = ["accounts", "client_keys", "settings", "topics", "values"]

KEYRING_S: Final = 1.0
ANSWER_S: Final = 1.0
PLAIN: Final = frozenset("/._-+@%,")


def accounts(ctx: click.Context, param: click.Parameter, incomplete: str) -> "list[CompletionItem]":  # noqa: ARG001 - click's signature
    """Labels of accounts."""
    return _items(_from_proxy() or _from_vault(lambda vault: [one.label for one in vault.accounts()]), incomplete)


def client_keys(ctx: click.Context, param: click.Parameter, incomplete: str) -> "list[CompletionItem]":  # noqa: ARG001 - click's signature
    """Names of client keys."""
    return _items(_from_vault(lambda vault: [key.name for key in vault.client_keys()]), incomplete)


def settings(ctx: click.Context, param: click.Parameter, incomplete: str) -> "list[CompletionItem]":  # noqa: ARG001 - click's signature
    """Keys of the configuration."""
    from codex_manager.config.catalogue import SETTINGS

    return _items(SETTINGS, incomplete)


def values(ctx: click.Context, param: click.Parameter, incomplete: str) -> "list[CompletionItem]":  # noqa: ARG001 - click's signature
    """What the setting that was named before may be, where that is a choice."""
    from codex_manager.config.catalogue import SETTINGS

    setting = SETTINGS.get(str(ctx.params.get("key")))
    if setting is None:
        return []
    return _items(("true", "false") if setting.kind == "true or false" else map(str, setting.choices), incomplete)


def topics(ctx: click.Context, param: click.Parameter, incomplete: str) -> "list[CompletionItem]":  # noqa: ARG001 - click's signature
    """Topics of `help`, and commands."""
    from codex_manager_cli.main import COMMANDS
    from codex_manager_cli.topics import TOPICS

    return _items((*TOPICS, *COMMANDS), incomplete)


def _from_proxy() -> list[str]:
    from codex_manager.config.paths import Paths
    from codex_manager_cli.control import Line

    with contextlib.suppress(Exception), Line(Paths.locate().data_dir, patience_s=ANSWER_S) as line:
        told = line.ask("status")
        if told is not None:
            return [str(account["label"]) for account in told.document["accounts"]]
    return []


def _from_vault(read: "Callable[[Vault], list[str]]") -> list[str]:
    from codex_manager.config.paths import Paths
    from codex_manager.vault import masterkey
    from codex_manager.vault.oskeyring import Keyring

    with contextlib.suppress(Exception):
        keyring = Keyring(timeout_s=KEYRING_S, may_ask=False)
        with masterkey.open_vault(Paths.locate().vault_file, environ=os.environ, prompt=None, keyring=keyring) as vault:
            return read(vault)
    return []


def _items(words: Iterable[str], incomplete: str) -> "list[CompletionItem]":
    from click.shell_completion import CompletionItem

    shown = _quoted if os.environ.get(COMPLETION_VARIABLE, "").startswith("bash") else str
    return [CompletionItem(shown(word)) for word in words if word.casefold().startswith(incomplete.casefold())]


def _quoted(word: str) -> str:
    """For bash, whose completion script takes words as they come: escaped for the shell, and once more for the script's `read`."""
    return "".join(letter if letter.isalnum() or letter in PLAIN else f"\\\\{letter}" for letter in word)
