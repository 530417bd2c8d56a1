"""What the program can do is documented, and the reference pages say what the program says."""

import importlib.util
import re
import subprocess
import sys

from pathlib import Path

import click
import pytest

from codex_manager.config.catalogue import SETTINGS


ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def generate():
    """The generator as a module; it adds folders to sys.path, which are taken out again."""
    before = list(sys.path)
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path[:] = before
    return module


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def test_the_reference_pages_are_up_to_date():
    result = subprocess.run(
        [sys.executable, DOCS / "generate.py", "--check"], capture_output=True, text=True, timeout=60, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")


def test_every_command_and_option_is_documented(generate):
    text = page("cli.md")
    for name, command, context in generate.commands():
        assert f"# {name}\n" in text, name
        assert command.get_help(context), name
        for parameter in command.get_params(context):
            if isinstance(parameter, click.Option) and not parameter.hidden:
                assert all(option in text for option in parameter.opts + parameter.secondary_opts), (
                    name,
                    parameter.opts,
                )
                assert parameter.help, f"{name} {parameter.opts[0]} has no help"


@pytest.mark.parametrize("key", SETTINGS)
def test_every_setting_is_documented(key):
    text = page("configuration.md")
    assert f"| `{key}` |" in text
    assert f"`{SETTINGS[key].variable}`" in text


def test_every_error_code_is_documented(generate):
    text = page("errors.md")
    codes = generate.error_codes()
    assert len(codes) > 10
    assert [code for code in codes if f"| `{code}` |" not in text] == []


def test_troubleshooting_has_a_cure_for_every_error_code(generate):
    """By hand, and longer than the table: so one that is new is missing until somebody has written it."""
    sections = dict(
        re.findall(r"^### `(\w+)`\n\n(.+?)(?=\n\n#|\Z)", page("troubleshooting.md"), re.MULTILINE | re.DOTALL)
    )
    assert set(sections) == set(generate.error_codes())
    for code, statuses, *_ in generate.error_rows():
        told = sections[code].partition(".")[0].partition(", on")[0]
        assert {int(each) for each in re.findall(r"\d{3}", told)} == set(statuses), code
        assert len(sections[code]) > 60, code


def test_troubleshooting_names_commands_and_settings_that_there_are(generate):
    text = page("troubleshooting.md") + page("service.md")
    known = {name for name, _, _ in generate.commands()}
    for word in re.findall(r"(?:`|^ *(?:\$ )?)codex-manager ([a-z]+)", text, re.MULTILINE):
        assert f"codex-manager {word}" in known, word
    sections = {key.partition(".")[0] for key in SETTINGS}
    for key in re.findall(r"`([a-z]+\.[a-z_]+)`", text):
        assert key in SETTINGS or key.partition(".")[0] not in sections, key


def test_links_between_pages_lead_somewhere():
    broken = [
        f"{path.name}: {target}"
        for path in [ROOT / "README.md", *DOCS.glob("*.md")]
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))
        if "://" not in target and not (path.parent / target).exists()
    ]
    assert broken == []
