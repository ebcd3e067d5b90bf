"""`hsn demo`: real tissue and drawn tissue, segmented by the net that ships with hsn."""

import os
from pathlib import Path
from typing import Annotated

import typer

from .console import AsJson, exit_with_failures, print_result, start_keras

MODEL = "glas-tags"
REAL_IMAGES = 4  # of GlaS's test images, where they are at hand: enough to see, too few to compare


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")] = Path("out"),
    model: Annotated[str, typer.Option("--model", "-m", help="Name or folder of a trained net.")] = MODEL,
    as_json: AsJson = False,
):
    """Segment the samples that come along, score those with truth, and draw one page of all."""
    start_keras()
    from ..reports.report import write_report

    sets = _sets(out)
    reports = {name: write_report(model, samples, out=out / name) for name, samples in sets.items()}
    inputs = [
        sample.image_path
        for samples in sets.values()
        for sample in samples
        if out in sample.image_path.parents
    ]
    files = [*inputs, *(path for made in reports.values() for path in made.files)]
    files.append(_sheet(out, reports, model))
    data = {
        "model": model,
        "scores": {
            n: {t.taxonomy.name: t.as_dict() for t in r.evaluations.values() if t.images}
            for n, r in reports.items()
        },
        "files": files,
    }
    tables = [f"== {name} ==\n{made}" for name, made in reports.items() if str(made)]
    text = "\n\n".join([*tables, "\n".join(f"wrote {path}" for path in files), f"look at {files[-1]} first"])
    print_result(data, text, as_json=as_json)
    exit_with_failures([failure for made in reports.values() for failure in made.failures])


def _sets(out):
    """Samples by the name of their set: drawn ones, the real one of scikit-image, and GlaS where it is."""
    from ..data import data_folder, glas
    from ..errors import refuse

    root = Path(__file__).parents[2]
    if not (root / "img").is_dir():
        refuse("the demo needs the samples of a checkout", expected=f"the folder {root / 'img'}", received="none",
               remedy="run it where hsn was cloned, or segment images of your own with `hsn segment`")  # fmt: skip
    drawn = [sample for sample in glas.list_samples(root, "all") if sample.name.startswith("made_")]
    sets = {"drawn": drawn, "immunohistochemistry": [_real(out)]}
    if os.environ.get("HSN_DATA") and (Path(os.environ["HSN_DATA"]) / "glas").is_dir():
        tested = glas.list_samples(data_folder("glas"), "testA")
        each = [
            [s for s in tested if s.grade == grade][: REAL_IMAGES // 2] for grade in ("benign", "malignant")
        ]
        sets["glas_test"] = [sample for few in each for sample in few] or tested[:REAL_IMAGES]
    return sets


def _real(out):
    """The histology image inside scikit-image's wheel, as a sample without truth."""
    from skimage.data import immunohistochemistry

    from ..data.sample import Sample
    from ..images.read import write

    path = out / "immunohistochemistry" / "image" / "immunohistochemistry.png"
    write(path, immunohistochemistry())
    return Sample("immunohistochemistry", path)


def _sheet(out, reports, model):
    """One page: every overlay with its name."""
    from ..images.read import read
    from ..reports import figures

    pictures, captions = [], []
    for name, made in reports.items():
        for path in made.files:
            if path.parent.name == "overlay":
                pictures.append(read(path))
                captions.append(path.stem if path.stem == name else f"{path.stem} ({name})")
    path = out / "summary.png"
    title = f"hsn demo: overlays of {Path(model).name}"
    figures.write(figures.contact_sheet(pictures, captions, columns=4, side_in=2.6, title=title), path)
    return path
