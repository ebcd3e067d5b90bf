"""`hsn choose`: which few patches of many images an annotator should outline."""

from pathlib import Path
from typing import Annotated

import typer

from .console import AsJson, close, complain, progress, start_keras, tell

N = 6  # patches, if not said otherwise
EMBEDDING = "embedding"  # folder of the vectors: a second choice from the same images needs seconds
TABLE, SHEET, PLACES = "choice.csv", "contact_sheet.png", "places"
BESIDES = (EMBEDDING, SHEET, PLACES)  # what lies beside the patches and their masks
_RESNETS = (".npz", ".safetensors", ".pt", ".pth")

_Images = Annotated[list[Path], typer.Argument(help="Images, and folders of images.", show_default=False)]
_N = Annotated[int, typer.Option("--n", "-n", min=1, help="How many patches can be annotated.")]
_Out = Annotated[
    Path, typer.Option("--out", "-o", help="Folder for the results; a killed run goes on there.")
]
_Side = Annotated[int, typer.Option("--patch", min=2, help="Side of the patches in pixels, even.")]
_Stride = Annotated[int, typer.Option(min=1, help="From one patch to the next, at most, in pixels.")]
_Encoder = Annotated[
    str,
    typer.Option(
        help="What compares patches: texture, which needs no weights; the name or folder of a trained net; or a file "
        "of a torchvision ResNet's weights, .npz or .safetensors."
    ),
]
_Mpp = Annotated[
    float | None,
    typer.Option(help="Micrometres per pixel of the images, for a trained net; what it takes if not said."),
]
_Tissue = Annotated[
    float, typer.Option(min=0, max=1, help="Patches with a smaller share of tissue are left out.")
]


def choose(
    images: _Images,
    n: _N = N,
    out: _Out = Path("chosen"),
    side_px: _Side = 256,
    stride: _Stride = 128,
    encoder: _Encoder = "texture",
    mpp: _Mpp = None,
    least_tissue: _Tissue = 0.1,
    seed: Annotated[int, typer.Option(help="Seed of the clustering.")] = 0,
    as_json: AsJson = False,
):
    """Choose patches to annotate: one for each kind of tissue that the images show.

    Writes the patches, `choice.csv`, `places.geojson` (and one file an image, for QuPath) and a contact sheet.
    """
    data, failures = make(
        images, out, n=n, side_px=side_px, stride_px=stride, encoder=encoder, mpp=mpp, least_tissue=least_tissue,
        seed=seed,
    )  # fmt: skip
    tell(data, f"{text_of(data)}\n{next_step(out)}", as_json=as_json)
    close(failures)


def make(
    images, out, *, n=N, side_px=256, stride_px=128, encoder="texture", mpp=None, least_tissue=0.1, seed=0
):
    """Choose patches and write them; returns what there is to tell, and what failed."""
    from ..errors import refuse
    from ..prediction.embedding import embed
    from ..selection.choice import choose
    from .files import distinct_names, images_of

    found, failures = images_of(images)
    if not found:
        refuse("there is no image to choose from", expected="images or folders of images",
               received="; ".join(why for _, why in failures), remedy="mend the paths")  # fmt: skip
    looked = _open(encoder, mpp)
    with progress() as bar:
        task = bar.add_task("embedding", total=len(found))
        embedding = embed(
            found,
            looked,
            out / EMBEDDING,
            side_px=side_px,
            stride_px=stride_px,
            least_tissue=least_tissue,
            progress=lambda done: bar.update(task, completed=done),
        )
        bar.add_task("clustering", total=None)
        choice = choose(embedding.features, embedding.quarters, n, standardize=looked.standardize, seed=seed)
    names = dict(zip(map(str, found), distinct_names(found), strict=True))
    rows = _rows(embedding, choice, names, side_px)
    files = _write(rows, out)
    data = {
        "encoder": looked.name,
        "images": len(embedding.paths),
        "patches": len(embedding.images),
        "chosen": rows,
        "files": files,
    }
    return data, failures + embedding.failures


def next_step(out, *, then=None):
    """What the person does now, and then."""
    return (
        f"now outline every nucleus of the patches in {out / 'patches'}, and save the masks by their names in"
        f" {out / 'labels'} (label images, Aperio XML or zips of ImageJ's regions); then"
        f" {then or f'learn from them with hsn fit IMAGES --selected {out}'}"
    )


