"""`mitmdump -s addon/main.py`: hands the addons of codex-manager to mitmproxy, nothing else."""

from codex_manager.proxy.addons import addons as make_addons


addons = make_addons()
