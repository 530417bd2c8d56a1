"""The first page: what is spent, what goes on, who is best right now and why."""

from codex_manager.proxy.web.page import Page


__all__ = ["Overview"]


class Overview(Page):
    """`/codex`."""

    section = "dashboard"

    def get(self) -> None:
        """The page as it is now; what changes comes by `live`."""
        self.page("overview.html", status=self.web.runtime.status())
