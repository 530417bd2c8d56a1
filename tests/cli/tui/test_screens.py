"""Every view as a person sees it, small and large. `NEW_SCREENS=1 pytest -m slow …` writes the screens anew; read them then."""

import asyncio
import os

from pathlib import Path

import pytest

from tests.cli.tui.stage import Staged, page, text_of

from codex_manager.core.errors import CodexManagerError
from codex_manager_cli.tui.story import TextPage
from codex_manager_cli.tui.theme import theme_for


SCREENS = Path(__file__).with_name("screens")
SIZES = ((80, 24), (160, 50))
VIEWS = ("live", "accounts", "routing", "usage", "log")


async def settled(pilot, until=lambda: True):
    """All that was asked for has been told and drawn."""
    for _ in range(500):
        await pilot.pause(0.02)
        if until():
            break
    await pilot.pause(0.05)


def compare(name, text):
    file = SCREENS / f"{name}.txt"
    if os.environ.get("NEW_SCREENS"):
        SCREENS.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


async def test_it_is_there_and_goes_from_view_to_view(still):
    """The one that the default run has."""
    app = page(Staged())
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, lambda: app.snapshot is not None and app.view.grid.rows)
        assert "answering" in text_of(app)
        await pilot.press("tab")
        await settled(pilot, lambda: app.view.grid.rows)
        assert "limited" in text_of(app)


@pytest.mark.slow
async def test_everything_that_is_written_can_be_clicked(still):
    app = page(Staged())
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, lambda: app.snapshot is not None and app.view.grid.rows)

        async def click(words):
            lines: list[str] = []

            def is_shown():
                lines[:] = text_of(app).splitlines()  # what is clicked is what was seen, whatever comes after
                return any(words in line for line in lines)

            await settled(pilot, is_shown)
            y = next(i for i, line in enumerate(lines) if words in line)
            await pilot.click(offset=(lines[y].index(words), y))
            await settled(pilot, lambda: app.snapshot is not None)

        await click("4 Usage")
        assert "the last 24 hours" in text_of(app)
        await click("days")
        assert "the last 30 days" in text_of(app)
        await click("3 Routing")
        await click("Things 2")
        assert "batch_1" in text_of(app)
        await click("s changes it")
        assert "round_robin" in text_of(app)
        await click("cancel")
        assert "round_robin" not in text_of(app)
        await click("help")
        assert "Routing: keys" in text_of(app)
        await click("Esc close")
        await settled(pilot, lambda: not isinstance(app.screen, TextPage))
        await click("2 Accounts")
        await click("acme")
        assert app.view.grid.cursor_key == "acme"


@pytest.mark.slow
async def test_the_arrows_and_tab_go_round(still):
    app = page(Staged())
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, lambda: app.snapshot is not None)
        names = []
        for key in ("right", "right", "tab", "tab", "tab", "left", "shift+tab"):
            await pilot.press(key)
            await settled(pilot)
            names.append(app.view.id)
    assert names == ["accounts", "routing", "usage", "log", "live", "log", "usage"]


@pytest.mark.slow
@pytest.mark.parametrize(("wanted", "environ", "theme"), [("dark", {}, "codex-dark"), ("light", {}, "codex-light"), ("system", {}, "codex-dark"),
                          ("system", {"COLORFGBG": "0;15"}, "codex-light"), ("system", {"COLORFGBG": "15;default;0"}, "codex-dark")])  # fmt: skip
def test_the_theme_is_as_configured(wanted, environ, theme):
    assert theme_for(wanted, environ) == theme


@pytest.mark.slow
async def test_every_theme_can_be_worn(still):
    app = page(Staged())
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, lambda: app.snapshot is not None and app.view.grid.rows)
        for name in app.available_themes:
            app.theme = name
            await settled(pilot)
            assert "answering" in text_of(app)
        app.theme = "codex-dark"
        await pilot.press("ctrl+t")
        assert app.theme == "codex-light"


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", VIEWS)
async def test_a_view_looks_as_it_should(name, size, still):
    app = page(Staged(), size)
    async with app.run_test(size=size) as pilot:
        await pilot.press(str(VIEWS.index(name) + 1))
        await settled(pilot, lambda: app.snapshot is not None and app.view.grid.rows)
        await settled(pilot, lambda: app.snapshot is not None)
        compare(f"{name}-{size[0]}x{size[1]}", text_of(app))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "keys", "words"),
    [
        ("help", ("2", "question_mark"), "Accounts: keys"),
        ("story", ("1", "down", "enter"), "429 after 0.21 s"),
        ("account", ("2", "down", "enter"), "rests, back in"),
        ("strategy", ("3", "s"), "round_robin"),
        ("decisions", ("3", "left_square_bracket"), "home → work"),
        ("things", ("3", "right_square_bracket", "right_square_bracket"), "batch_1"),
        ("explain", ("3", "x"), "X-Codex-Manager-Request-Id"),
        ("filter", ("1", "slash", "m", "i", "n", "i"), "gpt-5-mini"),
        ("commands", ("colon",), "Ask OpenAI"),
    ],
)
async def test_what_lies_over_a_view_fits_the_smallest_terminal(name, keys, words, still):
    app = page(Staged())
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, lambda: app.snapshot is not None and app.view.grid.rows)
        for key in keys:
            await pilot.press(key)
            await settled(pilot, lambda: app.view.grid.rows)
        await settled(pilot, lambda: words in text_of(app))
        text = text_of(app)
        assert words in text
        if name != "commands":  # textual's own, which changes with its releases
            compare(f"{name}-80x24", text)


@pytest.mark.slow
@pytest.mark.parametrize("size", [(20, 5), (40, 12), (79, 23), (300, 100)], ids=str)
async def test_no_size_of_a_terminal_is_too_much_for_it(size, still):
    app = page(Staged(), size)
    async with app.run_test(size=size) as pilot:
        for key in "12345":
            await pilot.press(key)
            await settled(pilot, lambda: app.snapshot is not None)
        await pilot.resize_terminal(100, 30)
        await pilot.press("2", "question_mark", "escape", "colon", "escape", "slash", "x", "escape")
        await settled(pilot)
        assert "accounts, 1 ready" in text_of(app)


@pytest.mark.slow
async def test_what_cannot_be_read_is_said_and_the_rest_goes_on(still):
    class Trouble(CodexManagerError):
        pass

    source = Staged()
    source.failing = Trouble("the vault has a hole")
    app = page(source)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, lambda: "hole" in text_of(app))
        assert "the vault has a hole" in text_of(app)
        assert "gpt-5-mini" in text_of(app)
        source.failing = None
        await settled(pilot, lambda: "of 4 serve" in text_of(app))
        assert "hole" not in text_of(app)
        source.failing = ValueError("sk-secret-secret-secret")
        await settled(pilot, lambda: "ValueError" in text_of(app))
        assert "secret" not in text_of(app)


@pytest.mark.slow
async def test_a_source_that_hangs_keeps_nobody_from_looking_around_and_leaving(still):
    class Hanging(Staged):
        def traffic(self):
            import time

            time.sleep(30)

        snapshot = traffic

    app = page(Hanging())
    async with app.run_test(size=(80, 24)) as pilot:
        async with asyncio.timeout(10):
            await pilot.press("2", "3", "4", "5", "1", "question_mark")
            await settled(pilot, lambda: "Live: keys" in text_of(app))
            assert "Live: keys" in text_of(app)
            await pilot.press("escape", "q")
