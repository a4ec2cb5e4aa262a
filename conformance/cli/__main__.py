"""``python -m conformance.cli``: the command without its console script."""

from conformance.cli import main

main()
