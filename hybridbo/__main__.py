"""``python -m hybridbo`` is the command ``hybridbo``."""

from hybridbo.cli import main

if __name__ == "__main__":
    main(prog_name="hybridbo")
