"""``python -m benchmarks``: run, analyse, smoke, speed, store, list, reference."""

import sys

from benchmarks.cli import main

if __name__ == "__main__":
    sys.exit(main())
