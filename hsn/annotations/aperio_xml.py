"""XML of Aperio ImageScope, in which MoNuSeg is published: regions drawn on a slide, as instances.

The file is read as a stream by Expat with nothing switched on: a document type (and with it every entity,
internal or external) is refused, and so are files that are larger than any annotation. Only `Region` and
`Vertex` are looked at; all layers (`Annotation`) are read in the order of the file.
"""

from pathlib import Path
from xml.parsers import expat

import numpy as np

from ..errors import refuse
from .polygons import Outline, fill

# The largest MoNuSeg file has 8 MB; a whole slide of 100,000 nuclei about 500.
_MOST_BYTES = 2**30
# ImageScope's numbers for a free-hand region or polygon, a rectangle, which it stores by its four corners, and an
# ellipse, which it stores by two opposite corners of the box around it.
_FREEHAND, _RECTANGLE, _ELLIPSE = "0", "1", "2"
_ELLIPSE_CORNERS = 720  # less than a thousandth of a pixel inside an ellipse of 100 pixels


def instances(path, shape):
    """Read the regions of an annotation file as instances.

    Parameters
    ----------
    path : path
        An XML file of Aperio ImageScope.
    shape : (int, int)
        Height and width of the image that it belongs to; regions are cut at its edges.

    Returns
    -------
    int32 (H, W)
        0 background, 1..n in the order of the file, without gaps. Where two regions overlap, the later one has
        the pixels. A negative region is a hole in what was drawn before it.

    Raises
    ------
    InputError
        See `outlines`.

    References
    ----------
    .. [1] Kumar et al., A dataset and a technique for generalized nuclear segmentation, IEEE TMI 2017.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "slide.xml"
    >>> _ = path.write_text('<Annotations><Annotation><Regions><Region><Vertices>'
    ...                     '<Vertex X="1" Y="0"/><Vertex X="2" Y="0"/><Vertex X="2" Y="1"/><Vertex X="1" Y="1"/>'
    ...                     '</Vertices></Region></Regions></Annotation></Annotations>')
    >>> instances(path, (3, 4)).tolist()
    [[0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
    """
    return fill(outlines(path), shape)


def outlines(path):
    """Read the regions of an annotation file as outlines.

    Parameters
    ----------
    path : path
        An XML file of Aperio ImageScope.

    Returns
    -------
    list of Outline
        In the order of the file, in pixels of the full resolution.

    Raises
    ------
    InputError
        If the file is missing, too large, not well formed, has a document type, holds no annotation, a region
        that is no area, an ellipse of other than two corners, or a vertex without numbers; the message names the
        line.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "slide.xml"
    >>> _ = path.write_text('<Annotations><Region NegativeROA="1"><Vertex X="4" Y="2.5"/></Region></Annotations>')
    >>> outlines(path)
    [Outline(points=array([[2.5, 4. ]]), hole=True)]
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        if size > _MOST_BYTES:
            refuse(f"{path} is too large for an annotation", expected=f"at most {_MOST_BYTES} bytes",
                   received=f"{size}", remedy="split it by region")  # fmt: skip
        with path.open("rb") as file:
            return _Reader(path).read(file)
    except OSError as error:
        refuse(f"{path} cannot be read", expected="an XML file", received=error.strerror,
               remedy="check its name")  # fmt: skip


class _Reader:
    """Collects regions while Expat walks through the file."""

    def __init__(self, path):
        self.path = path
        self.regions = []  # (type, hole, [row, col, row, col, ...])
        self.rooted = False
        self.parser = expat.ParserCreate()
        self.parser.StartElementHandler = self.start
        self.parser.StartDoctypeDeclHandler = self.doctype

    def read(self, file):
        try:
            self.parser.ParseFile(file)
        except expat.ExpatError as error:
            self.refuse("is no whole XML file", "well-formed XML", error, "export the annotation again")
        return [Outline(self.corners(kind, numbers), hole) for kind, hole, numbers in self.regions]

    def corners(self, kind, numbers):
        """Corners (n, 2) of a region."""
        corners = np.array(numbers, float).reshape(-1, 2)
        if kind != _ELLIPSE:
            return corners
        if len(corners) != 2:
            refuse(f"{self.path} holds an ellipse without its box", expected="two opposite corners",
                   received=f"{len(corners)} vertices", remedy="draw it again, or delete it")  # fmt: skip
        angle = np.arange(_ELLIPSE_CORNERS) * (2 * np.pi / _ELLIPSE_CORNERS)
        circle = np.column_stack([np.sin(angle), np.cos(angle)])
        return corners.mean(axis=0) + circle * (corners[1] - corners[0]) / 2

    def start(self, name, attributes):
        if not self.rooted and name != "Annotations":
            self.refuse("is no annotation of Aperio ImageScope", "<Annotations>", f"<{name}>",
                        "export it from ImageScope as XML")  # fmt: skip
        self.rooted = True
        if name == "Region":
            kind = attributes.get("Type", _FREEHAND)
            if kind not in (_FREEHAND, _RECTANGLE, _ELLIPSE):
                self.refuse("holds a region that is drawn as no area", "Type 0, 1 or 2 (free-hand, rectangle, ellipse)",
                            f"Type {kind}", "draw it again free-hand, or delete it")  # fmt: skip
            self.regions.append((kind, attributes.get("NegativeROA") == "1", []))
        elif name == "Vertex":
            try:
                x, y = float(attributes["X"]), float(attributes["Y"])
            except (KeyError, ValueError):
                self.refuse("holds a vertex without a place", "numbers X and Y", attributes,
                            "export the annotation again")  # fmt: skip
            if not self.regions:
                self.refuse("holds a vertex outside of any region", "<Region> around it", "none",
                            "export the annotation again")  # fmt: skip
            self.regions[-1][2].extend((y, x))

    def doctype(self, *_):
        # Entities are declared here and nowhere else; without them a small file stays small.
        self.refuse("declares a document type", "plain XML", "<!DOCTYPE", "remove that declaration")

    def refuse(self, what, expected, received, remedy):
        refuse(f"{self.path}, line {self.parser.CurrentLineNumber}, {what}", expected=expected, received=received,
               remedy=remedy)  # fmt: skip
