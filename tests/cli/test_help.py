"""`help`: topics that are there and true, error codes, commands."""

import re
import subprocess
import sys

from pathlib import Path

import click
import pytest

from tests.cli import console

from codex_manager.config.catalogue import SETTINGS
from codex_manager_cli.main import COMMANDS, cli
from codex_manager_cli.topics import TOPICS, error_meaning, text_of


ROOT = Path(__file__).parents[2]


def commands_in(text):
    """`codex-manager …` in it, as words up to the first that is no word of a command."""
    for line in re.findall(r"(?:`|^ {4})codex-manager ([a-z][^`\n)]*)", text, re.MULTILINE):
        yield line.split("#")[0].split()


@pytest.mark.parametrize("topic", TOPICS)
def test_a_topic_is_short_and_says_only_what_there_is(topic):
    text = text_of(topic)
    assert console.run("help", topic).out == f"{text}\n"
    assert text.startswith(f"{topic.upper()}: {TOPICS[topic]}\n")
    assert all(len(line) <= 90 for line in text.splitlines())
    assert topic == "errors" or len(text.splitlines()) <= 30
    for page in re.findall(r"docs/\S+\.md", text):
        assert (ROOT / page).exists(), page
    for key in re.findall(r"\b(?:routing|upstream|proxy)\.[a-z_]+\b", text):
        assert key in SETTINGS or key.endswith((".log", ".json", ".token", ".lock", ".db", ".md")), key
    for words in commands_in(text):
        command: click.Command | None = cli
        for word in words:
            if not isinstance(command, click.Group):
                break
            found = command.get_command(click.Context(command), word)
            if found is None:
                assert command is not cli or word in {"help"}, words
                break
            command = found
            options = {option for parameter in found.params for option in (*parameter.opts, *parameter.secondary_opts)}
        given = [word.partition("=")[0] for word in words if word.startswith("--") and word != "--"]
        assert set(given) <= options | {"--help"}, words


def test_topics_and_commands_do_not_share_a_name():
    assert not set(TOPICS) & set(COMMANDS)
    assert {path.stem for path in (ROOT / "cli/codex_manager_cli/topics").glob("*.txt")} == set(TOPICS)


def test_without_a_word_it_lists_the_topics():
    done = console.run("help")
    assert done.status == 0
    assert all(f"  {topic} " in done.out for topic in TOPICS)


def test_an_error_code_is_explained():
    done = console.run("help", "vault_locked")
    assert (done.status, done.out.splitlines()[0]) == (0, "vault_locked (503)")
    assert "codex-manager vault unlock" in done.out
    assert error_meaning("nothing") is None


def test_a_command_shows_its_help():
    assert console.run("help", "vault", "rekey").out == console.run("vault", "rekey", "--help").out
    assert console.run("help", "proxy").out == console.run("proxy", "--help").out


@pytest.mark.parametrize(
    ("word", "hint"), [("vualt", "help vault"), ("rooting", "help routing"), ("zzz", "lists the topics")]
)
def test_what_is_none_is_answered_with_what_may_be_meant(word, hint):
    done = console.run("help", word)
    assert (done.status, hint in done.err) == (2, True)
    assert console.run("help", "vault", "nothing").status == 2


def test_it_is_as_light_as_help():
    code = (
        "import sys; from codex_manager_cli import talk; from codex_manager_cli.main import cli; talk.run(cli, ['help', 'routing']);"
        "sys.stderr.write(' '.join(m for m in ('pydantic', 'mitmproxy', 'textual', 'cryptography', 'aiohttp') if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stderr == ""