def _open(encoder, mpp):
    """The encoder that the user names; Keras is loaded only for one that needs it."""
    from ..prediction.embedding import of_texture

    if encoder == "texture":
        return of_texture()
    start_keras()
    from .. import models
    from ..prediction.patch_encoders import of_net

    if Path(encoder).suffix.lower() in _RESNETS:
        from ..models.torch_file import read_state
        from ..nets.resnet_state import encoder_from

        return of_net(encoder_from(read_state(encoder)), mean=0, std=255, name=Path(encoder).stem)
    model = models.load(encoder)
    card, image_mpp = model.card, mpp or model.config.get("image_mpp", model.card.mpp)
    numbers = card.normalization
    return of_net(model.net, mean=numbers.mean, std=numbers.std, scale=image_mpp / card.mpp, name=card.name)


def _rows(embedding, choice, names, side_px):
    """What is told of each chosen patch."""
    import numpy as np

    sizes = np.bincount(choice.labels, minlength=len(choice.patches))
    rows = []
    for number, (patch, terms) in enumerate(zip(choice.patches, choice.terms, strict=True), start=1):
        path = embedding.paths[embedding.images[patch]]
        row, column = map(int, embedding.corners[patch])
        name = names[str(path)]
        rows.append(
            {
                "number": number,
                "patch": f"{name}_{row}_{column}.png",
                "image": str(path),
                "name": name,
                "row": row,
                "column": column,
                "side_px": side_px,
                "stands_for": int(sizes[number - 1]),
                "share": float(sizes[number - 1] / sizes.sum()),
                "score": float(terms.sum()),
                "to_centre": float(terms[0]),
                "to_texture": float(terms[1]),
                "unevenness": float(terms[2]),
            }
        )
    return rows


def _write(rows, out):
    """Patches, table, places and contact sheet; returns the files that are not patches."""
    import csv

    from ..files import atomic_write
    from ..images.read import read, write
    from ..reports import figures
    from ..selection.geojson import squares
    from ..selection.patches import cut

    by_image, pixels = {}, {}
    for row in rows:
        by_image.setdefault((row["image"], row["name"]), []).append(row)
    files = {
        "table": out / TABLE,
        "places": out / "places.geojson",
        "contact_sheet": out / SHEET,
    }
    texts = {files["places"]: rows}
    for (path, name), of_image in by_image.items():
        corners = [(row["row"], row["column"]) for row in of_image]
        for row, patch in zip(of_image, cut(read(path), corners, of_image[0]["side_px"]), strict=True):
            pixels[row["number"]] = patch
            write(out / "patches" / row["patch"], patch)
        texts[out / PLACES / f"{name}.geojson"] = of_image
    for path, of_file in texts.items():
        corners = [(row["row"], row["column"]) for row in of_file]
        told = [{"name": f"{row['number']}: {row['patch']}", "image": row["name"]} for row in of_file]
        with atomic_write(path) as temporary:
            temporary.write_text(squares(corners, of_file[0]["side_px"], told) + "\n", encoding="utf-8")
    with (
        atomic_write(files["table"]) as temporary,
        open(temporary, "w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    captions = [
        f"{row['number']}: {row['name'][:24]}\n{row['row']}, {row['column']}; stands for {row['share']:.0%}"
        for row in rows
    ]
    images = [pixels[row["number"]] for row in rows]
    figures.write(figures.contact_sheet(images, captions), files["contact_sheet"])
    _mention_others(out / "patches", {row["patch"] for row in rows})
    return files


def _mention_others(folder, chosen):
    """Say when patches of an earlier choice lie beside: they may be annotated already, so they stay."""
    others = sum(path.name not in chosen for path in folder.glob("*.png"))
    if others:
        complain(
            f"{folder} also holds {others} other images, of an earlier choice perhaps; choice.csv lists this one"
        )


def text_of(data):
    """What is told of a choice, for people."""
    from .console import table

    rows = [
        (row["number"], row["patch"], f"{row['share']:.1%}", f"{row['score']:.3g}") for row in data["chosen"]
    ]
    return "\n".join(
        [
            f"{data['patches']} patches of {data['images']} images, compared by {data['encoder']}",
            table(("", "patch", "stands for", "score"), rows),
            *(f"wrote {path}" for path in data["files"].values()),
        ]
    )
