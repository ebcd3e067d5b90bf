"""Files of records: what is known about an image is computed once, and read again when its record left the cache.

The targets of clicks and outlines take seconds for a large image, and thousands of images do not fit into memory.
Pixels are not stored, because their image is decoded faster.
"""

from pathlib import Path

import numpy as np

from ...files import atomic_write
from .crops import MixedRecord
from .from_tags import TileTag

_MAPS = ("instances", "complete", "points", "possible", "weight", "source", "validating")


def write_record(path, record):
    """Write all of a record but its pixels.

    Parameters
    ----------
    path : path
        Ends with ".npz".
    record : MixedRecord
    """
    tags = [
        (tag.channel, *(edge for side in tag.window for edge in (side.start, side.stop)), tag.present)
        for tag in record.tags
    ]
    maps = {name: getattr(record, name) for name in _MAPS}
    with atomic_write(path) as temporary:
        np.savez_compressed(temporary, tags=np.array(tags, int).reshape(-1, 6), **maps)


def read_record(path, pixels):
    """Return the record of `write_record` with the given pixels.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "0.npz"
    >>> maps = np.zeros((1, 2, 3), np.int32)
    >>> tag = TileTag(0, (slice(0, 2), slice(1, 3)), True)
    >>> here, points = maps[0] > 0, maps[0, :, :2]
    >>> write_record(path, MixedRecord(None, maps[0], here, points, maps, maps, maps, here, (tag,)))
    >>> read_record(path, np.zeros((2, 3, 3))).tags == (tag,)
    True
    """
    with np.load(Path(path)) as found:
        tags = tuple(
            TileTag(channel, (slice(top, bottom), slice(left, right)), bool(present))
            for channel, top, bottom, left, right, present in found["tags"].tolist()
        )
        return MixedRecord(pixels, tags=tags, **{name: found[name] for name in _MAPS})
