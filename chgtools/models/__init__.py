"""Learned difference densities: the basis they are expanded in and the networks that predict its coefficients."""
