"""Builders of Keras functional models; each file also has the normalization of its net."""
