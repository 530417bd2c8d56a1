"""`python -m codex_manager.proxy`."""

import sys

from codex_manager.proxy.launcher import main


if __name__ == "__main__":
    sys.exit(main())
