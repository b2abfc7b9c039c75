"""``python -m benchmarks``: run, analyse, smoke, list, reference."""

import sys

from benchmarks.cli import main

if __name__ == "__main__":
    sys.exit(main())
