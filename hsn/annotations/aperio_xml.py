"""Read Aperio ImageScope XML (the format of MoNuSeg) as outlines or instances.

The file is parsed as a stream with Expat. Document types, and therefore all entities, are rejected; so are files over
1 GiB. Only `Region` and `Vertex` elements are used. The layers (`Annotation`) are read in file order.
"""

from pathlib import Path
from typing import IO, NoReturn
from xml.parsers import expat

import numpy as np

from ..errors import InputError
from ..files import check_file
from ..limits import XML_BYTES
from .point_tables import parse_number
from .polygons import Outline, fill_outlines

# The largest MoNuSeg file has 8 MB; a whole slide with 100,000 nuclei about 500 MB.
# Region types of ImageScope: free-hand or polygon; rectangle (four corners); ellipse (two opposite corners of its box).
_FREEHAND, _RECTANGLE, _ELLIPSE = "0", "1", "2"
_ELLIPSE_CORNERS = 720  # error below 0.001 pixel for an ellipse of 100 pixels


def read_instances(path: Path | str, shape: tuple[int, int]) -> np.ndarray:
    """Read the regions of an annotation file as instances.

    Parameters
    ----------
    path : path
        XML file of Aperio ImageScope.
    shape : (int, int)
        Height and width of the image; regions are clipped to it.

    Returns
    -------
    int32 (H, W)
        0 background, 1..n in file order, without gaps. Later regions overwrite earlier ones. A negative region is a
        hole in the regions of its layer, wherever it stands. See `hsn.annotations.polygons.fill_outlines`.

    Raises
    ------
    InputError
        See `read_outlines`.

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
    >>> read_instances(path, (3, 4)).tolist()
    [[0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
    """
    return fill_outlines(read_outlines(path), shape, where=path)


def read_outlines(path: Path | str) -> list[Outline]:
    """Read the regions of an annotation file as outlines.

    Parameters
    ----------
    path : path
        XML file of Aperio ImageScope.

    Returns
    -------
    list of Outline
        In file order, in pixels at full resolution.

    Raises
    ------
    InputError
        "file-unreadable", "file-too-large", "xml-malformed", "xml-doctype", "xml-not-imagescope", "region-type",
        "region-ellipse" or "region-vertex". The message names the line.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "slide.xml"
    >>> _ = path.write_text('<Annotations><Region NegativeROA="1"><Vertex X="4" Y="2.5"/></Region></Annotations>')
    >>> read_outlines(path)
    [Outline(points=array([[2.5, 4. ]]), hole=True, layer=0, rings=())]
    """
    path = Path(path)
    check_file(path, max_bytes=XML_BYTES)
    try:
        with path.open("rb") as file:
            return _Reader(path).read(file)
    except OSError as error:
        raise InputError(
            "file-unreadable", f"{path} must be an XML file", got=error.strerror, hint="check the path"
        ) from None


class _Reader:
    """Collects the regions while Expat parses the file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.regions: list[
            tuple[str, bool, int, list[float]]
        ] = []  # (type, hole, layer, [row, col, row, ...])
        self.layer = 0
        self.has_root = False
        self.parser = expat.ParserCreate()
        self.parser.StartElementHandler = self.start
        self.parser.StartDoctypeDeclHandler = self.doctype

    def read(self, file: IO[bytes]) -> list[Outline]:
        try:
            self.parser.ParseFile(file)
        except expat.ExpatError as error:
            self.fail("xml-malformed", "must be well-formed XML", error, "export the annotation again")
        return [
            Outline(self.corners(kind, corners), hole, layer) for kind, hole, layer, corners in self.regions
        ]

    def corners(self, kind: str, numbers: list[float]) -> np.ndarray:
        """Return the corners (n, 2) of a region."""
        corners = np.array(numbers, float).reshape(-1, 2)
        if kind != _ELLIPSE:
            return corners
        if len(corners) != 2:
            raise InputError(
                "region-ellipse",
                f"ellipses in {self.path} must have two opposite corners",
                got=f"{len(corners)} vertices",
                hint="draw the ellipse again, or delete it",
            )
        angle = np.arange(_ELLIPSE_CORNERS) * (2 * np.pi / _ELLIPSE_CORNERS)
        circle = np.column_stack([np.sin(angle), np.cos(angle)])
        return corners.mean(axis=0) + circle * (corners[1] - corners[0]) / 2

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if not self.has_root and name != "Annotations":
            must = "must be the root element <Annotations> of Aperio ImageScope"
            self.fail("xml-not-imagescope", must, f"<{name}>", "export the annotation from ImageScope as XML")
        self.has_root = True
        if name == "Annotation":
            self.layer += 1
        elif name == "Region":
            kind = attributes.get("Type", _FREEHAND)
            if kind not in (_FREEHAND, _RECTANGLE, _ELLIPSE):
                must = "must be a region of type 0, 1 or 2 (free-hand, rectangle, ellipse)"
                self.fail("region-type", must, f"type {kind}", "draw it again free-hand, or delete it")
            self.regions.append((kind, attributes.get("NegativeROA") == "1", self.layer, []))
        elif name == "Vertex":
            x, y = (parse_number(attributes.get(axis, "")) for axis in "XY")
            if x is None or y is None:
                self.fail(
                    "region-vertex", "must have numbers X and Y", attributes, "export the annotation again"
                )
            if not self.regions:
                self.fail(
                    "region-vertex", "must be inside of a <Region>", "a vertex outside", "export it again"
                )
            self.regions[-1][3].extend((y, x))

    def doctype(self, *_: object) -> None:
        # Entities can only be declared in a document type; without them a small file stays small in memory.
        self.fail("xml-doctype", "must not declare a document type", "<!DOCTYPE", "remove the declaration")

    def fail(self, code: str, must: str, got: object, hint: str) -> NoReturn:
        line = self.parser.CurrentLineNumber
        raise InputError(code, f"{self.path}, line {line}, {must}", got=got, hint=hint) from None
