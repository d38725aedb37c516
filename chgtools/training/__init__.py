"""Training data: stores of difference densities and their splits."""
