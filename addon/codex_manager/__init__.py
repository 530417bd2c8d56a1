"""Several OpenAI accounts behind one endpoint: vault, routing, and the mitmproxy addons that carry requests."""

from codex_manager._version import __version__


__all__ = ["__version__"]
