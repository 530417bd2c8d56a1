"""`python -m tests.bench [ROUNDS]`: the comparison, printed."""

import sys
import tempfile

from pathlib import Path

from tests.bench.compare import compare, table


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        print(table(compare(Path(folder), rounds=int(sys.argv[1]) if len(sys.argv) > 1 else 5)))
