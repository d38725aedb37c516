"""Atomic reference densities: where they come from, how they are stored, which one an atom gets."""
