"""Extras: Mask R-CNN, conditional SinGAN, and the importer of HistoSegNet's release."""

from ..keras_start import start_keras

start_keras()  # without log lines
