"""The difference charge density (DCD): made from a CHGCAR, written, opened."""

from chgtools.dcd.difference import difference_density
from chgtools.formats.difference_density import read, write

__all__ = ["difference_density", "read", "write"]
