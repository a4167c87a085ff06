"""`python -m modtrans_core`. The working folder, which Python then looks in first, holds no packages of this project."""

import os
import sys

if sys.path[0] == os.getcwd():
    del sys.path[0]

from modtrans_core.cli import main

main()
