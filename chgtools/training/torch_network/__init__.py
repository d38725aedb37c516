"""The network of chgtools.models.network as torch modules, which can be trained."""
