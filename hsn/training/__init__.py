"""Training: batches, augmentation, learning rates, and a loop that resumes killed runs."""
