"""``python -m conformance.cli``: the command without its script."""

from conformance.cli import main

main()
