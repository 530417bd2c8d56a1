"""Fill in the Homebrew formula for a release.

    python .github/packaging/formula.py dist/codex_manager-0.1.0.tar.gz OWNER/REPOSITORY > codex-manager.rb

The source is the release's own asset on GitHub, and the checksum that of the file given.
"""

import hashlib
import re
import sys

from pathlib import Path


TEMPLATE = Path(__file__).with_name("codex-manager.rb")


def formula(source: Path, repository: str) -> str:
    """The formula for this source distribution."""
    version = re.fullmatch(r"codex_manager-([0-9][0-9a-z.]*)\.tar\.gz", source.name)
    if version is None or not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        sys.exit(f"usage: formula.py codex_manager-VERSION.tar.gz OWNER/REPOSITORY, not {source.name} {repository}")
    homepage = f"https://github.com/{repository}"
    filled = TEMPLATE.read_text(encoding="utf-8")
    values = {
        "HOMEPAGE": homepage,
        "URL": f"{homepage}/releases/download/v{version[1]}/{source.name}",
        "SHA256": hashlib.sha256(source.read_bytes()).hexdigest(),
    }
    for name, value in values.items():
        filled = filled.replace(f"@{name}@", value)
    _, _, body = filled.partition("\n")  # without the line about this script
    return body


if __name__ == "__main__":
    sys.stdout.write(formula(Path(sys.argv[1]), sys.argv[2]))
