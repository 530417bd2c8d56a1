"""The table: columns that fit, a cursor that stays with what is read, and nothing drawn that is not seen."""

import pytest

from textual.app import App

from codex_manager_cli.tui import grid
from codex_manager_cli.tui.grid import Column, Grid, Row, text_of
from codex_manager_cli.tui.view import chosen


COLUMNS = (
    Column("time", 8),
    Column("who", 6, grow=1, most=10, rank=2),
    Column("why", 10, grow=3),
    Column("cost", 7, right=True, rank=1),
)


@pytest.mark.parametrize("width", [1, 8, 20, 27, 28, 35, 36, 60, 200])
def test_columns_fit_and_use_what_there_is(width):
    widths = grid._widths(COLUMNS, width)
    used = sum(size + 1 for _, size in widths)
    assert used <= width or {i for i, _ in widths} <= {0, 2}
    if width >= 36:
        assert [i for i, _ in widths] == [0, 1, 2, 3]
        assert used == width
    assert dict(widths).get(1, 0) <= 10


def test_the_column_of_the_highest_rank_goes_first():
    assert [i for i, _ in grid._widths(COLUMNS, 34)] == [0, 2, 3]
    assert [i for i, _ in grid._widths(COLUMNS, 21)] == [0, 2]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [("", "abc"), ("work", "ac"), ("WORK gpt-5", "a"), ("!work", "b"), ("work !gpt-5", "c"), ("nobody", ""), ("!", "")],
)
def test_a_filter_is_words_that_must_occur_and_words_that_must_not(wanted, found):
    rows = [
        Row("a", ("work", (("gpt", ""), ("-5", "good")))),
        Row("b", ("home", "gpt-5")),
        Row("c", ("work", "gpt-4o")),
    ]
    assert "".join(row.key for row in chosen(rows, wanted)) == found
    assert text_of(rows[0].cells) == "work gpt-5"


class Table(App[None]):
    def __init__(self, *, tail=False):
        super().__init__()
        self.grid = Grid((Column("name", 6, grow=1),), tail=tail)
        self.told: list[str | None] = []
        self.chosen: list[str] = []

    def compose(self):
        yield self.grid

    def on_grid_chosen(self, event):
        self.chosen.append(event.key)

    def on_grid_moved(self, event):
        self.told.append(event.key)


def rows(*names):
    return [Row(name, (name,)) for name in names]


def seen(app):
    return ["".join(segment.text for segment in strip).strip() for strip in app.screen._compositor.render_strips()]


@pytest.mark.slow
async def test_on_top_the_cursor_sees_the_newest_and_elsewhere_it_stays_with_its_row():
    app = Table()
    async with app.run_test(size=(20, 8)) as pilot:
        app.grid.focus()
        app.grid.show(rows("b", "a"))
        app.grid.show(rows("c", "b", "a"))
        await pilot.pause()
        assert app.grid.cursor_key == "c"
        await pilot.press("down")
        app.grid.show(rows(*"fedcba"))
        await pilot.pause()
        assert app.grid.cursor_key == "b"
        app.grid.show(rows(*"gfedca"))  # b is gone
        await pilot.pause()
        assert app.grid.cursor_key == "c"
        app.grid.show([])
        await pilot.pause()
        assert app.grid.cursor_key is None
        assert app.told[-1] is None


@pytest.mark.slow
async def test_what_is_read_stays_where_it_is_on_the_screen():
    app = Table()
    async with app.run_test(size=(20, 8)) as pilot:
        app.grid.focus()
        names = [f"r{number:03}" for number in range(100, 0, -1)]
        app.grid.show(rows(*names))
        for _ in range(20):
            await pilot.press("down")
        await pilot.pause()
        before = seen(app)
        app.grid.show(rows(*(f"n{number}" for number in range(30)), *names))
        await pilot.pause()
        assert [line[:4] for line in seen(app)[1:]] == [line[:4] for line in before[1:]]


@pytest.mark.slow
async def test_a_tail_follows_its_end_until_somebody_reads():
    app = Table(tail=True)
    async with app.run_test(size=(20, 6)) as pilot:
        app.grid.focus()
        app.grid.show(rows(*(f"l{number:02}" for number in range(10))))
        await pilot.pause()
        app.grid.show(rows(*(f"l{number:02}" for number in range(40))))
        await pilot.pause()
        assert "l39" in seen(app)
        await pilot.press("g")
        app.grid.show(rows(*(f"l{number:02}" for number in range(50))))
        await pilot.pause()
        assert "l00" in seen(app)
        assert app.grid.cursor_key == "l00"


@pytest.mark.slow
async def test_wide_letters_are_cut_at_a_cell_and_a_click_chooses():
    app = Table()
    async with app.run_test(size=(8, 6)) as pilot:
        app.grid.show(rows("日本語日本語日本語", "x"))
        await pilot.pause()
        assert seen(app)[1].startswith("日本")
        assert seen(app)[1].rstrip().endswith("…")
        await pilot.click(Grid, offset=(2, 2))
        assert app.grid.cursor_key == "x"
        await pilot.click(Grid, offset=(2, 2), times=2)
        await pilot.pause()
        assert app.chosen == ["x"]
