"""Learned difference densities: the network, its weights, and which of them a structure gets."""
