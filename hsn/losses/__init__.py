"""Losses on the backend's tensors: the truth first, a weight of 0 where it is not known."""
