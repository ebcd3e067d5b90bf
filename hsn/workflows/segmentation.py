"""Segment one image, or a folder of images; write files and a table of the results."""

import csv
import hashlib
import json
import os
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..checks import as_mpp
from ..data.image_files import distinct_names, find_images
from ..errors import ENDS_BATCH, InputError, as_input_error, printable
from ..exports.formats import EXPORTS, check_formats
from ..files import (
    atomic_write,
    check_file,
    check_writable,
    csv_text,
    from_csv_text,
    read_text,
    remove_leftovers,
)
from ..images.scale import Scale
from ..images.slide import Slide, open_slide
from ..limits import SLIDE_BYTES
from ..models.folders import CARD, CONFIG, OLD_CONFIG, Model, find
from ..notes import collect_notes
from ..progress import Progress, report, track
from ..reports.results import (
    FORMATS,
    REPORT,
    available_formats,
    save_segmentation,
    write_summary_page,
)
from ..supervision import method_of, open_model
from ..supervision import segment as segment_image
from ..types import Segmentation
from ..wsi.executors import peak_memory_mb
from ..wsi.result import SlideResult
from .cohort import CohortProgress
from .domain_check import check_domain
from .scale_check import ScaleCheck
from .slides import (
    SLIDE_NUMBERS,
    SlideOptions,
    parse_shard,
    runs_as_slide,
    segment_one_slide,
    take_shard,
)

SUMMARY = "summary.csv"
_COLUMNS = (
    "image", "name", "status", "reason", "model", "taxonomy", "height", "width", "mpp", "mpp_source", "objects"
)  # fmt: skip
_FRACTION, _RUN = "fraction of ", "run"


