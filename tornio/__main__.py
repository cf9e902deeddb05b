"""``python -m tornio`` is the command line."""

import sys

from tornio.cli import main

if __name__ == "__main__":
    sys.exit(main())
