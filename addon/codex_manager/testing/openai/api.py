"""The table of endpoints: which path and method is answered by which function, and what each demands first."""

import re

from collections.abc import Callable

from codex_manager.testing.openai import administration, errors, generation, inside, media, secrets, storage
from codex_manager.testing.openai.request import Facts
from codex_manager.testing.openai.shelf import Shelf
from codex_manager.testing.reply import Reply
from codex_manager.testing.step import Good


__all__ = ["MODEL_ENDPOINTS", "Api"]

type Endpoint = Callable[[Facts, Good], Reply]

MODEL_ENDPOINTS = frozenset({
    "/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/responses/compact", "/v1/embeddings", "/v1/images/generations", "/v1/images/edits",
    "/v1/images/variations", "/v1/moderations", "/v1/audio/speech", "/v1/audio/transcriptions", "/v1/audio/translations",
})  # fmt: skip
"""POSTs that run a model: these are rate limited and carry x-ratelimit-* headers."""

MODEL_OPTIONAL = frozenset({"/v1/moderations", "/v1/images/generations", "/v1/images/edits", "/v1/images/variations"})


class Api:
    """The good answers of one server; its only state is the shelf of resources and the books of what was spent."""

    def __init__(self) -> None:
        self.shelf = Shelf()
        self.books = administration.Books()
        shelf = self.shelf
        self._table: list[tuple[str, re.Pattern[str], Endpoint]] = []
        for method, path, endpoint in (
            ("POST", "/v1/chat/completions", lambda f, g: storage.chat(f, g, shelf)),
            ("POST", "/v1/completions", generation.completion),
            ("POST", "/v1/responses", lambda f, g: generation.response(f, g, shelf)),
            ("POST", "/v1/responses/compact", lambda f, g: generation.compaction(f, g, shelf)),
            ("POST", "/v1/responses/input_tokens", generation.counted),
            ("POST", "/v1/embeddings", media.embeddings),
            ("POST", "/v1/moderations", media.moderation),
            ("POST", "/v1/images/generations", media.images),
            ("POST", "/v1/images/edits", media.images),
            ("POST", "/v1/images/variations", media.images),
            ("POST", "/v1/audio/speech", media.speech),
            ("POST", "/v1/audio/transcriptions", media.transcription),
            ("POST", "/v1/audio/translations", media.transcription),
            ("POST", "/v1/realtime/client_secrets", lambda f, g: secrets.client_secret(f, g, shelf)),
            ("POST", "/v1/realtime/sessions", lambda f, g: secrets.session(f, g, shelf)),
            ("GET", "/v1/models", storage.models),
            ("GET", "/v1/models/{id}", storage.model),
            *inside.routes(shelf),
            *storage.routes(shelf),
            *administration.routes(self.books),
        ):
            pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path))
            self._table.append((method, pattern, endpoint))
        self._exact = {(method, p.pattern): e for method, p, e in self._table if "(" not in p.pattern}

    def answer(self, facts: Facts, good: Good) -> Reply:
        """The good answer to a request, or the refusal it earned by its own fault."""
        administrative = facts.path.startswith("/v1/organization/")
        if administrative != facts.account.admin:
            return errors.missing_scope("api.usage.read" if administrative else "model.request")
        method = "GET" if facts.method == "HEAD" else facts.method
        endpoint = self._exact.get((method, facts.path))
        if endpoint is None:
            known = False
            for allowed, pattern, found in self._table:
                match = pattern.fullmatch(facts.path)
                if match is not None:
                    known = True
                    if allowed == method:
                        facts.extra = match.groupdict()
                        endpoint = found
                        break
            if endpoint is None:
                return (errors.method_not_allowed if known else errors.invalid_url)(facts.method, facts.path)
        if method == "POST" and (refusal := self._refuse_body(facts)) is not None:
            return refusal
        return endpoint(facts, good)

    @staticmethod
    def _refuse_body(facts: Facts) -> Reply | None:
        form = "multipart/" in facts.content_type
        if not form and facts.seen.body_size <= len(facts.seen.body) and not isinstance(facts.json, dict):
            return errors.invalid_json() if facts.seen.body or facts.path in MODEL_ENDPOINTS else None
        if facts.path not in MODEL_ENDPOINTS:
            return None
        if facts.model is None:
            return None if facts.path in MODEL_OPTIONAL else errors.missing_parameter("model")
        return None if facts.account.has(facts.model) else errors.model_missing(facts.model)
