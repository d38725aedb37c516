"""Pictures of fields and of atomic densities."""
