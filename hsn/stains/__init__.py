"""Stain separation and stain normalization."""
