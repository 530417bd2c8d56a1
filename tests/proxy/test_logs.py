"""What is said reaches stderr, file and memory, each in its form, from the first moment on."""

import json
import logging

import pytest

from codex_manager.config.schema import LoggingSection
from codex_manager.core.errors import CodexManagerError
from codex_manager.proxy.control import Question
from codex_manager.proxy.logs import Logs, fail, say


@pytest.fixture(autouse=True)
def _logging_as_it_was():
    loggers = [logging.getLogger(name) for name in (None, "codex_manager", "asyncio")]
    before = [(each, each.level, list(each.handlers)) for each in loggers]
    yield
    for each, level, handlers in before:
        each.setLevel(level)
        for handler in set(each.handlers) - set(handlers):
            each.removeHandler(handler)
            handler.close()
        each.handlers[:] = handlers


def remembered(logs):
    return [(line["level"], line["message"]) for line in logs.memory.page(Question())["lines"]]


def test_a_terminal_gets_what_people_read(capsys):
    logs = Logs()
    say("listening")
    logging.getLogger("codex_manager.x").debug("not wanted")
    logging.getLogger("mitmproxy").info("not wanted")
    logging.getLogger("mitmproxy").warning("wanted")
    fail(CodexManagerError("the vault is locked", hint="unlock it"))
    assert capsys.readouterr().err.splitlines() == [
        "codex-manager: listening",
        "codex-manager: wanted",
        "codex-manager: error: the vault is locked",
        "codex-manager: hint: unlock it",
    ]
    assert remembered(logs) == [
        ("info", "listening"), ("warning", "wanted"), ("critical", "the vault is locked; unlock it"),
    ]  # fmt: skip


def test_programs_get_an_object_a_line(capsys):
    Logs(form="json")
    say("listening")
    fail(CodexManagerError("no", hint="yes"))
    told = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(each["level"], each["logger"], each["message"]) for each in told] == [
        ("info", "codex_manager", "listening"), ("critical", "codex_manager", "no; yes"),
    ]  # fmt: skip


def test_what_the_configuration_wants_is_taken_over(tmp_path, capsys):
    logs = Logs()
    assert logs.file is None
    file = tmp_path / "a.log"
    logs.follow(LoggingSection(level="warning", format="json", file=str(file)))
    say("not wanted any more")
    logging.getLogger("codex_manager.x").warning("wanted")
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["message"] == "wanted"
    assert file.read_text() == f"{line}\n"
    assert logs.file == file


def test_why_it_ends_is_said_at_every_level(capsys):
    Logs(level="error")
    fail(CodexManagerError("no"))
    assert capsys.readouterr().err == "codex-manager: error: no\n"


def test_a_file_that_cannot_be_is_a_sentence(tmp_path):
    with pytest.raises(CodexManagerError, match="cannot be written"):
        Logs().follow(LoggingSection(file=str(tmp_path / "no" / "a.log")))
