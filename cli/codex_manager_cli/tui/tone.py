"""Colours of pieces of text that are drawn over another background than that of their widget."""

import functools

from rich.style import Style
from textual.widget import Widget


__all__ = ["tone_of"]


def tone_of(widget: Widget, component: str) -> Style:
    """Colour and weight of a component class, as they are over the widget's background; no background of its own."""
    return _front(widget.get_component_rich_style(component))


@functools.lru_cache(maxsize=256)  # asked for each line that is drawn
def _front(whole: Style) -> Style:
    return Style(color=whole.color, bold=whole.bold or None, dim=whole.dim or None)
