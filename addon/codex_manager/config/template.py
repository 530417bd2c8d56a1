"""The configuration file a new user gets: every setting, explained, commented out at its default."""

import textwrap

from codex_manager.config.catalogue import PRICES, SECTIONS, SETTINGS
from codex_manager.config.prices import EXAMPLE
from codex_manager.config.splice import as_yaml
from codex_manager.core.secret import Secret


__all__ = ["HEADER", "template"]

HEADER = "# codex-manager's settings; docs/configuration.md and `codex-manager config show` list all of them.\n"


def template() -> str:
    """Valid as it stands, and means the defaults."""
    blocks = [HEADER + "# A running proxy takes a change over within two seconds, except bind_addr.\n"]
    for section, about in SECTIONS.items():
        lines = [f"# {about}", f"{section}:"]
        for setting in SETTINGS.values():
            if setting.section != section:
                continue
            lines += textwrap.wrap(
                setting.description.replace("`", ""),
                110,
                initial_indent="  # ",
                subsequent_indent="  # ",
                break_on_hyphens=False,
            )
            # the default key is known to everybody; it is no secret
            value = setting.default.reveal() if isinstance(setting.default, Secret) else setting.default
            lines.append(f"  #   {setting.name}: {as_yaml(value)}")
        if section == PRICES:
            lines += [
                "  # US dollars per million tokens; `codex-manager prices` shows what is listed.",
                f"  #   gpt-5: {EXAMPLE}",
            ]
        blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks)
