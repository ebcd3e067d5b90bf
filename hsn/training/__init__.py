"""Training: batches, augmentation, learning rates, and a loop that resumes killed runs."""

from ..keras_start import start_keras

start_keras()  # without log lines
