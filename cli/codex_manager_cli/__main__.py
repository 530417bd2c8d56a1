"""`python -m codex_manager_cli` is `codex-manager`."""

from codex_manager_cli.main import main


main()
