"""The prompt cache of the fake: what has been read from the beginning of a prompt is read cheaper the next time.

As the published guide has it: caches belong to an organization and a model; they hold the longest beginning that was read
before, from 1024 tokens on, in steps of 128; and one that nobody reads for a while is gone. Tools come before
instructions, instructions before what was said, so a conversation that goes on finds all of its earlier turns. About
four characters are a token, as everywhere in the fake.

Law: equal requests at equal times find equal numbers. What a real cache does by chance (it is kept by machine, and a
busy one forgets early) it does not do.
"""

import hashlib
import json

from collections.abc import Iterator
from typing import Any


__all__ = ["BLOCK", "CACHED_FROM", "PromptCache"]

CACHED_FROM = 1024
BLOCK = 128
"""OpenAI caches prompts from 1024 tokens on, in steps of 128."""
CHARACTERS = 4
"""Of a token."""
READ_ORDER = ("tools", "functions", "instructions", "prompt", "messages", "input")
MOST = 200_000
"""Beginnings; when there are more, those that have gone are swept out."""


class PromptCache:
    """All organizations' caches. The only state: when each beginning was read last."""

    def __init__(self, life_s: float) -> None:
        self._life_s = life_s
        self._read: dict[tuple[str, str, bytes], float] = {}

    def read(self, organization: str, model: str, body: dict[str, Any], now: float) -> int:
        """A prompt is read: how many of its tokens were in the cache. From now on all of them are."""
        found, number = 0, 0
        unbroken = True
        for digest in _beginnings(body):
            number += BLOCK
            if number < CACHED_FROM:
                continue
            key = organization, model, digest
            at = self._read.get(key)
            unbroken = unbroken and at is not None and now - at <= self._life_s
            if unbroken:
                found = number
            self._read[key] = now
        if len(self._read) > MOST:
            self._read = {key: at for key, at in self._read.items() if now - at <= self._life_s}
        return found


def _beginnings(body: dict[str, Any]) -> Iterator[bytes]:
    """A digest of each beginning of a prompt, one step longer each."""
    text = "".join(json.dumps(body[name], ensure_ascii=False) for name in READ_ORDER if body.get(name))
    size = BLOCK * CHARACTERS
    digest = hashlib.sha256()
    for end in range(size, len(text) + 1, size):
        digest.update(text[end - size : end].encode("utf-8", "surrogatepass"))
        yield digest.digest()
