"""Note images unlike the training images of a net."""

from ..images.scaling import rescale
from ..notes import note
from ..stains.domain import find_departures
from ..supervision import method_of


class DomainCheck:
    """Compares images with the statistics in the card of a net; a card without statistics checks nothing.

    Parameters
    ----------
    model : hsn.models.Model
    """

    def __init__(self, model):
        self._domain = model.card.domain
        self._mpp, self._default = model.card.mpp, method_of(model)[1].image_mpp

    def check(self, image, path, mpp=None):
        """Note how an image, uint8 (H, W, 3), differs from the training images."""
        if self._domain is None:
            return
        for departure in find_departures(rescale(image, mpp or self._default, self._mpp), self._domain):
            note(f"{departure}, so the result may be wrong", path)
