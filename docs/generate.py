"""Writes the reference pages from the program: docs/cli.md, docs/configuration.md and docs/errors.md, and the topic `errors` of `help`.

    python docs/generate.py           writes them
    python docs/generate.py --check   says which are out of date, and fails if one is

Law: nothing that the program knows is written here. What it cannot know — a sentence on each error code — is in
`docs/error_meanings.py`, and a code without a sentence stops the run.
"""

import ast
import sys
import textwrap

from collections.abc import Iterator
from pathlib import Path


ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / name) for name in ("addon", "cli", "certs", "docs")]  # works in a bare checkout, too

import click  # noqa: E402 - these come after the path that is set above

from error_meanings import MEANINGS  # noqa: E402

from codex_manager.config.catalogue import PRICE_FIELDS, PRICES, SECTIONS, SETTINGS, Setting  # noqa: E402
from codex_manager.config.splice import as_yaml  # noqa: E402
from codex_manager.config.template import template  # noqa: E402
from codex_manager.core import openai_error  # noqa: E402
from codex_manager.core.secret import Secret  # noqa: E402
from codex_manager_cli.main import cli  # noqa: E402


NOTE = "<!-- Made by docs/generate.py from the program itself; change that, not this. -->\n"
CONFIGURATION_INTRODUCTION = """\
Settings are read from `config.yaml` (`codex-manager config path` says where it is), then from environment variables, then from
the command line; what comes later wins. Everything has a default, so the file may be missing or empty.

A running proxy takes a change of the file over within two seconds, unless the table says *restart*. A file that is not valid
is not taken over: the proxy says what is wrong, in one sentence with file, line and key, and goes on with what it had.

    codex-manager config show --origin                    all settings, and where each value comes from
    codex-manager config set routing.strategy priority    comments in the file stay
    codex-manager config edit                             opens an editor; checked before it takes effect
    codex-manager config validate                         all mistakes at once
    codex-manager config import config.toml               takes over a configuration of codex-account-manager

The value of an environment variable is written as in YAML (`true`, `250`, `[one, two]`); an empty one counts as not set, and
one that names no setting is an error. YAML anchors and aliases are not accepted. An IPv6 address needs quotes in YAML:
`bind_addr: "[::1]:8080"`.
"""
PRICES_INTRODUCTION = """\
The keys of this section are names of models, as requests say them:

    prices:
      gpt-5: {input: 1.25, cached_input: 0.125, output: 10}
      "ft:gpt-4.1-mini-2025-04-14:acme::B1x": {input: 0.8, output: 3.2}

    codex-manager config set prices.gpt-5 '{input: 1.25, cached_input: 0.125, output: 10}'
    codex-manager config unset prices.gpt-5

Prices of `gpt-5` count for its snapshots (`gpt-5-2025-08-07`), too. They take effect at once, and there are no environment
variables for them. What a model costs without them, and which of them are missing, says `codex-manager prices MODEL`; how
prices are found is told in [money](money.md#prices).
"""
REFUSED = """\
- listening where other machines can reach it while `proxy.api_key` is a default one;
- an upstream that is not https, unless it is on this machine; one with a user name, a query or a fragment;
- an upstream or `upstream.proxy` that is this proxy itself;
- an `upstream.ca_file` that is missing or holds no certificates;
- `limits.replay_body_mib` above `limits.max_body_mib`.
"""
ERRORS_INTRODUCTION = """\
What OpenAI answers reaches the client as it is, unless another account could serve. When codex-manager itself has to say no,
the answer has OpenAI's shape, `{"error": {"message", "type", "param", "code"}}`, so that SDKs raise the exception they would
raise for OpenAI; the message says what happened and what to do. The last column is the `x-should-retry` header, which the
official SDKs obey.
"""
WIDTH = 100  # characters of a help text; what `codex-manager --help` uses at most


