"""Owns the terminal: what is data, what is talk, and how an error is told.

Rules: data goes to stdout, talk to stderr. Talk starts with `codex-manager:`, in lower case, without a full stop.
An error is one sentence; what to do about it is a second line that starts with `hint:`. What nobody expected is one
sentence too; its traceback is for CODEX_MANAGER_DEBUG=1. Secrets are read from the
terminal without echo, or from stdin when the argument is `-`; they are never printed.
"""

import io
import json
import os
import sys

from typing import Any, NoReturn

import click

from codex_manager.core.errors import CodexManagerError
from codex_manager.core.secret import Secret, mask_keys


__all__ = [
    "COMPLETION_VARIABLE",
    "DEBUG_VARIABLE",
    "UserError",
    "emit_json",
    "fail",
    "read_secret",
    "run",
    "say",
    "warn",
]

COMPLETION_VARIABLE = "_CODEX_MANAGER_COMPLETE"
"""Set by the completion scripts; the same under both program names."""
DEBUG_VARIABLE = "CODEX_MANAGER_DEBUG"


class UserError(CodexManagerError):
    """Something the user can mend. `hint` says how; `exit_code` as in `main`."""


def say(text: str) -> None:
    """Tell the user something that is not data."""
    click.echo(f"codex-manager: {text}", err=True)


def warn(text: str) -> None:
    """Tell the user something they should know before it hurts."""
    click.echo(f"codex-manager: warning: {text}", err=True)


def emit_json(data: Any) -> None:
    """Print data for programs: one JSON document, keys in the order given."""
    click.echo(json.dumps(data, indent=2, ensure_ascii=False))


def fail(message: str, *, hint: str | None = None, exit_code: int = 1) -> NoReturn:
    """Give up with one sentence."""
    raise UserError(message, hint=hint, exit_code=exit_code)


def read_secret(what: str, argument: str | None) -> Secret:
    """A secret from stdin (`-`) or, with no argument, from the terminal without echo.

    Raises:
        UserError: there is no terminal to ask on, or nothing was entered.
    """
    if argument == "-":
        text = sys.stdin.readline().strip() if not sys.stdin.isatty() else click.prompt(what, hide_input=True, err=True)
    elif argument is not None:
        text = argument.strip()
    elif not sys.stdin.isatty():
        fail(f"no {what} given and no terminal to ask on", hint="pipe it in and give `-` as the argument", exit_code=2)
    else:
        text = click.prompt(what, hide_input=True, err=True)
    if not text:
        fail(f"the {what} is empty", exit_code=2)
    return Secret(text)


def run(command: click.Command, args: list[str] | None = None) -> int:
    """Run a click command and turn every outcome into an exit status; expected errors never show a traceback."""
    try:
        result = command.main(args=args, prog_name=_program(), complete_var=COMPLETION_VARIABLE, standalone_mode=False)
        sys.stdout.flush()
    except (click.exceptions.Abort, KeyboardInterrupt):
        click.echo("codex-manager: stopped", err=True)
        return 130
    except click.ClickException as error:
        shown = io.StringIO()
        error.show(shown)  # it quotes arguments, and one of them may be a key in the wrong place
        click.echo(mask_keys(shown.getvalue()), err=True, nl=False)
        return error.exit_code
    except CodexManagerError as error:
        _tell(str(error), error.hint)
        return error.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads on; do not complain at exit
        return 1
    except OSError as error:
        _tell(_trouble(error), _DEBUG_HINT)
        return _unexpected(error)
    except Exception as error:  # noqa: BLE001 - the last line of defence: a sentence, whatever happened
        # the text of the exception stays out: nobody vouches that it holds no secret
        import traceback

        from pathlib import Path

        where = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(where.filename).stem} line {where.lineno}"
        _tell(f"internal error ({type(error).__name__} in {place}), which is a mistake of ours", _DEBUG_HINT)
        return _unexpected(error)
    return result if isinstance(result, int) else 0


_DEBUG_HINT = f"run it again with {DEBUG_VARIABLE}=1 for a traceback"


def _debugging() -> bool:
    return os.environ.get(DEBUG_VARIABLE, "") not in {"", "0"}


def _unexpected(error: Exception) -> int:
    """The traceback for those who asked for it: places and the exception's own text, never local variables."""
    if _debugging():
        import traceback

        traceback.print_exception(error, file=sys.stderr)
    return 1


def _trouble(error: OSError) -> str:
    """What the system refused, and for which file."""
    name = error.filename.decode(errors="replace") if isinstance(error.filename, bytes) else error.filename
    reason = (error.strerror or type(error).__name__).lower()
    return f"{name}: {reason}" if name else f"the system refused something: {reason}"


def _program() -> str:
    name = os.path.basename(sys.argv[0])  # noqa: PTH119 - argv[0] is text, not a path we touch
    return name if name in {"codex-manager", "codex-account-manager"} else "codex-manager"


def _tell(error: str, hint: str | None) -> None:
    click.echo(f"codex-manager: error: {error}", err=True)
    if hint:
        click.echo(f"codex-manager: hint: {hint}", err=True)