def segment(
    image: Any,
    model: Any,
    *,
    out: str | os.PathLike | None = None,
    taxonomy: str | None = None,
    mpp: float | None = None,
    save: Sequence[str] = (),
    overwrite: bool = False,
    workers: int = 1,
    memory: int | str | None = None,
    tissue: str | os.PathLike | None = None,
    skip_errors: bool = False,
    shard: str | None = None,
    cluster: str | os.PathLike | None = None,
    scheduler: str | None = None,
    progress: Progress | None = None,
) -> Segmentation | SlideResult | list[dict]:
    """Segment an image, a whole slide, or all images of a folder.

    Parameters
    ----------
    image : uint8 array, shape (H, W, 3), path, Slide, or sequence of paths
        RGB image of an H&E-stained section of any size, a file, a slide, or folders and files.
    model : str, path or hsn.models.Model
        Name of an installed net, a trained folder, or a loaded model.
    out : path, optional
        Folder for label images, overlays, areas and, with several images, `summary.csv`. Required for a folder.
    taxonomy : str, optional
        Label space of the net, or a file whose classes the net has. Default: the first.
    mpp : float, optional
        Micrometers per pixel of the images. Default: that of the metadata of a TIFF, SVS or OME-TIFF file. For other
        files that of the net's training images is assumed, with a warning; for arrays without.
    save : sequence of str
        Further formats of the files in `out`: "geojson", "csv", "parquet", ...; see `hsn.export`. Default: none.
    overwrite : bool
        Whether to segment images again that `out` already holds for the same net and options. Default: False.
    workers : int
        Slides only: number of processes. Default: 1, this one.
    memory : int or str, optional
        Slides only: memory of all processes for post-processing, "6GB"; no result depends on it. Default: 400 MB each.
    tissue : path or "none", optional
        Slides only: a mask, or a folder of masks, of `hsn tissue`; "none" segments all. Default: find the tissue.
    skip_errors : bool
        Slides only: whether to leave out damaged parts. Default: False.
    shard : str, optional
        Folders only: "3/16" segments the third of 16 parts of the files, for a job of an array. Default: all files.
    cluster : path, optional
        Slides only: a YAML file that describes a cluster of Dask (`hsn.wsi.cluster`). Default: this machine.
    scheduler : str, optional
        Slides only: address of a running scheduler of Dask, "tcp://host:8786". Default: this machine.
    progress : callable, optional
        Receives progress events and can cancel; see `hsn.progress`.

    Returns
    -------
    Segmentation, SlideResult or list of dict
        For an array or a file: `labels`, `scores`, `taxonomy`, and `instances` if the net separates objects. For a
        slide: the number and the table of the objects, and arrays that stay on the disk. For a folder or a list: the
        rows of `summary.csv`.

    Raises
    ------
    InputError
        "out-missing" for a folder or a slide without `out`, or the code of an invalid image or net. In a folder, an
        invalid image does not stop the batch; its row has the status "failed". "formats-unknown" or
        "<package>-missing" for `save`.

    Examples
    --------
    >>> from skimage.data import immunohistochemistry
    >>> result = segment(immunohistochemistry()[:64, :64], "glas-tags")
    >>> result.labels.shape, result.taxonomy.names
    ((64, 64), ('Other', 'G.O'))
    """
    slides = SlideOptions(workers, memory, tissue, skip_errors, shard, cluster, scheduler)
    if not isinstance(image, np.ndarray | Slide) and not _is_file(image):
        batch = segment_all(
            image, model, _needed(out), taxonomy=taxonomy, mpp=mpp, save=save, overwrite=overwrite,
            slides=slides, progress=progress,
        )  # fmt: skip
        for sentence in batch.notes:
            warnings.warn(sentence, stacklevel=2)
        return batch.rows
    save = check_formats(save, others=[REPORT])
    with collect_notes() as notes:
        net = open_model(model)
        slide = _as_slide(image, net, mpp)
        result: Any
        if slide is not None:
            with slides.executor() as executor:
                result, _ = segment_one_slide(
                    slide, model, _needed(out), name=slide.path.stem, taxonomy=taxonomy, save=_without_report(save),
                    options=slides, executor=executor, overwrite=overwrite, progress=progress,
                )  # fmt: skip
        else:
            scales = ScaleCheck(net)
            result, scale = _segment_one(image, net, scales, taxonomy=taxonomy, mpp=mpp, progress=progress)
            scales.note_sizes()
    for sentence in notes.sentences():
        warnings.warn(sentence, stacklevel=2)
    if out is not None and slide is None:
        path = "image" if isinstance(image, np.ndarray) else Path(image)
        about = {"image": path, "model": None}
        _save(result, out, Path(path).stem, scale, about, save)
    return result


@dataclass(frozen=True)
class Batch:
    """Result of the segmentation of several images.

    Attributes
    ----------
    rows : list of dict
        One per image, as in `summary.csv`.
    results : list of dict
        Content of the file of areas of each segmented image, skipped ones included.
    failures : list of (str, str)
        Images that could not be segmented, and the reasons.
    skipped : int
        Number of images that were segmented by an earlier call.
    files : int
        Number of written files.
    notes : list of str
        What was assumed about the images.
    scale : str
        Scale of the images that were segmented now; empty if there was none.
    """

    rows: list[dict]
    results: list[dict]
    failures: list[tuple[str, str]]
    skipped: int
    files: int
    notes: list[str] = field(default_factory=list)
    scale: str = ""


def segment_all(
    images: str | os.PathLike | Sequence,
    model: Any,
    out: str | os.PathLike,
    *,
    taxonomy: str | None = None,
    mpp: float | None = None,
    save: Sequence[str] = (),
    overwrite: bool = False,
    slides: SlideOptions | None = None,
    progress: Progress | None = None,
) -> Batch:
    """Segment images; write labels, overlay, areas and a row of `summary.csv` for each.

    The parameters are described in `segment`.

    Returns
    -------
    Batch

    Raises
    ------
    InputError
        "images-missing", or the code of an invalid net, taxonomy or scale.
    """
    with collect_notes() as notes:
        batch = _segment_all(
            images, model, Path(out), taxonomy=taxonomy, mpp=mpp, save=check_formats(save, others=[REPORT]),
            overwrite=overwrite, slides=slides or SlideOptions(), progress=progress,
        )  # fmt: skip
    return replace(batch, notes=notes.sentences())