def main(arguments: list[str]) -> int:
    """Write or check all pages."""
    pages = {
        "docs/cli.md": cli_page,
        "docs/configuration.md": configuration_page,
        "docs/errors.md": errors_page,
        "cli/codex_manager_cli/topics/errors.txt": errors_topic,
    }
    stale = []
    for name, page in pages.items():
        path = ROOT / name
        text = page()
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if "--check" not in arguments:
            path.write_text(text, encoding="utf-8")
    if "--check" not in arguments:
        print(f"written: {', '.join(stale) or 'nothing new'}")
        return 0
    for name in stale:
        print(f"{name} is out of date; run: python docs/generate.py", file=sys.stderr)
    return 1 if stale else 0


def commands() -> Iterator[tuple[str, click.Command, click.Context]]:
    """Every command with its full name, groups before what is in them."""
    yield from _walk("codex-manager", cli, None)


def _walk(
    name: str, command: click.Command, parent: click.Context | None
) -> Iterator[tuple[str, click.Command, click.Context]]:
    settings = {**command.context_settings, "terminal_width": WIDTH, "max_content_width": WIDTH}
    context = click.Context(command, parent, info_name=name, **settings)
    yield context.command_path, command, context
    if isinstance(command, click.Group):
        for child in command.list_commands(context):
            try:
                found = command.get_command(context, child)
            except (ImportError, AttributeError) as error:
                sys.exit(
                    f"docs/generate.py: `{context.command_path} {child}` is in the table of commands but cannot be loaded: {error}"
                )
            assert found is not None
            yield from _walk(child, found, context)


def cli_page() -> str:
    """docs/cli.md: what `--help` says, for every command."""
    parts = [
        NOTE,
        "# Command line\n",
        "Data goes to stdout, everything else to stderr; what reads has `--json`. `codex-account-manager` is the same program.\n",
        _table(
            ("exit status", "meaning"),
            [
                ("0", "done"),
                ("1", "failed; one sentence says why"),
                ("2", "used wrongly"),
                ("3", "the vault is locked, or the master key is wrong or missing"),
                ("130", "stopped with Ctrl-C"),
            ],
        ),
        _table(
            ("environment variable", "meaning"),
            [
                (
                    "`CAM_MASTER_KEY`",
                    "the vault's master key; without it the system's keyring is asked, then the terminal",
                ),
                (
                    "`CREDENTIALS_DIRECTORY`",
                    "set by systemd for a service: the file `master-key` in it is the master key",
                ),
                ("`CODEX_MANAGER_HOME`", "one folder for configuration and data, instead of the system's places"),
                ("`CODEX_MANAGER__SECTION__KEY`", "overrides a setting: [configuration](configuration.md)"),
                ("`CODEX_MANAGER_DEBUG`", "`1` shows a traceback with an internal error, as `--debug` does"),
                ("`VISUAL`, `EDITOR`", "the editor for `config edit`"),
            ],
        ),
    ]
    for name, command, context in commands():
        level = min(len(name.split()) + 1, 4)
        parts.append(f"{'#' * level} {name}\n")
        parts.append(f"```text\n{command.get_help(context).rstrip()}\n```\n")
    return "\n".join(parts)


def configuration_page() -> str:
    """docs/configuration.md: every setting."""
    parts = [
        NOTE,
        "# Configuration\n",
        CONFIGURATION_INTRODUCTION,
    ]
    for section, about in SECTIONS.items():
        parts += [f"## {section}\n", f"{about}\n"]
        if section == PRICES:
            parts += [PRICES_INTRODUCTION, _table(("price", "US dollars for"), _price_rows())]
            continue
        rows = [_setting_row(setting) for setting in SETTINGS.values() if setting.section == section]
        parts.append(_table(("key", "default", "unit", "takes effect", "meaning", "environment variable"), rows))
    parts += [
        "## What is refused\n",
        REFUSED,
        "## The starter file\n",
        "`codex-manager init` and `codex-manager config reset` write this:\n",
        f"```yaml\n{template().rstrip()}\n```\n",
    ]
    return "\n".join(parts)


def _price_rows() -> list[tuple[str, ...]]:
    return [(f"`{name}`", meaning) for name, meaning in PRICE_FIELDS.items()]


