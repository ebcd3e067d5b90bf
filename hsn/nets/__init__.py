"""Builders of Keras functional models; each file also has the normalization of its net."""

from ..keras_start import start_keras

start_keras()  # without log lines
