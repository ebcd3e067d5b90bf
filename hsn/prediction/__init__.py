"""Evidence: what a net saw and where, from its features and its head."""

from ..keras_start import start_keras

start_keras()  # without log lines
