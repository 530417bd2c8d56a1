"""`codex-manager tui`: the terminal's own page. Views over values (`source`), changes through `deeds`; textual is known here only."""
