"""What is known of the programs people start with `run`: how each can be led to the proxy, and why that way.

Pure: looks at the words of a command, never at files. Facts are measured (docs/run.md names the versions).
Law: what is not known goes by base URL, as OpenAI's own SDKs do; a way the user asked for is always taken.
"""

import re
import shlex

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal


__all__ = ["Choice", "Way", "choose", "recognise"]

type Way = Literal["base-url", "proxy"]

CODEX_PROVIDER = "codex-manager"
SHELLS = frozenset({"sh", "bash", "zsh", "dash", "ksh", "fish"})
PREFIXES = frozenset({"env", "nohup", "time"})
"""Programs that start the rest of their command line."""
RUNNERS: Mapping[str, frozenset[str]] = {
    "npx": frozenset(),
    "bunx": frozenset(),
    "uvx": frozenset(),
    "npm": frozenset({"exec", "x"}),
    "pnpm": frozenset({"dlx", "exec"}),
    "yarn": frozenset({"dlx", "exec"}),
    "bun": frozenset({"x"}),
    "uv": frozenset({"run"}),
    "pipx": frozenset({"run"}),
    "poetry": frozenset({"run"}),
}
"""Programs that start a package: the word that makes them do so; none for those that do nothing else."""
RUNNER_VALUES = frozenset({"-p", "--package", "--from", "--with", "--python", "--spec"})
"""Their options whose value is the next word."""
ALIASES = {"opencode-ai": "opencode", "aider-chat": "aider", "python3": "python", "pypy": "python", "nodejs": "node"}


@dataclass(frozen=True, slots=True)
class Guest:
    """One program."""

    way: Way
    why: str
    """Follows "because"."""
    by_argument: Callable[[str], tuple[str, ...]] | None = None
    """The arguments that tell it the base URL, when no variable does."""
    taken_by: str = "(?!)"
    """How a word of its arguments begins by which the user has chosen a provider already (a pattern)."""
    proxy_caveat: str = ""
    """What does not work through a proxy."""


def _codex(base_url: str) -> tuple[str, ...]:
    """A provider of our own, with OpenAI's name: it needs no sign-in and keeps all of Codex's tools."""
    provider = f'{{name="OpenAI",base_url="{base_url}",env_key="OPENAI_API_KEY",wire_api="responses"}}'
    return (
        "-c",
        f'model_provider="{CODEX_PROVIDER}"',
        "-c",
        f"model_providers.{CODEX_PROVIDER}={provider}",
    )


_SDK = "OpenAI's SDKs read OPENAI_BASE_URL"
_NODE = Guest(
    "base-url",
    "OpenAI's SDK reads OPENAI_BASE_URL and Node's WebSockets go past any proxy",
    proxy_caveat="Node before version 24 ignores HTTPS_PROXY, and its WebSockets go past any proxy",
)
_URL_TAKER = Guest("proxy", "its URL is an argument, so no variable leads it elsewhere")

GUESTS: Mapping[str, Guest] = {
    "codex": Guest(
        "base-url",
        "Codex ignores OPENAI_BASE_URL and takes the provider from its command line",
        by_argument=_codex,
        taken_by=r"(?:-c|--config=)?(?:model_providers?(?:\.[\w.-]+)?|openai_base_url)=|--oss\Z|--local-provider\b",
        proxy_caveat="Codex's own screen asks for a sign-in unless it has one; `codex exec` does not",
    ),
    "opencode": Guest("base-url", "OpenCode reads OPENAI_BASE_URL"),
    "aider": Guest("base-url", "aider reads OPENAI_API_BASE"),
    "litellm": Guest("base-url", "LiteLLM reads OPENAI_BASE_URL and OPENAI_API_BASE"),
    "llm": Guest("base-url", "llm reads OPENAI_BASE_URL"),
    "openai": Guest("base-url", _SDK),
    "python": Guest("base-url", _SDK),
    **dict.fromkeys(("node", "npm", "npx", "pnpm", "yarn", "bun", "bunx", "tsx", "ts-node", "deno"), _NODE),
    **dict.fromkeys(("curl", "wget", "http", "https", "xh", "xhs"), _URL_TAKER),
}
UNKNOWN = Guest("base-url", "it is not a program known here, and most read OPENAI_BASE_URL")
SHELL = Guest("base-url", "what a shell starts is not known, and most programs read OPENAI_BASE_URL")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """How a command is led to the proxy."""

    name: str
    """The program's name, as usage is reported."""
    way: Way
    why: str
    caveat: str = ""
    command: tuple[str, ...]
    _place: int | None = field(default=None)
    _by_argument: Callable[[str], tuple[str, ...]] | None = field(default=None)

    def with_base_url(self, base_url: str) -> tuple[str, ...]:
        """The command, with the base URL in its arguments if that is how the program is told."""
        if self._by_argument is None or self._place is None or self.way != "base-url":
            return self.command
        cut = self._place + 1
        return (*self.command[:cut], *self._by_argument(base_url), *self.command[cut:])


