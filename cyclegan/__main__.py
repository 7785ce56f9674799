"""`python -m cyclegan` is the `cyclegan` command."""

import sys

from cyclegan.cli import main

if __name__ == "__main__":
    sys.exit(main())
