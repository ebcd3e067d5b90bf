"""Scribbles and areas: their pixels have their class."""

from ...annotations.annotation import fill, is_background_class
from .config import BACKGROUND, CONTOUR, INSIDE
from .sources import SCRIBBLE


def add_scribbles(heads, scribbles, factor, config):
    """Add polygons and strokes to the maps of all heads.

    A tissue is its class in the head of tissues. Background is background of objects and "Other" of tissues. Any other
    class is that of objects: "inside or contour".

    Parameters
    ----------
    heads : dict of str to HeadMaps
        Changed in place.
    scribbles : tuple of Shape
        In pixels of the image.
    factor : (float, float)
        Height and width of the maps, divided by those of the image.
    config : Config

    Examples
    --------
    >>> import numpy as np
    >>> from hsn.annotations.annotation import Shape
    >>> from .config import preset
    >>> from .sources import blank
    >>> stroke = Shape((np.array([[0, 0], [0, 1]]),), "Background", closed=False)
    >>> heads = {"objects": blank((1, 8))}
    >>> add_scribbles(heads, (stroke,), (1, 1), preset("cpu"))
    >>> heads["objects"].possible[0].tolist()
    [1, 1, 1, 1, 0, 0, 0, 0]
    """
    tissues = {name: [k] for k, name in enumerate(config.tissues)}
    for scribble in scribbles:
        background = is_background_class(scribble.label)
        if background:
            classes = {"objects": [BACKGROUND], "tissue": [0]}
        elif scribble.label in tissues:
            classes = {"tissue": tissues[scribble.label]}
        else:
            classes = {"objects": [INSIDE, CONTOUR]}
        for name in classes.keys() & heads.keys():
            shape = heads[name].source.shape
            mask = fill((scribble,), shape, factor=factor, width_px=config.stroke_um / config.mpp)
            heads[name].write(mask, classes[name], SCRIBBLE)
