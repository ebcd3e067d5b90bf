"""Extras: complete systems that stand beside the main road (Mask R-CNN, conditional SinGAN, HistoSegNet's release)."""
