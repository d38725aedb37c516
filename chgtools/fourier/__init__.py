"""Fourier series of fields: VASP's FFT grids, resampling, half a sphere of waves, the basis of learned densities."""
