"""What `python -m codex_manager.proxy` may be told on its command line, and how it would be started again.

Law: no secret is ever an argument.
"""

import argparse

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from codex_manager.config.address import Address
from codex_manager.proxy.log_lines import FORMATS


__all__ = ["LEVELS", "again", "options", "parsed"]

LEVELS = ("debug", "info", "warning", "error")


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The arguments; ends the process when they make no sense."""
    args = _parser().parse_args(arguments)
    args.log_level = args.log_level or ("debug" if args.verbose else None)
    return args


def options(args: argparse.Namespace) -> dict[str, tuple[str, Any]]:
    """The settings that were given, as `config.load` takes them."""
    given = {
        "proxy.bind_addr": ("--bind", args.bind),
        "web.address": ("--web-bind", args.web_bind),
        "web.open_browser": ("--no-browser", False if args.no_browser else None),
        "logging.level": ("--log-level", args.log_level),
        "logging.format": ("--log-format", args.log_format),
        "logging.file": ("--log-file", None if args.log_file is None else str(args.log_file)),
    }
    return {key: option for key, option in given.items() if option[1] is not None}


def again(args: argparse.Namespace, wanted: Address, bound: tuple[str, int]) -> tuple[str, ...]:
    """The arguments with which the same would serve at the same place; `wanted` is where it was to listen."""
    bind = args.bind if wanted.port else str(Address(*bound))
    given = {
        "--bind": bind,
        "--web-bind": args.web_bind,
        "--log-level": args.log_level,
        "--log-format": args.log_format,
    }
    flags = [flag for flag, is_given in (("--web", args.web), ("--no-browser", args.no_browser)) if is_given]
    return (*flags, *(word for option, text in given.items() if text is not None for word in (option, text)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m codex_manager.proxy", description="Serve the OpenAI API over your accounts."
    )
    parser.add_argument(
        "--bind", "-b", metavar="HOST:PORT", help="where to listen, for this run; port 0 takes a free one"
    )
    parser.add_argument("--verbose", "-v", action="store_true", help="as --log-level debug")
    parser.add_argument("--log-level", choices=LEVELS, help="what is said")
    parser.add_argument("--log-format", choices=FORMATS, help="lines for people, or an object a line")
    parser.add_argument("--log-file", type=Path, metavar="FILE", help="write it there, too")
    parser.add_argument(
        "--detached", action="store_true", help="nobody is at a terminal: stdout and stderr lead to the log's file"
    )
    parser.add_argument("--service", action="store_true", help="whoever started this starts it again when it ends")
    parser.add_argument(
        "--report", type=Path, metavar="FILE", help="write there, as JSON, where it serves or why it does not"
    )
    parser.add_argument("--port-file", type=Path, metavar="FILE", help="write the port there once serving")
    parser.add_argument("--ready-fd", type=int, metavar="N", help="write the port to this file descriptor once serving")
    parser.add_argument(
        "--listen-fd", type=int, metavar="N", help="accept on this file descriptor, a socket that listens already"
    )
    parser.add_argument("--while-used", action="store_true", help="end once no `codex-manager run` uses it any more")
    parser.add_argument("--web", action="store_true", help="serve mitmweb and the dashboard, too")
    parser.add_argument("--web-bind", metavar="HOST:PORT", help="where, for this run; port 0 takes a free one")
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser")
    parser.add_argument("--master-key-stdin", action="store_true", help="read the vault's master key from stdin")
    return parser
