"""`python -m codex_manager_cli.tui.starter`: starts the proxy in the background for the terminal's page, and ends.

A process of its own between the two, so that the proxy is nobody's child: who starts it here need not wait for its end. Law: the
master key, where a person has typed it, comes as the first line of stdin and goes on by a pipe. Its answer is one line of JSON.
"""

import json
import os
import sys

from codex_manager.config.paths import Paths
from codex_manager.core.errors import CodexManagerError
from codex_manager.core.secret import Secret
from codex_manager_cli import background
from codex_manager_cli.proxy import options_of


__all__ = ["main"]


def main(arguments: list[str]) -> int:
    """Start it with these arguments of the proxy; always 0, the answer says how it went."""
    key = sys.stdin.readline().rstrip("\n")
    paths = Paths.locate()
    try:
        log = background.log_file(paths, os.environ, options_of(arguments))
        started = background.start(paths, arguments, os.environ, log=log, master_key=Secret(key) if key else None)
    except CodexManagerError as error:
        told = {"error": str(error), "hint": error.hint}
    else:
        told = {"address": started.address}
    sys.stdout.write(json.dumps(told) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
