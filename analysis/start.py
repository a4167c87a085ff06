"""Where the command `modtrans` starts: what it imports takes a second, in which it can be stopped."""

from modtrans_core.ends import at_once


def main() -> None:
    """`modtrans`."""
    with at_once():
        from analysis.cli import main as run
    run()
