"""Tight binding from the project's own atoms: what neighbours do to an atom, by one diagonalisation."""
