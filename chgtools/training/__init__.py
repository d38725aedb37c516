"""Training: samples of stored difference densities, losses, the trainer, calibration, evaluation."""
