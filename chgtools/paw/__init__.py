"""PAW augmentation occupancies: records, their rotations, means of reference CHGCARs."""
