"""``python -m load``: what ``aiconform load`` runs, in a process of its own (Locust patches the whole process)."""

from __future__ import annotations

import sys

from load.command import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
