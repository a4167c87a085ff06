"""`python -m modtrans_core`. The working folder, in which Python looks first, holds no package of this project."""

import os
import sys

if sys.path[0] == os.getcwd():
    del sys.path[0]

from modtrans_core.ends import starting

with starting("python -m modtrans_core"):
    from modtrans_core.cli import main

main()
