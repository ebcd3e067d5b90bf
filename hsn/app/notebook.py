"""The viewer of `hsn app` as a widget of a notebook.

Tiles and annotations travel as messages of the kernel. It therefore works wherever the notebook does, also on another
machine. The page is the same code as that of the app: `static/viewer.js`, `editor.js` and `tools.js`.
"""

import os
import re
import tempfile
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import anywidget
import numpy as np
import traitlets

from ..checks import as_image
from ..errors import InputError
from ..files import write_json
from ..images.read import write
from ..images.slide import open_slide
from .features import check_feature
from .predictions import palette_of, paste_block
from .predictor import segment_block
from .project import AIMS, COLORS
from .tiles import EMPTY, TILE_PX, ImageTiles, levels_of, palette_png, tile_box

STATIC = Path(__file__).parent / "static"
_MODULES = ("dom.js", "viewer.js", "editor.js", "tools.js", "keyboard.js", "widget.js")
_NET_PIXELS = 16_000_000  # a larger image is a case for `hsn app`, which runs nets on what is visible
_NAME = "image"


def bundle() -> str:
    """Return OpenLayers and the modules of the viewer as one ES module, which exports `render`.

    Examples
    --------
    >>> bundle().rstrip().endswith("export default { render };")
    True
    """
    parts = [(STATIC / "vendor" / "ol.js").read_text(encoding="utf-8")]
    for name in _MODULES:
        text = re.sub(r"^import .*;$", "", (STATIC / name).read_text(encoding="utf-8"), flags=re.MULTILINE)
        parts.append(re.sub(r"^export (?!default)", "", text, flags=re.MULTILINE))
    return "\n".join(parts)


class Viewer(anywidget.AnyWidget):
    """Show an image or a slide in a notebook: look, mark, and see what a net finds.

    Parameters
    ----------
    image : path, or uint8 array (H, W, 3)
        A slide or an image.
    model : str, path or hsn.models.Model, optional
        Net that segments the image, which must have at most 16 million pixels. Default: no net.
    mpp : float, optional
        Micrometers per pixel. Default: that of the file.
    classes : dict of str to {"object", "tissue"}, optional
        Classes of the marks. Default: Nucleus and Background.

    Attributes
    ----------
    features : list of dict
        The marks as GeoJSON features in pixels of the image: x to the right, y down. They can be set, too.
    objects : list of dict
        What the net found, as GeoJSON features.

    Raises
    ------
    InputError
        "viewer-too-large" for a net and a larger image; "slide-mpp-missing" without a scale; "feature-invalid" when
        marks are set; or an error of the reader or of the net.

    Examples
    --------
    >>> viewer = Viewer(np.zeros((40, 60, 3), np.uint8), mpp=0.25)
    >>> viewer.image["width"], viewer.features
    (60, [])
    """

    _esm = bundle()
    _css = "\n".join((STATIC / name).read_text(encoding="utf-8") for name in ("vendor/ol.css", "widget.css"))
    image: Any = traitlets.Dict().tag(sync=True)
    classes: Any = traitlets.List().tag(sync=True)
    net = traitlets.Unicode("").tag(sync=True)
    features: Any = traitlets.List().tag(sync=True)

    def __init__(
        self,
        image: str | os.PathLike | np.ndarray,
        model: Any = None,
        *,
        mpp: float | None = None,
        classes: Mapping[str, str] | None = None,
    ) -> None:
        path = image if isinstance(image, str | os.PathLike) else _keep(self, as_image(image))
        self._slide = open_slide(path, mpp=mpp)
        self._tiles = ImageTiles(lambda name: self._slide)
        self._block: Any = None
        self.objects: list[dict[str, Any]] = []
        width, height = self._slide.dimensions
        about = {"id": _NAME, "name": Path(path).name, "width": width, "height": height, "tags": {},
                 "levels": levels_of(self._slide), "mpp": self._slide.mpp}  # fmt: skip
        kinds = [
            {"name": name, "color": list(COLORS[k % len(COLORS)]), "kind": kind}
            for k, (name, kind) in enumerate((classes or AIMS["nuclei"].classes).items())
        ]
        found = "" if model is None else self._segment(model)
        super().__init__(image=about, classes=kinds, net=found)
        self.on_msg(self._answer)

    def save(self, path: str | os.PathLike) -> None:
        """Write the marks as GeoJSON for QuPath and `hsn fit`."""
        write_json(Path(path), {"type": "FeatureCollection", "features": self.features})

    def tile(self, path: str) -> bytes:
        """Return the tile of an address of the page: JPEG of the image, or PNG of what the net found.

        Parameters
        ----------
        path : str
            "tiles/image/image/Z/X/Y", or "tiles/image/net/0/Z/X/Y?least=0.5".
        """
        address = urlsplit(path)
        kind, *_, z, x, y = address.path.split("/")[2:]
        place = int(z), int(x), int(y)
        if kind == "image":
            return self._tiles.jpeg(_NAME, *place) or EMPTY
        box = tile_box(self._slide, *place)
        if box is None or self._block is None:
            return EMPTY
        left, top, *size = box
        codes, sure, about = self._block
        least = float(parse_qs(address.query).get("least", ["0"])[0])
        shown = np.zeros((TILE_PX, TILE_PX), np.uint8)
        block = np.where(sure >= 255 * least, codes, 0), about
        step = 2 ** place[0]
        paste_block(shown, block, (left * step, top * step), step, (size[0], size[1]))
        own = {kind["name"]: tuple(kind["color"]) for kind in self.classes}
        return palette_png(shown, palette_of(about, own))

    @traitlets.validate("features")
    def _check(self, proposal: Any) -> list[dict[str, Any]]:
        size = (self.image["width"], self.image["height"])
        colors = {kind["name"]: tuple(kind["color"]) for kind in self.classes}
        return [check_feature(feature, size, list(colors), colors) for feature in proposal["value"]]

    def _segment(self, model: Any) -> str:
        """Segment the image; return the name of the net."""
        from ..supervision import open_model

        width, height = self._slide.dimensions
        if width * height > _NET_PIXELS:
            raise InputError(
                "viewer-too-large", f"an image with a net must have at most {_NET_PIXELS:,} pixels",
                got=f"{width} x {height}", hint="use `hsn app`, or show a region: slide.read_region(x, y, w, h)",
            )  # fmt: skip
        net = open_model(model)
        pixels = self._slide.read_level(0, 0, height, width)
        codes, sure, _, names, colors, objects = segment_block(
            net, pixels, self._slide.mpp, (0, 0, width, height)
        )
        self._block = codes, sure, {"read": [0, 0], "factor": 1.0, "classes": names, "colors": colors}
        self.objects = objects
        return str(net.card.name)

    def _answer(self, widget: Any, content: Any, buffers: Any) -> None:
        """Answer the request of the page for a tile."""
        self.send({"number": content["number"]}, [self.tile(content["path"])])


def _keep(viewer: Any, image: np.ndarray) -> Path:
    """Write an image to a file that is removed with the widget."""
    folder = tempfile.TemporaryDirectory(prefix="hsn-")
    weakref.finalize(viewer, folder.cleanup)
    path = Path(folder.name) / "image.png"
    write(path, image)
    return path
