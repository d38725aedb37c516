"""What an atomic reference density is, and the facts on POTCAR labels."""
