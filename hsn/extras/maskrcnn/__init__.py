"""Mask R-CNN: boxes are proposed, judged, and each is given a mask; objects come apart by construction.

After He et al., Mask R-CNN, ICCV 2017, in the form of Matterport's code, as Lou et al. ("Which pixel to annotate",
IEEE TMI 2022) trained it on nuclei. One idea a file: `presets` (every number), `anchors`, `boxes`, `nms`, `proposals`,
`align`, `net`, `targets`, `losses`, `detect`, and `whole` (images of any size). `system` joins them.

What is convolved runs on the backend; what is sorted, compared and drawn (proposals, NMS, targets) runs between two
passes in NumPy. That is one implementation for all backends, no shape depends on how many objects there are, and it is
no slower: a dense tile's boxes are some 10^6 numbers, its convolutions some 10^9 products.
"""

from .net import build
from .presets import LEAN, PAPER, Numbers
from .system import MaskRCNN

__all__ = ["LEAN", "PAPER", "MaskRCNN", "Numbers", "build"]
