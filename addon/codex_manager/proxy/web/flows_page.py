"""mitmweb's own page, with room for our comments and a way back to the dashboard.

Law: mitmweb's files are served as they are, under mitmweb's own policy; what is added are a stylesheet and a link.
"""

from mitmproxy.tools.web import app

from codex_manager.proxy.web.page import Page, static


__all__ = ["FlowsPage"]


class FlowsPage(Page):
    """`/`. The form for the token is ours."""

    def set_default_headers(self) -> None:
        """Mitmweb sets styles in its elements, so its page needs the policy it comes with."""
        app.RequestHandler.set_default_headers(self)
        self.set_header("Referrer-Policy", "no-referrer")

    def get(self) -> None:
        """The page."""
        html = self.render_string("../index.html").decode()
        html = html.replace("</head>", f'<link rel="stylesheet" href="{static("mitmweb.css")}"></head>', 1)
        html = html.replace("<title>mitmproxy</title>", "<title>codex-manager</title>", 1)
        home = '<nav class="codex-home"><a href="/codex">codex-manager</a></nav>'
        self.finish(html.replace("</body>", f"{home}</body>", 1))
