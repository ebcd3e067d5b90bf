"""Segment whole slides: choose the way, find the tissue mask, name the results."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from .. import __version__
from ..data.image_files import SLIDES, distinct_names
from ..errors import InputError, collect_failures
from ..files import atomic_write, check_writable, walk_files, write_json
from ..images.slide import Slide, is_slide, open_slide
from ..images.tissue import TISSUE_MPP, slide_tissue
from ..limits import READ_PIXELS
from ..models import Model
from ..notes import collect_notes, note
from ..progress import Progress, track
from ..rasters import decode
from ..wsi.executors import Executor, executor_for
from ..wsi.plan import check_supported
from ..wsi.result import SlideResult
from ..wsi.run import Options, block_px_for, segment_slide
from .slide_report import write_report

MEMORY_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
MASK_SUFFIX = ".png"  # of tissue masks
SLIDE_NUMBERS = ("objects", "tissue_mm2", "objects_per_mm2", "seconds", "peak_memory_mb")  # of `summary.csv`
_SAME_RATIO = 0.02  # of the proportions of a mask and its slide


@dataclass(frozen=True)
class SlideOptions:
    """Options for slides; see `hsn.segment`.

    Attributes
    ----------
    workers : int
    memory : int or str or None
    tissue : path, "none" or None
    skip_errors : bool
    shard : str or None
    cluster : path or None
    scheduler : str or None
    """

    workers: int = 1
    memory: int | str | None = None
    tissue: str | os.PathLike | None = None
    skip_errors: bool = False
    shard: str | None = None
    cluster: str | os.PathLike | None = None
    scheduler: str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.workers, bool) or not isinstance(self.workers, int) or self.workers < 1:
            raise InputError(
                "workers-invalid", "`workers` must be a whole number from 1 on", got=self.workers,
                hint="use the number of cores",
            )  # fmt: skip
        parse_memory(self.memory)
        parse_shard(self.shard)
        if sum((self.workers > 1, self.cluster is not None, self.scheduler is not None)) > 1:
            raise InputError(
                "workers-several", "`workers`, `cluster` and `scheduler` exclude each other", got="several of them",
                hint="give the number of workers in the cluster file",
            )  # fmt: skip

    def executor(self) -> Executor:
        """Return an executor; it is a context manager."""
        if self.cluster is None and self.scheduler is None:
            return executor_for(self.workers)
        from ..wsi.cluster import DaskExecutor, read_cluster

        described = None if self.cluster is None else read_cluster(Path(self.cluster))
        return DaskExecutor(scheduler=self.scheduler, cluster=described)


def parse_shard(text: str | None) -> tuple[int, int] | None:
    """Return the number of a shard, from 1, and the number of shards, such as of "3/16".

    Raises
    ------
    InputError
        "shard-invalid".

    Examples
    --------
    >>> parse_shard("3/16")
    (3, 16)
    """
    if text is None:
        return None
    number, _, count = str(text).partition("/")
    if number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count):
        return int(number), int(count)
    raise InputError(
        "shard-invalid", "`shard` must be a number and a total, such as 3/16", got=text,
        hint="count the shards from 1; in a SLURM array with --array=1-16 give $SLURM_ARRAY_TASK_ID/16",
    )  # fmt: skip


def take_shard(pairs: list[tuple[Path, str]], shard: str | None) -> list[tuple[Path, str]]:
    """Return the files of a shard: large and small ones are dealt evenly, the same in every call.

    Parameters
    ----------
    pairs : list of (path, str)
        Files and their names.
    shard : str or None
        "3/16"; None returns all.
    """
    parsed = parse_shard(shard)
    if parsed is None:
        return pairs
    dealt = sorted(pairs, key=lambda pair: (-_size(pair[0]), pair[1]))[parsed[0] - 1 :: parsed[1]]
    return [pair for pair in pairs if pair in dealt]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # the reader raises a better error
        return 0


def parse_memory(text: int | str | None) -> int | None:
    """Return a number of bytes, such as of "6GB".

    Raises
    ------
    InputError
        "memory-invalid".

    Examples
    --------
    >>> parse_memory("1.5GB")
    1500000000
    """
    if text is None:
        return None
    words = str(text).strip().upper()
    number = words.rstrip("KMGTB")
    try:
        value = int(float(number) * MEMORY_UNITS[words[len(number) :].strip()])
        if value > 0:
            return value
    except (KeyError, ValueError, OverflowError):
        pass
    raise InputError("memory-invalid", "`memory` must be an amount above 0", got=text, hint='give "6GB"')


def runs_as_slide(path: Path, model: Model) -> bool:
    """Check whether a file is processed as a slide; note a small slide that the net segments as one image."""
    if not is_slide(path):
        return False
    try:
        check_supported(model)
        return True
    except InputError as error:
        try:
            width, height = open_slide(path, mpp=1.0).dimensions
            if width * height > READ_PIXELS:
                raise error
            decode(path)
        except InputError:
            raise error from None
        note(
            f"{model.card.name} does not run on slides yet, so small slides are segmented as one image", path
        )
        return False


def segment_one_slide(
    slide: Slide,
    model: Any,
    out: str | os.PathLike,
    *,
    name: str,
    taxonomy: str | None,
    save: Sequence[str],
    options: SlideOptions,
    executor: Executor,
    overwrite: bool,
    progress: Progress | None,
) -> tuple[SlideResult, dict[str, Any]]:
    """Segment a slide into ``out/NAME/``; return the result and the content of ``out/areas/NAME.json``."""
    memory = parse_memory(options.memory)
    share = None if memory is None else memory // options.workers
    with collect_notes() as notes:
        result = segment_slide(
            slide,
            model,
            Path(out) / name,
            taxonomy=taxonomy,
            tissue=_tissue_of(slide, options.tissue),
            save=save,
            options=Options(options.workers, block_px_for(share), overwrite, options.skip_errors),
            executor=executor,
            progress=progress,
        )
    about = _about(slide, result) | {"warnings": "; ".join(notes.sentences())}
    about |= write_report(result, about, Path(out), name)
    write_json(Path(out) / "areas" / f"{name}.json", about)
    return result, about


def _about(slide: Slide, result: SlideResult) -> dict[str, Any]:
    """Return the numbers of a result, for its file of areas."""
    summary, (height, width) = result.summary, result.job.shape
    scores = summary.get("scores", [None] * len(result.taxonomy))
    tissue_mm2 = sum(summary["classes_mm2"])
    classes = [
        {"name": kind.name, "color": kind.color, "fraction": area / tissue_mm2 if tissue_mm2 else 0.0}
        | {"area_mm2": area}
        | ({} if score is None else {"score": score})
        for kind, area, score in zip(result.taxonomy.classes, summary["classes_mm2"], scores, strict=True)
    ]
    return {
        "image": slide.path,
        "model": summary["model"],
        "taxonomy": result.taxonomy.name,
        "height": height,
        "width": width,
        "mpp": slide.mpp,
        "mpp_source": slide.mpp_source,
        "classes": classes,
        **{key: summary[key] for key in (*SLIDE_NUMBERS, "least_sure") if key in summary},
        "files": dict(summary["files"]),
        "hsn": __version__,
    }


def find_tissues(
    slides: str | os.PathLike | Sequence,
    out: str | os.PathLike,
    *,
    mpp: float | None = None,
    progress: Progress | None = None,
) -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
    """Write the tissue masks of slides as PNG files at 8 um/px.

    Parameters
    ----------
    slides : path or sequence of path
        Slides, and folders of slides.
    out : path
        Folder for the masks, ``out/NAME.png``; white is tissue.
    mpp : float, optional
        Micrometers per pixel of the slides. Default: that of their metadata.
    progress : callable, optional
        Receives progress events and can cancel; see `hsn.progress`.

    Returns
    -------
    rows : list of dict
        `slide`, `mask`, `tissue_mm2` and `fraction` of each slide.
    failures : list of (str, str)
        Slides that cannot be read, and the reasons.

    Raises
    ------
    InputError
        "slides-missing" if no slide is found.
    """
    check_writable(out)
    found = find_slides(slides)
    rows: list[dict[str, Any]] = []
    failures: list[tuple[str, str]] = []
    for path, name in track(list(zip(found, distinct_names(found), strict=True)), progress, "finding tissue"):
        with collect_failures(failures, path):
            mask = slide_tissue(open_slide(path, mpp=mpp))
            place = Path(out) / f"{name}{MASK_SUFFIX}"
            write_mask(place, mask)
            area = float(mask.sum()) * (TISSUE_MPP / 1000) ** 2
            rows.append({"slide": path, "mask": place, "tissue_mm2": area, "fraction": float(mask.mean())})
    return rows, failures


def find_slides(places: str | os.PathLike | Sequence) -> list[Path]:
    """Return the slides in folders, also damaged files with the suffix of a scanner, and the files that are named.

    Raises
    ------
    InputError
        "slides-missing".
    """
    places = [places] if isinstance(places, str | os.PathLike) else list(places)
    found: dict[Path, None] = {}
    for place in map(Path, places):
        files = walk_files(place) if place.is_dir() else [place]
        found |= dict.fromkeys(path for path in files if path == place or _looks_like_slide(path))
    if not found:
        raise InputError(
            "slides-missing", "`slides` must be slides or folders of slides", got=", ".join(map(str, places)),
            hint="correct the paths",
        )  # fmt: skip
    return list(found)


def _looks_like_slide(path: Path) -> bool:
    return path.suffix.lower() in (".svs", *SLIDES) or is_slide(path)


def write_mask(path: Path, mask: np.ndarray) -> None:
    """Write a mask as a PNG of 0 and 255."""
    with atomic_write(path) as temporary:
        Image.fromarray(mask.astype(np.uint8) * 255).save(temporary)


def _tissue_of(slide: Slide, place: str | os.PathLike | None) -> np.ndarray | None:
    """Return the tissue mask that the user gave: everything for "none"; None to find it."""
    if place is None:
        return None
    if str(place) == "none":
        return np.ones((1, 1), bool)
    path = Path(place)
    path = path / f"{slide.path.stem}{MASK_SUFFIX}" if path.is_dir() else path
    pixels = decode(path).pixels
    mask = pixels if pixels.ndim == 2 else pixels.max(axis=2)
    ratio = (mask.shape[1] / mask.shape[0]) / (slide.dimensions[0] / slide.dimensions[1])
    if not abs(ratio - 1) <= _SAME_RATIO + 2 / min(mask.shape):
        raise InputError(
            "tissue-shape", f"{path} must have the proportions of the slide", got=f"{mask.shape[1]} x {mask.shape[0]}",
            hint="make it with `hsn tissue`, and keep its size when you edit it",
        )  # fmt: skip
    return np.asarray(mask > 0)
