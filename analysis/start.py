"""Where the command `modtrans` starts: what it imports takes a second, in which it can be stopped."""

import os

from modtrans_core.ends import starting


def main() -> None:
    """`modtrans`."""
    os.environ["PYTHONSAFEPATH"] = "1"  # no process that it starts imports what lies in the working directory
    with starting("modtrans"):
        from analysis.cli import main as run
    run()
