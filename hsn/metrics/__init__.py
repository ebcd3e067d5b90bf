"""Evaluation metrics for labels, instances, points and tags."""
