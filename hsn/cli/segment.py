"""`hsn segment`: images in; labels, overlays and areas out, and numbered objects where the net tells them apart."""

from pathlib import Path
from typing import Annotated

import typer

from .console import AsJson, close, progress, start_keras, tell


def segment(
    images: Annotated[list[Path], typer.Argument(help="Images, and folders of images.", show_default=False)],
    model: Annotated[
        str, typer.Option("--model", "-m", help="Name or folder of a trained net.")
    ] = "glas-tags",
    taxonomy: Annotated[
        str | None, typer.Option(help="Which of the net's label spaces; its first if not said.")
    ] = None,
    mpp: Annotated[
        float | None, typer.Option(help="Micrometres per pixel of the images, if not the net's own.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")] = Path("out"),
    as_json: AsJson = False,
):
    """Segment images: for each a label image, an overlay, and a JSON file of areas and scores.

    A net that learned from masks gives the numbered objects as well, as a label image: a PNG, or,
    from 65,536 on, a TIFF of 32 bits.
    """
    from ..errors import InputError
    from .files import distinct_names, images_of

    found, failures = images_of(images)
    results = []
    if found:
        start_keras()
        from ..supervision import method_of, open_model

        opened = open_model(model)
        method_of(opened)[1].taxonomy(taxonomy)  # refused once, not once an image
        with progress() as bar:
            for path, name in bar.track(
                list(zip(found, distinct_names(found), strict=True)), description="segmenting"
            ):
                try:
                    results.append(_one(path, out, name, opened, taxonomy=taxonomy, mpp=mpp))
                except InputError as error:
                    failures.append((str(path), str(error)))
    tell(results, "\n".join(map(_line, results)), as_json=as_json)
    close(failures)


def _one(path, out, name, model, *, taxonomy, mpp):
    """Segment one image, write its files, and return what the JSON says."""
    import json

    from ..annotations.label_files import MOST_IN_PNG, write_labels
    from ..files import atomic_write
    from ..images.read import read, write
    from ..reports.overlay import painted
    from ..supervision import segment
    from .console import plain

    image = read(path)
    result = segment(image, model, taxonomy=taxonomy, mpp=mpp)
    told_apart = result.instances is not None
    number = int(result.instances.max()) if told_apart else 0
    kinds = _KINDS | ({"instances": ".png" if number <= MOST_IN_PNG else ".tif"} if told_apart else {})
    files = {kind: out / kind / f"{name}{suffix}" for kind, suffix in kinds.items()}
    about = {
        "image": path,
        "model": model.card.name,
        "taxonomy": result.taxonomy.name,
        "height": image.shape[0],
        "width": image.shape[1],
        "mpp": mpp,
        "classes": _classes(result, mpp),
        **({"objects": number} if told_apart else {}),
        "files": files,
    }
    if told_apart:
        write_labels(files["instances"], result.instances)
    write_labels(files["labels"], result.labels)
    write(files["overlay"], painted(image, result.labels, result.taxonomy, result.instances))
    with atomic_write(files["areas"]) as temporary:
        temporary.write_text(json.dumps(plain(about), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return about


_KINDS = {"labels": ".png", "overlay": ".png", "areas": ".json"}  # folder of the results, and their suffix


def _classes(result, mpp):
    """Area and score of each class; square millimetres only where the user said the scale."""
    import numpy as np

    pixels = np.bincount(result.labels.ravel(), minlength=len(result.taxonomy)).tolist()
    rows = []
    for tissue, count, score in zip(result.taxonomy.classes, pixels, result.scores.tolist(), strict=True):
        area = {} if mpp is None else {"area_mm2": count * (mpp / 1000) ** 2}
        share = {"pixels": count, "fraction": count / result.labels.size}
        rows.append({"name": tissue.name, "color": tissue.color, "score": score} | share | area)
    return rows


def _line(about):
    shares = sorted(about["classes"], key=lambda c: -c["pixels"])
    told = ", ".join(f"{c['name']} {100 * c['fraction']:.1f} %" for c in shares[:4] if c["pixels"])
    if "objects" in about:
        told = f"{about['objects']} objects, {told}"
    return f"{about['image']}: {told} -> {about['files']['overlay']}"
