"""``python -m pymachine``."""

import sys

from pymachine.cli import main

if __name__ == "__main__":
    sys.exit(main())
