"""Nets: builders of Keras Functional models from stock layers; each file brings its normalization."""
