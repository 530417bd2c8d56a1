"""A request as the fake API sees it once it is complete and its account is known."""

import json

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import parse_qs

from codex_manager.testing.accounts import FakeAccount
from codex_manager.testing.journal import Seen
from codex_manager.testing.openai.prompts import PromptCache


__all__ = ["Facts"]


@dataclass(kw_only=True)
class Facts:
    """What endpoints and scripted answers may look at."""

    seen: Seen
    account: FakeAccount
    created: int
    """Unix time that answers give as theirs; fixed for a server, so that equal requests get equal bytes."""
    extra: dict[str, str] = field(default_factory=dict)
    prompts: PromptCache | None = None
    now: float = 0.0
    """By the fake's clock."""

    @property
    def method(self) -> str:
        return self.seen.method

    @property
    def path(self) -> str:
        return self.seen.path

    @cached_property
    def query(self) -> dict[str, str]:
        return {name: values[-1] for name, values in parse_qs(self.seen.query, keep_blank_values=True).items()}

    @cached_property
    def content_type(self) -> str:
        return self.seen.header("content-type") or ""

    @cached_property
    def json(self) -> Any:
        """The body as JSON; None where it is none."""
        try:
            return json.loads(self.seen.body)
        except (ValueError, RecursionError):
            return None

    @cached_property
    def model(self) -> str | None:
        """The model the request names, in JSON or in a form."""
        if "multipart/" in self.content_type:
            from codex_manager.testing.openai.multipart import fields

            part = fields(self.content_type, self.seen.body).get("model")
            return part.content.decode("utf-8", "replace") if part else None
        value = self.json.get("model") if isinstance(self.json, dict) else None
        return value if isinstance(value, str) else None

    @cached_property
    def recalled(self) -> int | None:
        """Tokens of this prompt that were in the cache, when one is kept; asked when the prompt is answered."""
        if self.prompts is None or not isinstance(self.json, dict):
            return None
        return self.prompts.read(self.account.organization, self.model or "", self.json, self.now)

    def digest(self, length: int = 24) -> str:
        """Names this request: the same bytes for the same account give the same digest."""
        import hashlib

        material = f"{self.account.marker} {self.method} {self.seen.target} {self.seen.body_sha256}"
        return hashlib.sha256(material.encode()).hexdigest()[:length]
