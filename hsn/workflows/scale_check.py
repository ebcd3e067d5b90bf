"""Check the scale of images: name assumptions, and compare the size of the objects with that of the training images."""

from collections import Counter

import numpy as np

from ..images.scale import Scale, find_scale
from ..instances import median_diameter, object_areas
from ..notes import note
from ..supervision import method_of

MAX_FACTOR = 1.5  # of diameters; beyond it the scale is in doubt
FEW = 5  # images: with fewer, the larger factor holds, unless small objects agree with the features of the images
MAX_FACTOR_OF_FEW = 2.0
MIN_OBJECTS = 20  # fewer have no reliable median


class ScaleCheck:
    """Collects the scales of images and the sizes of their objects.

    Parameters
    ----------
    model : hsn.models.Model
    """

    def __init__(self, model):
        self._diameter_um = model.card.object_diameter_um
        self._default = method_of(model)[1].image_mpp
        self._scales, self._areas_um2, self._doubtful = [], [], []

    def of(self, image, mpp):
        """Return the `Scale` of an image; note an assumption about a file."""
        scale = find_scale(image, mpp, default=self._default)
        if scale.source == "assumed" and not isinstance(image, np.ndarray):
            note(
                f"no scale in the metadata, so {scale.mpp:g} um/px is assumed, that of the net's training images"
                " (give mpp if this is wrong)",
                image,
            )
        return scale

    def add(self, scale, instances, *, doubtful=False):
        """Add an image that was segmented at a scale.

        Parameters
        ----------
        scale : Scale
        instances : int array (H, W), or None
        doubtful : bool
            Whether the features of the image are near to those of half the size. Default: False.
        """
        self._scales.append(scale)
        self._doubtful.append(doubtful)
        if instances is not None:
            self._areas_um2.append(object_areas(instances) * scale.mpp**2)

    def __str__(self):
        """Name the scale or the scales; empty without images."""
        if not self._scales:
            return ""
        numbers = [scale.mpp for scale in self._scales]
        sources = Counter(scale.source for scale in self._scales)
        if len(sources) == 1:
            (source,) = sources
            last = str(Scale(max(numbers), source))
            return last if min(numbers) == max(numbers) else f"{min(numbers):.4g} to {last}"
        counts = ", ".join(f"{count} {source}" for source, count in sources.items())
        return f"{min(numbers):.4g} to {max(numbers):.4g} um/px ({counts})"

    def note_sizes(self):
        """Note objects of another size than those of the training images."""
        if self._diameter_um is None or sum(map(len, self._areas_um2)) < MIN_OBJECTS:
            return
        diameter = median_diameter(self._areas_um2)
        factor = self._diameter_um / diameter
        agree = factor > 1 and np.mean(self._doubtful) > 0.5
        allowed = MAX_FACTOR if agree or len(self._areas_um2) >= FEW else MAX_FACTOR_OF_FEW
        if not 1 / allowed <= factor <= allowed:
            likely = factor * float(np.median([scale.mpp for scale in self._scales]))
            note(
                f"the objects have a median diameter of {diameter:.1f} um, those of the training images"
                f" {self._diameter_um:.1f} um: the scale may be wrong, {likely:.2g} um/px would fit",
                f"{len(self._scales)} image{'s' if len(self._scales) > 1 else ''}",
            )
