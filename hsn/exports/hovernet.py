"""Write objects as a MATLAB file in the form of HoVer-Net and CoNSeP."""

from pathlib import Path

import numpy as np

from ..checks import require
from ..files import atomic_write
from ..objects.table import concatenate
from .source import ExportSource, whole_objects


def write_hovernet(path: str | Path, source: ExportSource) -> Path:
    """Write the objects of an image as ``NAME.mat``.

    Parameters
    ----------
    path : path
    source : ExportSource

    Returns
    -------
    pathlib.Path

    Raises
    ------
    InputError
        "raster-too-large" for a slide.

    Notes
    -----
    ========================  =================================================================
    variable                  content
    ========================  =================================================================
    inst_map                  int32 (H, W): 0 background, 1..n objects
    type_map                  int32 (H, W): class of each pixel, 0 background
    inst_type                 int32 (n, 1): class of each object
    inst_centroid             float64 (n, 2): x, y; the center of the first pixel is (0, 0)
    inst_uid                  int32 (n, 1): number of each object in inst_map
    ========================  =================================================================

    Examples
    --------
    >>> import tempfile
    >>> from hsn.taxonomies import NUCLEI
    >>> from hsn.types import Segmentation
    >>> from hsn.exports.source import source_of
    >>> labels = np.array([[0, 1], [0, 1]])
    >>> source = source_of(Segmentation(labels, labels, None, np.ones(2), NUCLEI))
    >>> path = write_hovernet(Path(tempfile.mkdtemp()) / "a.mat", source)
    >>> from scipy.io import loadmat
    >>> loadmat(path)["inst_map"].tolist()
    [[0, 1], [0, 1]]
    """
    savemat = require("scipy.io").savemat
    numbers = whole_objects(source, "hovernet")
    table = concatenate(list(source.tables()))
    classes = np.array([source.taxonomy.index(name) for name in table.columns["class"].tolist()], np.int32)
    centers = np.column_stack([table.columns["centroid_x_px"], table.columns["centroid_y_px"]]) - 0.5
    content = {
        "inst_map": numbers,
        "type_map": np.append(np.int32(0), classes)[numbers],
        "inst_type": classes[:, None],
        "inst_centroid": centers,
        "inst_uid": np.arange(1, len(table) + 1, dtype=np.int32)[:, None],
    }
    with atomic_write(Path(path)) as temporary:
        savemat(temporary, content, do_compression=True)
    return Path(path)
