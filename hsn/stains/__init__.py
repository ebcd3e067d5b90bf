"""Stains: what colours tissue, measured, and one slide's colours given to another."""
