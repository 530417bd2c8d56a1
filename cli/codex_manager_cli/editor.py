"""Opens a file in the user's editor and waits for it."""

import os
import shlex
import shutil
import subprocess

from pathlib import Path

from codex_manager_cli.talk import fail


__all__ = ["open_editor"]

_USUAL = ("sensible-editor", "nano", "vim", "vi", "notepad.exe")


def open_editor(path: Path) -> None:
    """Run $VISUAL, else $EDITOR, else an editor that is usually there.

    Raises:
        UserError: there is none, or it ended with an error; the hint says where the file is.
    """
    wanted = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    try:
        command = shlex.split(wanted, posix=os.name != "nt") if wanted else []
    except ValueError:
        fail("$VISUAL or $EDITOR is not a command: a quote is not closed", hint="for example: export EDITOR=nano")
    if not command:
        command = [name for name in _USUAL if shutil.which(name)][:1]
    if not command:
        fail("there is no editor: $VISUAL and $EDITOR are not set", hint="for example: export EDITOR=nano")
    try:
        status = subprocess.run([*command, str(path)], check=False).returncode  # noqa: S603 - the user's own editor
    except OSError as error:
        fail(f"the editor {command[0]} does not start: {(error.strerror or str(error)).lower()}", hint="check $EDITOR")
    if status:
        fail(f"the editor ended with status {status}, so nothing was changed", hint=f"your version is kept in {path}")