def _segment_all(images, model, out, *, taxonomy, mpp, save, overwrite, slides, progress):
    found, failures = find_images(images, slides=True)
    if not found:
        raise InputError(
            "images-missing",
            "`image` must be images or folders of images",
            got="; ".join(reason.rstrip(".") for _, reason in failures) or "none",
            hint="correct the paths",
        )
    run = _Run(model, taxonomy, mpp if mpp is None else as_mpp(mpp))
    check_writable(out)
    folders = [EXPORTS[kind].folder if kind in EXPORTS else kind for kind in (*FORMATS, *save)]
    for folder in () if slides.shard else (out, *(out / kind for kind in folders)):
        remove_leftovers(folder)
    summary = _Summary(out / _table_name(slides.shard), keep=not overwrite)
    pairs = take_shard(list(zip(found, distinct_names(found), strict=True)), slides.shard)
    batch = _Files(
        run, out, slides, len(pairs), progress, taxonomy=taxonomy, mpp=mpp, save=save, overwrite=overwrite
    )
    results, skipped, files = [], 0, 0
    try:
        for path, name in track(pairs, progress, "segmenting"):
            key = run.key(path)
            row = None if overwrite else summary.row(name)
            earlier = _read_earlier(row, path, key, out, save)
            if earlier is not None:
                summary.add(row)
                results.append(earlier)
                skipped += 1
                batch.cohort.skip()
                continue
            try:
                about = batch.segment(path, name)
                failures += about.pop("failures", {}).items()
                results.append(about)
                files += len(about["files"])
                summary.add(_row(path, name, about, key))
            except Exception as error:
                failure = as_input_error(error)
                if run.is_own_error(error) or failure.code in ENDS_BATCH:
                    raise failure from None
                failures.append((printable(path), str(failure)))
                summary.add(
                    {"image": path, "name": name, "status": "failed", "reason": failure, "model": run.name}
                )
    finally:
        summary.close()
        batch.close()
    if slides.shard is None:
        _write_cohort_page(out, results)
    rows = [summary.row(name) for _, name in pairs]
    return Batch(rows, results, failures, skipped, files, scale=str(batch.scales or ""))


def _write_cohort_page(out, results):
    """Write the page of all images that have a report."""
    with_page = [result for result in results if REPORT in result["files"]]
    if with_page:
        numbers = [result["numbers"] for result in with_page]
        write_summary_page(out, numbers, [Path(result["files"][REPORT]).stem for result in with_page])


def _table_name(shard):
    """Return the name of the table of a batch; each shard writes its own."""
    parsed = parse_shard(shard)
    return SUMMARY if parsed is None else f"summary-{parsed[0]}-of-{parsed[1]}.csv"


class _Files:
    """Segments the files of a batch one by one; what they share is made when the first needs it."""

    def __init__(self, run, out, slides, count, progress, *, taxonomy, mpp, save, overwrite):
        self._run, self._out, self._slides, self._progress = run, out, slides, progress
        self._options = {"taxonomy": taxonomy, "save": save}
        self._mpp, self._overwrite = mpp, overwrite
        self.cohort = CohortProgress(progress, count)
        self.scales, self._executor = None, None

    def segment(self, path, name):
        """Segment an image or a slide, and write its files. Returns the content of the areas file."""
        self.scales = self.scales or ScaleCheck(self._run.model)
        check_file(path, max_bytes=SLIDE_BYTES)
        if not runs_as_slide(path, self._run.model):
            return _segment_file(
                path, self._run, self.scales, self._out, name, mpp=self._mpp, **self._options
            )
        slide = open_slide(path, mpp=self._mpp)
        self.scales.add(Scale(slide.mpp, slide.mpp_source), None)
        if self._executor is None:
            self._executor = self._slides.executor()
            link = getattr(self._executor, "dashboard", None)
            if link is not None:
                report(self._progress, f"workers start, see {link}", 0)
        with self.cohort.slide():
            result, about = segment_one_slide(
                slide, self._run.source, self._out, name=name, taxonomy=self._options["taxonomy"],
                save=_without_report(self._options["save"]), options=self._slides, executor=self._executor,
                overwrite=self._overwrite, progress=self.cohort,
            )  # fmt: skip
        return about | {"failures": result.summary["failures"]}

    def close(self):
        """End the processes, and note doubts about the sizes of objects."""
        if self._executor is not None:
            self._executor.__exit__(None, None, None)
        if self.scales:
            self.scales.note_sizes()


