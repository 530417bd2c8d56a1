"""mitmweb as we run it, and the dashboard on its server. The only importer of tornado and jinja2."""
