"""Training: batches, augmentation, learning rates, and the loop that survives being killed."""
