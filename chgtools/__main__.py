"""``python -m chgtools``: the command line."""

from chgtools.cli import main

main()
