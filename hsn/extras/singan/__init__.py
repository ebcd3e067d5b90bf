"""Conditional SinGAN: learn one annotated patch and paint new images with known nuclei (Lou et al., IEEE TMI 2022)."""
