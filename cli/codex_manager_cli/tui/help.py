"""Which keys there are, made of the keys themselves."""

from collections.abc import Iterable, Mapping

from rich.text import Text
from textual.binding import Binding, BindingType

from codex_manager_cli.tui.view import View, shown


__all__ = ["help_page"]

MOVING = (
    ("↑ ↓ j k", "move"), ("PgUp PgDn", "a screenful"), ("g G", "first, last"), ("click", "choose; twice looks closer"),
)  # fmt: skip


def help_page(view: View, everywhere: Iterable[BindingType], tones: Mapping[str, str]) -> Text:
    """Those of the view, those of its table, those that are good everywhere."""
    page = Text()

    def section(title: str, keys: Iterable[tuple[str, str]]) -> None:
        page.append(f"{title}\n", "bold")
        for key, words in keys:
            page.append(f"  {key:<16}", f"bold {tones['accent']}")
            page.append(f"{words}\n")
        page.append("\n")

    section(view.title, view.all_keys())
    section("In a table", MOVING)
    section(
        "Everywhere",
        [
            ("1 … 5", "the views"),
            *((shown(each.key), each.description) for each in everywhere if isinstance(each, Binding) and each.show),
        ],
    )
    page.append(
        "A filter is words that must occur; !word must not. Esc takes it away.\nThe proxy goes on when you quit here."
    )
    return page
