"""``python -m pymachine.cli.compat PROGRAM WORD…``: what the installed docker-machine runs."""

import sys

from pymachine.cli.compat import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[2:], started=sys.argv[1]))
