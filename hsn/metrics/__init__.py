"""Metrics: counts first, scores after."""
