"""Conditional SinGAN: train on an annotated patch, generate images with known nuclei (Lou et al., TMI 2022)."""
