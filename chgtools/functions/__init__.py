"""Functions of one variable in NumPy: spherical Bessel functions, cubic splines on uniform meshes.

SciPy has both. Importing it takes a quarter of the time of a prediction of a small cell, and it is left to commands
that need more of it than these.
"""
