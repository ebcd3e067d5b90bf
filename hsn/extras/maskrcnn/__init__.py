"""Mask R-CNN: propose boxes, classify them, and predict a mask for each.

The system follows He et al., Mask R-CNN, ICCV 2017, in the form of Matterport's code, as trained on nuclei by Lou et
al. ("Which pixel to annotate", IEEE TMI 2022). `system` combines the other files: `presets` (all numbers), `anchors`,
`boxes`, `proposals`, `align`, `net`, `targets`, `losses`, `detect` and `tiles` (images of any size).

Notes
-----
Convolutions run on the backend. Sorting, comparing and sampling (proposals, NMS, targets) run in NumPy between two
passes of the net. One implementation serves all backends, and no tensor shape depends on the number of objects. It is
not slower: the boxes of a dense tile are about 10^6 numbers, its convolutions about 10^9 products.
"""

from .net import build
from .presets import LEAN, PAPER, MaskRCNNConfig
from .system import MaskRCNN

__all__ = ["LEAN", "PAPER", "MaskRCNN", "MaskRCNNConfig", "build"]
