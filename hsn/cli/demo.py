"""`hsn demo`: segment real and drawn samples with a net that ships with hsn."""

import os
from pathlib import Path
from typing import Annotated

import typer

from .console import AsJson, Quiet, exit_with_failures, print_result, progress_display, start_keras, written

MODEL, NUCLEI = "glas-tags", "nuclei-masks"
NUCLEI_MPP = 0.5  # assumed; the scale of the CC0 images is not published
REGION_MPP = 0.499  # of the slide region
REGION = (
    slice(1000, 1700),
    slice(1300, 2000),
)  # rows and columns of epidermis and dermis; the whole region takes minutes
REAL_IMAGES = 4  # test images of GlaS, if HSN_DATA has them; too few for reliable scores


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")] = Path("out"),
    model: Annotated[str, typer.Option("--model", "-m", help="Name or folder of a trained net.")] = MODEL,
    quiet: Quiet = False,
    as_json: AsJson = False,
):
    """Segment real and drawn samples of a checkout, score the samples with truth, and draw one page."""
    start_keras()
    from ..reports.report import write_report

    sets = _sets(out)
    with progress_display(quiet=quiet) as progress:
        reports = {
            name: write_report(model, samples, out=out / name, progress=progress)
            for name, samples in sets.items()
        }
    inputs = [
        sample.image_path
        for samples in sets.values()
        for sample in samples
        if out in sample.image_path.parents
    ]
    files = [*inputs, *(path for report in reports.values() for path in report.files)]
    nuclei, found = _nuclei(out, quiet)
    files += found
    files.append(_sheet(out, reports, model, found))
    data = {
        "model": model,
        "scores": {
            name: {e.taxonomy.name: e.as_dict() for e in report.evaluations.values() if e.images}
            for name, report in reports.items()
        }
        | {"nuclei": nuclei.scores},
        "files": files,
    }
    tables = [f"== {name} ==\n{report}" for name, report in reports.items() if str(report)]
    tables.append(f"== nuclei ==\n{nuclei}")
    text = "\n\n".join([*tables, written(files), f"open {files[-1]} first"])
    print_result(data, text, as_json=as_json)
    failures = [failure for report in reports.values() for failure in report.failures]
    exit_with_failures(failures + nuclei.failures)


def _sets(out):
    """Return samples by set: synthetic ones, one of scikit-image, and GlaS if HSN_DATA has it."""
    from ..data import data_folder, glas
    from ..errors import InputError

    root = Path(__file__).parents[2]
    if not (root / "img").is_dir():
        raise InputError(
            "demo-samples",
            f"{root / 'img'} must exist, because the demo segments the samples of a checkout",
            got="no such folder",
            hint="run it in a clone of hsn, or segment your own images with `hsn segment`",
        )
    drawn = [sample for sample in glas.list_samples(root, "all") if sample.name.startswith("made_")]
    sets = {"drawn": drawn, "immunohistochemistry": [_real(out)]}
    if os.environ.get("HSN_DATA") and (Path(os.environ["HSN_DATA"]) / "glas").is_dir():
        samples = glas.list_samples(data_folder("glas"), "testA")
        by_grade = [
            [s for s in samples if s.grade == grade][: REAL_IMAGES // 2] for grade in ("benign", "malignant")
        ]
        sets["glas_test"] = [s for graded in by_grade for s in graded] or samples[:REAL_IMAGES]
    return sets


def _nuclei(out, quiet):
    """Score the nuclei of the CC0 images, and segment those of the slide region; return scores and files."""
    from ..images.read import read, write
    from ..workflows.evaluation import evaluate
    from ..workflows.segmentation import segment_all

    root = Path(__file__).parents[2]
    name = "03_nuclei_cc0"
    with progress_display(quiet=quiet) as progress:
        scores = evaluate(
            NUCLEI, root / "img" / name, root / "gt" / name / "labels", mpp=NUCLEI_MPP, out=out / "nuclei",
            progress=progress,
        )  # fmt: skip
        region = out / "slide_region" / "image" / "CMU-1.png"
        write(region, read(root / "img" / "04_slide_region_cc0" / "CMU-1-Small-Region.svs")[REGION])
        segment_all([region], NUCLEI, out / "slide_region", mpp=REGION_MPP, progress=progress)
    folders = (out / "nuclei", out / "slide_region")
    return scores, sorted(path for folder in folders for path in folder.rglob("*") if path.is_file())


def _real(out):
    """Return the histology image of scikit-image as a sample without truth."""
    from skimage.data import immunohistochemistry

    from ..data.sample import Sample
    from ..images.read import write

    path = out / "immunohistochemistry" / "image" / "immunohistochemistry.png"
    write(path, immunohistochemistry())
    return Sample("immunohistochemistry", path)


def _sheet(out, reports, model, found):
    """Draw one page with every overlay and its name; return its path."""
    from ..images.read import read
    from ..reports import figures

    pictures, captions = [], []
    for name, report in reports.items():
        for path in report.files:
            if path.parent.name == "overlay":
                pictures.append(read(path))
                captions.append(path.stem if path.stem == name else f"{path.stem} ({name})")
    for path in found:
        if path.parent.name == "overlay":
            pictures.append(read(path))
            captions.append(f"{path.stem} ({NUCLEI})")
    path = out / "summary.png"
    title = f"hsn demo: overlays of {Path(model).name} and {NUCLEI}"
    figures.write(figures.contact_sheet(pictures, captions, columns=4, side_in=2.6, title=title), path)
    return path
