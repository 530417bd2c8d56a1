"""The accounts a fake OpenAI knows, and who is let in.

Strict as the real one: an unknown key, a foreign organization or project header and a doubled Authorization are refused
in OpenAI's words, and a cookie that was given to another account is flagged in the log.
"""

import fnmatch
import hashlib

from collections.abc import Callable
from dataclasses import dataclass

from codex_manager.testing.journal import Seen
from codex_manager.testing.openai import errors
from codex_manager.testing.reply import Reply


__all__ = ["MODELS", "Accounts", "FakeAccount"]

MODELS = (
    "gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-5", "gpt-5-mini", "gpt-5-codex", "o3", "o4-mini", "gpt-3.5-turbo-instruct",
    "text-embedding-3-small", "text-embedding-3-large", "dall-e-3", "gpt-image-1", "omni-moderation-latest", "tts-1",
    "gpt-4o-mini-tts", "whisper-1", "gpt-4o-transcribe",
)  # fmt: skip
"""What `GET /v1/models` lists unless the account says otherwise."""

FAMILIES = (
    "gpt-*", "o1*", "o3*", "o4*", "chatgpt-*", "codex-*", "ft:*", "text-embedding-*", "text-moderation-*", "omni-moderation-*",
    "dall-e-*", "tts-*", "whisper-*", "davinci-*", "babbage-*", "computer-use-*", "sora-*",
)  # fmt: skip
"""Names taken for models of OpenAI; any other is answered `model_not_found`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeAccount:
    """One key and whom it belongs to. Keys of one organization and project share limits and resources."""

    key: str
    organization: str
    project: str
    models: tuple[str, ...] | None = None
    """Wildcards; None is every model of OpenAI's families."""
    admin: bool = False
    """An organization's admin key: reads costs and usage, runs no model."""

    @property
    def domain(self) -> tuple[str, str]:
        """What limits and resources belong to."""
        return self.organization, self.project

    @property
    def marker(self) -> str:
        """Names the key without showing any of it: which account answered."""
        return hashlib.sha256(f"marker {self.key}".encode()).hexdigest()[:10]

    def has(self, model: str) -> bool:
        """Whether this account may use a model."""
        return any(fnmatch.fnmatchcase(model, pattern) for pattern in self.models or FAMILIES)

    def listed(self) -> list[str]:
        """The ids that `GET /v1/models` shows."""
        if self.models is None:
            return list(MODELS)
        plain = [name for name in self.models if "*" not in name]
        return plain + [name for name in MODELS if self.has(name) and name not in plain]


class Accounts:
    """All accounts by key; the only state is the table."""

    def __init__(self) -> None:
        self._by_key: dict[str, FakeAccount] = {}
        self._cookies: dict[str, tuple[str, str]] = {}
        self.lent: Callable[[str], str | None] = lambda _: None
        """The account's key behind an ephemeral one."""

    def add(self, account: FakeAccount) -> None:
        self._by_key[account.key] = account
        self._cookies[self.cookie(account)] = account.domain

    def remove(self, key: str) -> None:
        """Revoke a key: from now on it is unknown."""
        del self._by_key[key]

    def __contains__(self, key: object) -> bool:
        return key in self._by_key

    def __getitem__(self, key: str) -> FakeAccount:
        return self._by_key[key]

    @staticmethod
    def cookie(account: FakeAccount) -> str:
        """The value of `__cf_bm` this account is given."""
        return hashlib.sha256(f"cookie {account.domain}".encode()).hexdigest()[:32]

    def admit(self, seen: Seen) -> FakeAccount | Reply:
        """The account a request belongs to, or OpenAI's refusal."""
        tokens = seen.header_values("authorization") or _key_in_protocol(seen)
        if not tokens:
            return errors.missing_key()
        if len(tokens) > 1:
            seen.flags.append("duplicate_authorization")
            return errors.duplicate_authorization()
        scheme, _, key = tokens[0].partition(" ")
        key = key.strip()
        seen.key = key
        if scheme.lower() != "bearer" or not key:
            return errors.missing_key()
        account = self._by_key.get(self.lent(key) or key)
        if account is None:
            return errors.incorrect_key(key)
        for what, mine in (("Organization", account.organization), ("Project", account.project)):
            if any(value != mine for value in seen.header_values(f"openai-{what.lower()}")):
                seen.flags.append(f"mismatched_{what.lower()}")
                return errors.mismatched(what)
        for cookie in seen.header_values("cookie"):
            for pair in cookie.split(";"):
                name, _, value = pair.strip().partition("=")
                if name == "__cf_bm" and self._cookies.get(value, account.domain) != account.domain:
                    seen.flags.append("foreign_cookie")
        return account


def _key_in_protocol(seen: Seen) -> list[str]:
    """The key as clients without header access send it: as a WebSocket subprotocol."""
    offered = [name.strip() for value in seen.header_values("sec-websocket-protocol") for name in value.split(",")]
    prefix = "openai-insecure-api-key."
    return [f"Bearer {name.removeprefix(prefix)}" for name in offered if name.startswith(prefix)]
