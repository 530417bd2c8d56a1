"""The command line of codex-manager."""
