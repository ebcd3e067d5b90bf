"""Tags: an absent class is absent from every pixel; a present class is somewhere in the tile."""

from typing import NamedTuple

import numpy as np

from ...annotations.annotation import is_object_class
from .config import BACKGROUND
from .sources import ABSENT_TAG, bits


class TileTag(NamedTuple):
    """A class that is present somewhere in a tile, or absent from it.

    Attributes
    ----------
    channel : int
        Index into `channels_of` of the config.
    window : (slice, slice)
        Rows and columns of the tile, at the net's scale.
    present : bool
    """

    channel: int
    window: tuple[slice, slice]
    present: bool


def channels_of(config):
    """Return the classes that can be tagged as present: objects, then tissues except "Other".

    Examples
    --------
    >>> from .config import preset
    >>> channels_of(preset("cpu"))
    ('Nucleus',)
    """
    return (*([config.object_class] if config.has_objects else []), *config.tissues[1:])


def class_probability(probabilities, channel, config):
    """Return the probability of a channel of `channels_of`, array (...).

    Examples
    --------
    >>> from .config import preset
    >>> class_probability(np.array([0.25, 0.5, 0.25]), 0, preset("cpu"))
    np.float64(0.75)
    """
    if config.has_objects and channel == 0:
        return 1 - probabilities[..., BACKGROUND]
    return probabilities[..., config.heads[-1].start + 1 + channel - config.has_objects]


def find_channel(name, config):
    """Return the channel of a tag's class, or None."""
    channels = channels_of(config)
    if name in channels:
        return channels.index(name)
    return 0 if config.has_objects and is_object_class(name) else None


def add_tags(heads, tags, factor, config):
    """Add the absent tags of an image to the maps of all heads.

    Where objects are absent, all pixels are background, with weight `absent_weight`. Where a tissue t is absent, the
    loss of all pixels is ``-log(1 - p_t)``.

    Parameters
    ----------
    heads : dict of str to HeadMaps
        Changed in place.
    tags : tuple of Tag
    factor : (float, float)
        Height and width of the maps, divided by those of the image.
    config : Config

    Returns
    -------
    tuple of TileTag
        All tags of classes of the net.

    Examples
    --------
    >>> from hsn.annotations.annotation import Tag
    >>> from .config import preset
    >>> from .sources import blank
    >>> heads = {"objects": blank((1, 2))}
    >>> add_tags(heads, (Tag("Nucleus", False),), (1, 1), preset("cpu"))
    (TileTag(channel=0, window=(slice(0, 1, None), slice(0, 2, None)), present=False),)
    >>> heads["objects"].possible.tolist(), heads["objects"].weight.tolist()
    ([[1, 1]], [[0.5, 0.5]])
    """
    found = []
    for tag in tags:
        channel = find_channel(tag.name, config)
        if channel is None:
            continue
        shape = next(iter(heads.values())).source.shape
        window = tile(tag.box, shape, factor)
        found.append(TileTag(channel, window, tag.present))
        if tag.present:
            continue
        if config.has_objects and channel == 0:
            mask = np.zeros(shape, bool)
            mask[window] = True
            heads["objects"].write(mask, [BACKGROUND], ABSENT_TAG, weight=config.absent_weight)
        else:
            _exclude(heads["tissue"], window, channel - config.has_objects + 1, len(config.tissues))
    return tuple(found)


def _exclude(maps, window, tissue, count):
    """Remove a tissue from what is possible in a tile."""
    possible, source = maps.possible[window], maps.source[window]
    possible[source != ABSENT_TAG] = bits(range(count))
    possible &= ~bits([tissue])
    maps.weight[window], source[:] = 1, ABSENT_TAG


def tile(box, shape, factor):
    """Return a tagged rectangle as slices of rows and columns; None is the whole image.

    Examples
    --------
    >>> tile((0, 2, 3, 9), (4, 6), (1, 1))
    (slice(0, 4, None), slice(2, 6, None))
    """
    if box is None:
        return slice(0, shape[0]), slice(0, shape[1])
    corners = (np.reshape(box, (2, 2)) + 0.5) * factor - 0.5
    start = np.clip(np.round(corners[0]).astype(int), 0, shape)
    end = np.clip(np.round(corners[1]).astype(int) + 1, start, shape)
    return tuple(slice(int(a), int(b)) for a, b in zip(start, end, strict=True))
