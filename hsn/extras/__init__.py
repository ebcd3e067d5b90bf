"""Extras: Mask R-CNN, conditional SinGAN, and the importer of HistoSegNet's release."""