def _setting_row(setting: Setting) -> tuple[str, ...]:
    default = setting.default.reveal() if isinstance(setting.default, Secret) else setting.default
    meaning = setting.description
    if setting.kind == "choice" and len(setting.choices) > 1:
        meaning += f" One of {', '.join(f'`{choice}`' for choice in setting.choices)}."
    if setting.low is not None and setting.high is not None:
        meaning += f" {_number(setting.low)} to {_number(setting.high)}."
    effect = "at once" if setting.hot else "restart"
    return f"`{setting.key}`", f"`{as_yaml(default)}`", setting.unit, effect, meaning, f"`{setting.variable}`"


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else str(value)


def error_codes() -> dict[str, set[int]]:
    """Every error code the proxy can send, with its statuses, read off the calls that make error answers."""
    known = {name: value for name, value in vars(openai_error).items() if name.isupper() and isinstance(value, str)}
    codes: dict[str, set[int]] = {code: {advice.status} for code, advice in openai_error.ADVICE.items()}
    place = {"refuse": 1, "fault": 2, "_body": 2}  # position of the code; the status is the first argument
    for path in sorted((ROOT / "addon" / "codex_manager").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            function = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            position = place.get(function, 99)
            given = [node.args[position]] if position < len(node.args) else []
            if function == "error_body":
                given += [keyword.value for keyword in node.keywords if keyword.arg == "code"]
            for expression in given:
                for code in _words(expression, known):
                    status = node.args[0].value if isinstance(node.args[0], ast.Constant) else None
                    codes.setdefault(code, set()).update({status} if isinstance(status, int) else set())
    return codes


def _words(expression: ast.expr, known: dict[str, str]) -> Iterator[str]:
    if isinstance(expression, ast.Constant) and isinstance(expression.value, str):
        yield expression.value
    elif isinstance(expression, ast.Name) and expression.id in known:
        yield known[expression.id]
    elif isinstance(expression, ast.IfExp):
        yield from _words(expression.body, known)
        yield from _words(expression.orelse, known)


def error_rows() -> Iterator[tuple[str, tuple[int, ...], str, str, str]]:
    """Code, statuses, what happened, what to do, and `x-should-retry`, of every error of ours."""
    codes = error_codes()
    if missing := sorted(set(codes) - set(MEANINGS)):
        sys.exit(f"docs/generate.py: docs/error_meanings.py says nothing about {', '.join(missing)}")
    if unknown := sorted(set(MEANINGS) - set(codes)):
        sys.exit(f"docs/generate.py: docs/error_meanings.py explains what is never sent: {', '.join(unknown)}")
    for code in sorted(codes):
        advice = openai_error.ADVICE.get(code)
        statuses = MEANINGS[code].statuses or tuple(sorted(codes[code]))
        retry = {True: "yes", False: "no", None: ""}[advice.should_retry if advice else None]
        yield code, statuses, MEANINGS[code].meaning, (advice.cure if advice else "") or MEANINGS[code].cure, retry


def errors_page() -> str:
    """docs/errors.md: what the proxy itself can answer."""
    rows = [
        (f"`{code}`", ", ".join(map(str, statuses)), meaning, cure, retry)
        for code, statuses, meaning, cure, retry in error_rows()
    ]
    return "\n".join([
        NOTE,
        "# Errors\n",
        ERRORS_INTRODUCTION,
        _table(("code", "status", "what happened", "what to do", "retry"), rows),
    ])  # fmt: skip


def errors_topic() -> str:
    """The same for `codex-manager help errors`, and of each code for `help CODE`."""
    parts = ["ERRORS: every error code of the proxy's, with its cure"]
    for code, statuses, meaning, cure, _ in error_rows():
        text = textwrap.fill(meaning, 84, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)
        advice = textwrap.fill(cure, 84, initial_indent="  cure: ", subsequent_indent="  ", break_on_hyphens=False)
        parts.append(f"{code} ({', '.join(map(str, statuses))})\n{text}\n{advice}")
    return "\n\n".join([*parts, "More: docs/troubleshooting.md, docs/errors.md"]) + "\n"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines) + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
