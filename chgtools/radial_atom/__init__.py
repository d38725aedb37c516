"""The radial Kohn-Sham atom: what the built-in atomic densities are computed with."""