def _segment_file(path, run, scales, out, name, *, taxonomy, mpp, save):
    """Segment an image file and write its files. Returns the content of the areas file."""
    started = time.perf_counter()
    result, scale = _segment_one(path, run.model, scales, taxonomy=taxonomy, mpp=mpp)
    seconds = round(time.perf_counter() - started, 2)
    about = {
        "image": path,
        "model": run.name,
        "seconds": seconds,
        "hsn": __version__,
        "peak_memory_mb": peak_memory_mb(),
    }
    return _save(result, out, name, scale, about, save)


def _without_report(save):
    """Return the formats that a run over a slide writes itself."""
    return [kind for kind in save if kind != REPORT]


def _save(result, out, name, scale, about, save):
    """Write the files of an image: the default formats and those of `save`. Returns the content of the areas file."""
    formats = [*available_formats(result), *save]
    return save_segmentation(
        result, out, name=name, formats=formats, mpp=scale.mpp, mpp_source=scale.source, about=about
    )


def _segment_one(image, model, scales, *, taxonomy, mpp, progress=None):
    """Segment an image at its scale; note doubts about a file. Returns the result and the `Scale`."""
    scale = scales.of(image, mpp)
    result = segment_image(image, model, taxonomy=taxonomy, mpp=scale.mpp, progress=progress)
    doubtful = False
    if not isinstance(image, np.ndarray):
        doubtful = check_domain(model, result.image, scale.mpp, image)
        result = replace(result, name=Path(image).stem)
    scales.add(scale, result.instances, doubtful=doubtful)
    return replace(result, mpp=None if scale.source == "assumed" else scale.mpp), scale


def _as_slide(image, model, mpp):
    """Return the slide if an image is processed as one, else None."""
    if isinstance(image, Slide):
        return image
    if isinstance(image, np.ndarray) or not runs_as_slide(Path(image), model):
        return None
    return open_slide(image, mpp=mpp)


def _needed(out):
    """Return the folder for results; raise if it is missing."""
    if out is None:
        raise InputError(
            "out-missing", "`out` must name a folder for the results of several images or of a slide", got="None",
            hint='give out="results"',
        )  # fmt: skip
    return out


def _is_file(image):
    return isinstance(image, str | os.PathLike) and Path(image).is_file()


class _Run:
    """The net and the options of a batch; the net is loaded when the first image needs it."""

    def __init__(self, model, taxonomy, mpp):
        self.source, self._taxonomy, self._model, self._error = model, taxonomy, None, None
        if isinstance(model, Model):
            card, config = model.card.model_dump(), model.config
            self.name = model.card.name
        else:
            folder = find(model)
            files = (folder / name for name in (CARD, CONFIG, OLD_CONFIG))
            card, *config = (read_text(path) if path.is_file() else "" for path in files)
            self.name = folder.name
        self._settings = json.dumps([card, config, taxonomy, mpp], default=str)

    def key(self, path):
        """Return a digest of the net's files, the options and the state of the image file."""
        try:
            state = path.stat()
        except OSError:  # the reader raises a better error
            return ""
        text = f"{self._settings} {path.resolve()} {state.st_size} {state.st_mtime_ns}"
        return hashlib.sha256(os.fsencode(text)).hexdigest()[:16]

    @property
    def model(self):
        """The loaded model."""
        if self._model is None:
            try:
                self._model = open_model(self.source)
                method_of(self._model)[1].taxonomy(self._taxonomy)
            except InputError as error:
                self._error = error
                raise
        return self._model

    def is_own_error(self, error):
        """Check whether an error was raised for the net, not for an image."""
        return error is self._error


