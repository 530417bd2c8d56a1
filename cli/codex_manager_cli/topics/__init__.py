"""Short texts to read in a terminal; the pages in docs/ say more. `errors.txt` is made by docs/generate.py."""

from importlib import resources
from typing import Final


__all__ = ["TOPICS", "error_meaning", "text_of"]

TOPICS: Final = {
    "start": "from nothing to a tool that does not stop",
    "clients": "how a tool is led to the proxy",
    "routing": "which account serves a request, and what happens when it cannot",
    "money": "what is counted, and how limits are held",
    "secrets": "where keys are, and who sees them",
    "background": "in the background, as a service, after an upgrade",
    "files": "what lies where, and what may be deleted",
    "environment": "variables that are heeded",
    "exit-codes": "what the exit status says",
    "trouble": "when something is not as it should be",
    "errors": "every error code of the proxy's, with its cure",
}


def text_of(topic: str) -> str:
    """A topic's text."""
    return (resources.files(__name__) / f"{topic}.txt").read_text(encoding="utf-8").rstrip()


def error_meaning(code: str) -> str | None:
    """What an error code means and what to do; None for what is none."""
    paragraphs = text_of("errors").split("\n\n")
    return next((each for each in paragraphs if each.split("\n", 1)[0].split(" ", 1)[0] == code), None)