@dataclass(frozen=True, slots=True)
class Recognised:
    """The program a command line comes down to."""

    name: str
    place: int | None
    """Which word of the command names it; None when it is inside a word."""


def choose(command: Sequence[str], via: Literal["base-url", "proxy", "auto"]) -> Choice:
    """The way for this command. `auto` takes the one that works."""
    found = recognise(command)
    guest = GUESTS.get(found.name, SHELL if found.name in SHELLS else UNKNOWN)
    words = tuple(command)
    way: Way = guest.way if via == "auto" else via
    why = guest.why if via == "auto" else "--via says so"
    by_argument = guest.by_argument
    if by_argument is not None and way == "base-url":
        given = [word for word in words if re.match(guest.taken_by, word)]
        if found.place is None or given:
            by_argument = None
            if via == "auto":
                way = "proxy"
                why = (
                    "its command line chooses a provider already"
                    if given
                    else "inside a shell command it cannot be given a provider"
                )
    caveat = ""
    if way == "proxy":
        caveat = guest.proxy_caveat
    elif guest.way == "proxy":
        caveat = "it does not read OPENAI_BASE_URL by itself: use $OPENAI_BASE_URL in its arguments"
    elif guest.by_argument is not None and by_argument is None:
        caveat = "Codex ignores OPENAI_BASE_URL"
    return Choice(
        name=found.name, way=way, why=why, caveat=caveat, command=words, _place=found.place, _by_argument=by_argument
    )


def recognise(command: Sequence[str]) -> Recognised:
    """Look through the programs that only start another one."""
    place = 0
    while True:
        name = _name(command[place])
        rest = range(place + 1, len(command))
        if name in PREFIXES:
            following = next((n for n in rest if not command[n].startswith("-") and "=" not in command[n]), None)
        elif name in RUNNERS:
            following = _package(command, place)
        elif name in {"python", "node"}:
            inner = _script(command, place)
            return inner if inner is not None else Recognised(name, place)
        elif name in SHELLS:
            inner = _in_shell(command, place)
            return inner if inner is not None else Recognised(name, place)
        else:
            return Recognised(name, place)
        if following is None:
            return Recognised(name, place)
        place = following


def _name(word: str) -> str:
    """`/usr/bin/python3.13` is `python`, `@openai/codex@latest` is `codex`, `Codex.cmd` is `codex`."""
    last = re.split(r"[/\\]", word.rstrip("/\\"))[-1].lower()
    last = last.partition("@")[0] or last
    last = re.sub(r"\.(?:exe|cmd|bat|ps1)$", "", last)
    last = re.sub(r"^(python|pypy)\d+(?:\.\d+)*t?$", "python", last)
    return ALIASES.get(last, last)


def _package(command: Sequence[str], place: int) -> int | None:
    """Which word names the package that a runner starts."""
    verbs = RUNNERS[_name(command[place])]
    at = place + 1
    while at < len(command):
        word = command[at]
        if word in RUNNER_VALUES:
            at += 2
        elif word.startswith("-"):
            at += 1
        elif verbs and word in verbs:
            verbs = frozenset()
            at += 1
        else:
            return None if verbs else at
    return None


def _script(command: Sequence[str], place: int) -> Recognised | None:
    """A program known here that an interpreter runs: `python -m aider`, `node …/codex.js`."""
    for at in range(place + 1, len(command)):
        word = command[at]
        if word == "-m" and at + 1 < len(command):
            known = _name(command[at + 1])
            return Recognised(known, at + 1) if known in GUESTS else None
        if not word.startswith("-"):
            known = re.sub(r"\.(?:py|js|mjs|cjs)$", "", _name(word))
            return Recognised(known, at) if known in GUESTS else None
        if word in {"-c", "-e"}:
            return None
    return None


def _in_shell(command: Sequence[str], place: int) -> Recognised | None:
    """A program known here that is the first word of `sh -c '…'`."""
    options = command[place + 1 : -1]
    if not any(re.fullmatch(r"-[a-z]*c[a-z]*", word) for word in options):
        return None
    text = command[next(n for n in range(place + 1, len(command)) if re.fullmatch(r"-[a-z]*c[a-z]*", command[n])) + 1]
    try:
        words = shlex.split(text)
    except ValueError:
        return None
    words = [word for word in words if "=" not in word] if words and "=" in words[0] else words
    if not words:
        return None
    known = recognise(words).name
    return Recognised(known, None) if known in GUESTS else None
