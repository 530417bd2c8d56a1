"""A line of the log is one line and tells no key, whoever reads it."""

import json
import logging

import pytest

from codex_manager.proxy.control import Question
from codex_manager.proxy.log_lines import MEMORY, FileLines, JsonLines, Memory, TerminalLines


KEY = "sk-proj-0123456789abcdef"


def record(message="all is well", *args, level=logging.WARNING, error=None):
    made = logging.LogRecord(
        "codex_manager.proxy.x", level, __file__, 1, message, args, error and (type(error), error, None)
    )
    made.created = 1_795_003_200.25
    return made


def test_a_line_for_a_person_at_a_terminal_has_no_time():
    assert TerminalLines().format(record("%d left", 3)) == "codex-manager: 3 left"


def test_a_line_of_a_file_says_when_how_bad_and_who():
    assert FileLines().format(record()) == "2026-11-18T12:00:00.250Z warning codex_manager.proxy.x: all is well"


def test_a_line_for_programs_is_one_object():
    assert json.loads(JsonLines().format(record("ü\n", level=logging.INFO))) == {
        "time": "2026-11-18T12:00:00.250Z", "level": "info", "logger": "codex_manager.proxy.x", "message": "ü\n",
    }  # fmt: skip


@pytest.mark.parametrize("lines", [TerminalLines(), FileLines(), JsonLines()])
def test_nothing_in_a_message_begins_another_line_or_moves_a_cursor(lines):
    text = lines.format(record("a\nb\r\x1b[2Jc\u2028d"))
    assert len(text.splitlines()) == 1
    assert "\x1b" not in text


@pytest.mark.parametrize("lines", [FileLines(), JsonLines()])
def test_no_key_and_no_words_of_an_exception_are_kept(lines):
    text = lines.format(record("refused: %s", KEY, error=ValueError(KEY)))
    assert KEY not in text
    assert "ValueError" in text


def test_the_last_lines_stay_in_memory():
    memory = Memory()
    for number in range(MEMORY + 10):
        memory.handle(record("line %d %s", number, KEY))
    told = memory.page(Question(after=5, limit=1000))
    assert (told["number"], told["missed"], len(told["lines"])) == (MEMORY + 10, 5, MEMORY)
    assert told["lines"][0] == {
        "number": 11, "time": "2026-11-18T12:00:00.250Z", "level": "warning", "logger": "codex_manager.proxy.x",
        "message": "line 10 sk-…",
    }  # fmt: skip
    assert memory.page(Question(after=MEMORY + 10)) == {"number": MEMORY + 10, "missed": 0, "lines": []}
