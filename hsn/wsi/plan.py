"""The plan of a run over a slide: everything that decides the result, and nothing else.

The net runs on windows of one fixed lattice. Blocks, workers and memory are not in the plan: they only decide who
computes.
"""

import hashlib
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

FORMAT = 1
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
        "slide-net-unsupported" for nets of tissue classes, detectors, and nets that normalize stains.
    """
    _, config = method_of(model)
    reason = None
    if model.card.method == "tags":
        reason = "it was trained on tags"
    elif getattr(config, "detector", None) is not None:
        reason = "it is a detector"
    elif config.normalization.stain is not None:
        reason = "it normalizes stains"
    if reason is not None:
        raise InputError(
            "slide-net-unsupported",
            f"a net for slides must separate objects without stain normalization, but {model.card.name} cannot run on "
            "slides yet",
            got=reason,
            hint="use nuclei-masks or glas-masks, or export regions of the slide as images",
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
    reader = slide.at(config.mpp)
    step = size_divisor(model.net)
    core = -(-max(WINDOW_PX, config.tiling.tile_px) // step) * step
    window = [min(core, -(-side // step) * step) for side in reader.shape[:2]]
    digest = hashlib.sha256(repr(tissue.shape).encode() + np.packbits(tissue).tobytes())
    return {
        "format": FORMAT,
        "slide": {"fingerprint": slide.fingerprint, "reader": slide.reader, "mpp": slide.mpp},
        "model": {"name": model.card.name, "sha256": model.card.sha256},
        "taxonomy": config.taxonomy(taxonomy).name,
        "normalization": {"mean": list(config.normalization.mean), "std": list(config.normalization.std)},
        "postprocess": config.postprocess.to_dict(),
        "lattice": {
            "shape": list(reader.shape[:2]),
            "mpp": config.mpp,
            "window": window,
            "halo": tile_halo(model.net, config.tiling),
            "tta": config.tiling.tta,
            "classes": int(model.net.output_shape[-1]),
        },
        "tissue": digest.hexdigest(),
    }


def opened(job: Job) -> Model:
    """Return the loaded net of a job; it is kept for the next task of this process."""
    model: Model = open_model(job.model)
    return model
