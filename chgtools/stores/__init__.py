"""Stores of difference densities to train on."""