class _Summary:
    """The table of a folder of results. Each row is written as soon as its image is done.

    Rows of other tables of the folder, which shards wrote, are known but written only if they are added.
    """

    def __init__(self, path, *, keep=True):
        self._path, self._file, self._writer = path, None, None
        self._rows, self._others = {}, {}
        if keep:
            self._rows = _read_rows(path)
            for other in sorted(path.parent.glob("summary*.csv")):
                self._others |= {} if other == path else _read_rows(other)

    def row(self, name):
        """Return the row with this name, or None."""
        return self._rows.get(printable(name)) or self._others.get(printable(name))

    def add(self, row):
        """Write a row; it replaces an earlier row of the same name."""
        if self._rows.get(printable(row["name"])) is row:
            return
        replaced = self._rows.pop(printable(row["name"]), None)
        row = {name: "" if value is None else printable(value) for name, value in row.items()}
        self._rows[row["name"]] = row
        columns = self._writer.fieldnames if self._writer else ()
        if replaced is not None or not set(row) <= set(columns):
            self._rewrite()
            return
        self._writer.writerow(_escaped(row))
        self._file.flush()

    def close(self):
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def _rewrite(self):
        """Write all rows again, and open the file for further rows."""
        self.close()
        names = dict.fromkeys(_COLUMNS) | {name: None for row in self._rows.values() for name in row}
        columns = [*[name for name in names if name != _RUN], _RUN]
        with (
            atomic_write(self._path) as temporary,
            open(temporary, "w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.DictWriter(file, columns, restval="")
            writer.writeheader()
            writer.writerows(map(_escaped, self._rows.values()))
        self._file = open(self._path, "a", newline="", encoding="utf-8")  # noqa: SIM115 - closed by `close`
        self._writer = csv.DictWriter(self._file, columns, restval="")


def _read_rows(path):
    """Return the rows of a table by name; none if it is missing or damaged."""
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if row.get("name") and None not in row.values()]
    except (OSError, UnicodeDecodeError, csv.Error):
        return {}
    rows = [{key: from_csv_text(cell) for key, cell in row.items()} for row in rows]
    return {row["name"]: row for row in rows}


def _escaped(row):
    """Return a row whose cells no spreadsheet runs as formulas."""
    return {key: csv_text(cell) for key, cell in row.items()}


def _row(path, name, about, key):
    """Make the row of a segmented image."""
    row = {"image": path, "name": name, "status": "done"}
    row |= {column: about.get(column) for column in _COLUMNS[4:]}
    row |= {column: about[column] for column in (*SLIDE_NUMBERS, "warnings") if column in about}
    areas = {f"mm2 of {c['name']}": f"{c['area_mm2']:.6g}" for c in about["classes"] if "tissue_mm2" in about}
    return (
        row
        | areas
        | {f"{_FRACTION}{c['name']}": f"{c['fraction']:.6f}" for c in about["classes"]}
        | {_RUN: key}
    )


def _read_earlier(row, path, key, out, save):
    """Read the areas of an earlier result of the same image, net and options; None if there is none."""
    if not row or row.get("status") != "done" or row.get(_RUN) != key or row.get("image") != printable(path):
        return None
    try:
        about = json.loads((out / "areas" / f"{row['name']}.json").read_text(encoding="utf-8"))
        about.pop("object_scores", None)
        complete = set(save) <= set(about["files"]) and all(
            Path(file).exists() for file in about["files"].values()
        )
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return None
    return about if complete else None
