"""Which hosts are served from the vault when a forward client asks for them; the certificate authority is made for these.

Law: only OpenAI's own names and those the user lists. An upstream on this machine or behind a gateway is reached by its
base URL, never by opening other people's TLS.
"""

from codex_manager.config.address import url_address
from codex_manager.config.schema import Config


__all__ = ["OPENAI_HOST", "intercepted_hosts"]

OPENAI_HOST = "api.openai.com"


def intercepted_hosts(config: Config) -> frozenset[str]:
    """`api.openai.com`, an `openai.com` host of the base URL, and `forward.hosts`; lower case."""
    base = url_address(config.proxy.openai_base_url).host.lower()
    own = {OPENAI_HOST, base} if base.endswith(".openai.com") else {OPENAI_HOST}
    return frozenset(own | set(config.forward.hosts))
