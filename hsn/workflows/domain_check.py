"""Store statistics of training images in a card, and note images unlike them."""

import numpy as np

from ..images.read import read
from ..images.scaling import rescale
from ..models.folders import load
from ..notes import note
from ..prediction.encoder_features import encoder_features
from ..stains.domain import departures_of, fit_domain, is_scale_doubtful, measure, spread


def check_domain(model, image, mpp, where):
    """Note how an image differs from the training images of a net; a card without statistics checks nothing.

    Parameters
    ----------
    model : hsn.models.Model
    image : uint8 array, shape (H, W, 3), or None
        None is not checked.
    mpp : float
        Micrometers per pixel of the image.
    where : object
        Name of the image.

    Returns
    -------
    bool
        Whether its details or features are nearer to half size than those of most training images.
    """
    card = model.card
    if card.domain is None or image is None:
        return False
    row = measure(rescale(image, mpp, card.mpp), encoder_features(model.net, card.normalization))
    for departure in departures_of(row, card.domain):
        note(f"{departure}, so the result may be wrong", where)
    return is_scale_doubtful(row, card.domain)


def store_domain(folder, images, config):
    """Store statistics of the training images, arrays or paths at `config.image_mpp`, in the card of a folder."""
    chosen = (images[k] for k in spread(len(images)))
    pixels = (image if isinstance(image, np.ndarray) else read(image) for image in chosen)
    model = load(folder)
    encode = encoder_features(model.net, model.card.normalization)
    domain = fit_domain((rescale(image, config.image_mpp, config.mpp) for image in pixels), encode)
    model.card.model_copy(update={"domain": domain}).write(folder)
