"""The plan of a run over a slide: everything that decides the result, and nothing else.

The net runs on windows of one fixed lattice. Blocks, workers and memory are not in the plan: they only decide who
computes.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..config import BaseConfig, PostProcess
from ..errors import InputError
from ..images.slide import Slide
from ..models import Model
from ..nets.reach import size_divisor
from ..objects.regions import Box
from ..prediction.tiling import tile_halo
from ..records import parse
from ..store.folder import RunFolder
from ..supervision import method_of, open_model
from ..supervision.tags.overlapped_windows import stride_px

FORMAT = 2
OBJECTS, CLASSES, TAGS = "objects", "classes", "tags"  # kinds of runs
GROUP = 4  # windows of a net of tags that are predicted together, along each axis
WINDOW_PX = 1024  # smallest core of a window: the halo is computed again in every window


class StoredSlide(NamedTuple):
    """Describes a slide for exports; its file may be gone."""

    path: Path
    dimensions: tuple[int, int]
    mpp: float


@dataclass(frozen=True)
class Job:
    """Describe a run to a worker; it can be sent to another process.

    Attributes
    ----------
    slide : Slide
        A `StoredSlide` in a finished run that is opened later.
    model : str, path or Model
    folder : str
        The run folder.
    plan : dict
    block_px : int
        Side of the blocks in which objects are separated.
    token : str
        Name of this call: what a process keeps for the next task is kept per call.
    """

    slide: Any
    model: Any
    folder: str
    plan: dict[str, Any]
    block_px: int
    token: str

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the slide at the net's scale."""
        height, width = self.plan["lattice"]["shape"]
        return height, width

    @property
    def mpp(self) -> float:
        """Micrometers per pixel of the net."""
        return float(self.plan["lattice"]["mpp"])

    @property
    def window(self) -> tuple[int, int]:
        """Height and width of the core of a window."""
        height, width = self.plan["lattice"]["window"]
        return height, width

    @property
    def kind(self) -> str:
        """OBJECTS, CLASSES, or TAGS."""
        return str(self.plan["kind"])

    @cached_property
    def postprocess(self) -> PostProcess:
        """Numbers of the post-processing."""
        result: PostProcess = parse(PostProcess, self.plan["postprocess"])
        return result

    @cached_property
    def run(self) -> RunFolder:
        """The run folder."""
        return RunFolder.attach(self.folder, self.plan)

    def boxes(self, height: int, width: int) -> dict[str, Box]:
        """Return the boxes of a grid over the slide by key, "row.col"."""
        return {
            f"{row // height}.{col // width}": Box(row, col, height, width).grown(0, self.shape)
            for row in range(0, self.shape[0], height)
            for col in range(0, self.shape[1], width)
        }


def check_supported(model: Model) -> BaseConfig:
    """Return the config of a net that runs on slides.

    Raises
    ------
    InputError
        "slide-net-unsupported" for detectors.
    """
    _, config = method_of(model)
    if getattr(config, "detector", None) is not None:
        raise InputError(
            "slide-net-unsupported",
            f"a net for slides must have an output for each pixel, but {model.card.name} cannot run on slides yet",
            got="a detector of boxes",
            hint="use nuclei-masks, glas-masks or glas-tags, or export regions of the slide as images",
        )
    result: BaseConfig = config
    return result


def make_plan(slide: Slide, model: Model, taxonomy: str | None, tissue: np.ndarray) -> dict[str, Any]:
    """Return the plan of a run, as plain data.

    Parameters
    ----------
    slide : Slide
    model : Model
    taxonomy : str or None
        Label space of the net. None: its first.
    tissue : bool array, shape (H, W)
        Mask of the tissue at any scale.

    Raises
    ------
    InputError
        "slide-net-unsupported" or "taxonomy-unknown".
    """
    config: Any = check_supported(model)
    shape = slide.at(config.mpp).shape[:2]
    digest = hashlib.sha256(repr(tissue.shape).encode() + np.packbits(tissue).tobytes())
    plan = {
        "format": FORMAT,
        "slide": {"fingerprint": slide.fingerprint, "reader": slide.reader, "mpp": slide.mpp},
        "model": {"name": model.card.name, "sha256": model.card.sha256},
        "taxonomy": config.taxonomy(taxonomy).name,
        "normalization": json.loads(json.dumps(config.to_dict()["normalization"])),
        "tissue": digest.hexdigest(),
    }
    if model.card.method == "tags":
        return plan | _plan_of_tags(config, shape, taxonomy)
    return plan | _plan_of_tiles(model, config, shape, taxonomy)


def _plan_of_tiles(model: Model, config: Any, shape: tuple[int, int], taxonomy: str | None) -> dict[str, Any]:
    """Return what decides the result of a net that runs on tiles with a halo."""
    step = size_divisor(model.net)
    core = -(-max(WINDOW_PX, config.tiling.tile_px) // step) * step
    start, stop, kind = _channels(model, config, taxonomy)
    lattice = {
        "shape": list(shape),
        "mpp": config.mpp,
        "window": [min(core, -(-side // step) * step) for side in shape],
        "halo": tile_halo(model.net, config.tiling),
        "tta": config.tiling.tta,
        "channels": [start, stop],
        "classes": stop - start,
    }
    return {"kind": kind, "postprocess": config.postprocess.to_dict(), "lattice": lattice}


def _channels(model: Model, config: Any, taxonomy: str | None) -> tuple[int, int, str]:
    """Return the first and the last + 1 output of the net for a taxonomy, and what they give."""
    if model.card.method != "mixed":
        return 0, int(model.net.output_shape[-1]), OBJECTS
    head = config.head_of(config.taxonomy(taxonomy))
    return head.start, head.stop, CLASSES if head.name == "tissue" else OBJECTS


def _plan_of_tags(config: Any, shape: tuple[int, int], taxonomy: str | None) -> dict[str, Any]:
    """Return what decides the result of a net that was trained on tags: overlapping windows of one grid."""
    stride, chosen = stride_px(config), config.taxonomy(taxonomy)
    fields = ("thresholds", "taxonomies", "cam_layers", "cam_norm", "subtraction", "crf")
    lattice = {
        "shape": list(shape),
        "mpp": config.mpp,
        "window": [GROUP * stride] * 2,
        "window_px": config.window_px,
        "stride_px": stride,
        "tta": config.tta,
        "classes": len(chosen),
    }
    numbers = json.loads(json.dumps({name: config.to_dict()[name] for name in fields}))
    (space,) = json.loads(json.dumps(config.replace(taxonomies=(chosen,)).to_dict()["taxonomies"]))
    return {"kind": TAGS, "stages": numbers, "space": space, "lattice": lattice}


def opened(job: Job) -> Model:
    """Return the loaded net of a job; it is kept for the next task of this process."""
    model: Model = open_model(job.model)
    return model
