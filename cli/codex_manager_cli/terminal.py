"""Asks a person for a secret, when there is a person.

Law: secrets are asked for on the terminal itself (/dev/tty), without echo, also while stdin carries something else;
where nobody can answer, nothing waits for an answer.
"""

import os
import sys

import click

from codex_manager.core.secret import Secret
from codex_manager_cli.talk import fail, say


__all__ = ["ask", "ask_new", "can_ask", "one_line_of_stdin", "secret"]

SECRET_MAX = 4096
"""Characters of a secret on stdin; the guard against a pipe that never ends."""


def can_ask() -> bool:
    """Whether somebody sits at a terminal that this process can reach."""
    if os.name == "nt":
        return sys.stdin.isatty()
    if not (sys.stdin.isatty() or sys.stderr.isatty()):
        return False
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:  # no controlling terminal: then only a terminal on stdin will do
        return sys.stdin.isatty()
    return True


def ask(what: str) -> str:
    """One secret, typed without echo."""
    answer = click.prompt(what, hide_input=True, err=True)
    assert isinstance(answer, str)
    return answer


def ask_new(what: str) -> Secret:
    """A new secret, typed twice; asks again while the two differ."""
    while True:
        first = ask(f"new {what}")
        if ask(f"the same {what} again") == first:
            return Secret(first)
        say("the two are not the same; try again")


def secret(what: str, argument: str | None) -> Secret:
    """An API key or the like: the argument itself, the next line of stdin for `-`, or without an argument the terminal.

    Raises:
        UserError: there is nobody to ask, or nothing to read.
    """
    if argument not in (None, "-"):
        return Secret(argument)
    if sys.stdin.isatty():
        return Secret(ask(what))
    if argument is None:
        fail(f"no {what} given and no terminal to ask on", hint="pipe it in and give `-` in its place", exit_code=2)
    return one_line_of_stdin(what)


def one_line_of_stdin(what: str) -> Secret:
    """The next line of stdin, without its line end.

    Raises:
        UserError: there is none, it is empty, or it is not text.
    """
    try:
        line = sys.stdin.readline(SECRET_MAX + 2)
    except UnicodeDecodeError:
        fail(f"the {what} on stdin is not UTF-8 text", exit_code=2)
    text = line.rstrip("\r\n")
    if not text:
        fail(f"there is no {what} on stdin", exit_code=2)
    if len(text) > SECRET_MAX:
        fail(f"the {what} on stdin is longer than {SECRET_MAX} characters", exit_code=2)
    return Secret(text)
