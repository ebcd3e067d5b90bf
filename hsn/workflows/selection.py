"""Select a few patches of many images for annotation."""

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..checks import as_seed
from ..data.discovery import ALL_PLACES, CHOICE_TABLE, CONTACT_SHEET, EMBEDDING, PLACES
from ..data.embedding import embed
from ..data.image_files import distinct_names, find_images
from ..data.patch_source import open_source
from ..errors import InputError, collect_failures, printable
from ..files import atomic_write, check_writable, csv_text
from ..images.read import write
from ..images.slide import SAME_SCALE, is_slide, open_slide
from ..progress import Progress, report
from ..selection import choice
from ..selection.encoder import texture_encoder
from ..selection.patches import patches_to_geojson

PATCHES = "patches"
_MIN_TEXTURE_PX = 64  # quarters of a patch are described
_RESNETS = (".npz", ".safetensors", ".pt", ".pth")


@dataclass(frozen=True)
class SelectedPatches:
    """Selected patches.

    Attributes
    ----------
    encoder : str
        Name of the encoder of the patches.
    images, patches : int
        Numbers of candidate images and patches.
    rows : list of dict
        Rows of the table, one per selected patch.
    files : dict of str to pathlib.Path
        The table, the positions as GeoJSON, the contact sheet.
    left_out : list of (str, str)
        Unused images and the reasons.
    notes : list of str
        Sentences for the user.
    next_step : str
        Instruction for the annotator.
    """

    encoder: str
    images: int
    patches: int
    rows: list[dict]
    files: dict[str, Path]
    left_out: list[tuple[str, str]]
    notes: list[str]
    next_step: str

    def __repr__(self):
        return f"SelectedPatches({len(self.rows)} of {self.patches} patches of {self.images} images)"


def select_patches(
    images: str | os.PathLike | Sequence,
    n: int = 6,
    *,
    out: str | os.PathLike = "chosen",
    side_px: int = 256,
    stride_px: int = 128,
    encoder: str = "texture",
    mpp: float | None = None,
    min_tissue: float = 0.1,
    seed: int = 0,
    progress: Progress | None = None,
) -> SelectedPatches:
    """Select patches to annotate, one for each kind of tissue in the images.

    Parameters
    ----------
    images : path or sequence of path
        Images, slides, and folders of them. The patches of a slide are those of its level 0.
    n : int
        Number of patches. Default: 6.
    out : path
        Folder for the patches, the table, GeoJSON files for QuPath and a contact sheet. Default: "chosen".
    side_px, stride_px : int
        Side and stride of the patches in pixels. Default: 256 and 128. For slides take a stride of 512 or more: 128 px
        make 600,000 patches of a slide of 100,000 px.
    encoder : str
        Features of patches: "texture" needs no weights; or a trained net, or a file of ResNet weights. Default:
        "texture".
    mpp : float, optional
        Micrometers per pixel of the images, for a trained net, and of slides whose files have no scale. Default: scale
        of the net's training images.
    min_tissue : float
        Smallest fraction of tissue in a patch. Default: 0.1.
    seed : int
        Seed of the clustering. Default: 0.
    progress : callable, optional
        See `hsn.progress`.

    Returns
    -------
    SelectedPatches

    Raises
    ------
    InputError
        "images-missing", "side-px-small", or an error of `hsn.data.embedding.embed` or
        `hsn.selection.choice.choose`.

    References
    ----------
    .. [1] Lou et al., Which Pixel to Annotate, IEEE TMI 2022.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> noise = np.random.default_rng(0).integers(0, 200, (64, 128, 3), np.uint8)
    >>> write(folder / "images" / "a.png", noise)
    >>> select_patches(folder / "images", n=1, out=folder / "chosen", side_px=64, stride_px=64)
    SelectedPatches(1 of 2 patches of 1 images)
    """
    as_seed(seed)
    found, failures = find_images(images, slides=True)
    out = check_writable(out)
    if not found:
        raise InputError(
            "images-missing",
            "`images` must be images or folders of images",
            got="; ".join(reason.rstrip(".") for _, reason in failures) or "none",
            hint="correct the paths",
        )
    if encoder == "texture" and side_px < _MIN_TEXTURE_PX:
        raise InputError(
            "side-px-small",
            f"`side_px` must be at least {_MIN_TEXTURE_PX} for the encoder texture",
            got=side_px,
            hint="select larger patches",
        )
    chosen_encoder = _open_encoder(encoder, mpp, found)
    embedding = embed(
        found,
        chosen_encoder,
        out / EMBEDDING,
        side_px=side_px,
        stride_px=stride_px,
        min_tissue=min_tissue,
        mpp=mpp,
        progress=lambda done: report(progress, "embedding patches", done, len(found)),
    )
    report(progress, "clustering", 0)
    chosen = choice.choose(
        embedding.features, embedding.quarters, n, standardize=chosen_encoder.standardize, seed=seed
    )
    rows = _rows(embedding, chosen, dict(zip(map(str, found), distinct_names(found), strict=True)), side_px)
    files = _write(rows, out, mpp)
    return SelectedPatches(
        encoder=chosen_encoder.name,
        images=len(embedding.paths),
        patches=len(embedding.images),
        rows=rows,
        files=files,
        left_out=failures + embedding.failures,
        notes=_notes(out / PATCHES, {row["patch"] for row in rows}),
        next_step=next_step(out, then=f"train with hsn fit IMAGES --selected {out}"),
    )


def has_patches(folder: str | os.PathLike) -> bool:
    """Check whether a folder holds patches; an interrupted selection leaves only vectors.

    Examples
    --------
    >>> has_patches("nowhere")
    False
    """
    folder = Path(folder)
    if not folder.is_dir():
        return folder.exists()
    return any(path.name != EMBEDDING and path.name[0] != "." for path in folder.iterdir())


def next_step(out: str | os.PathLike, *, then: str = "call the same command again") -> str:
    """Return the instruction for the annotator of selected patches.

    Parameters
    ----------
    out : path
        Folder of the patches.
    then : str
        Instruction after the annotation. Default: "call the same command again".
    """
    out = Path(out)
    return (
        f"now outline every nucleus of the patches in {out / PATCHES}, and save each mask under the name of its patch"
        f" in {out / 'labels'} (label image, Aperio XML or zip of ImageJ ROIs); then {then}"
    )


def _open_encoder(encoder, mpp, found):
    """Open an encoder; Keras is loaded only if needed."""
    if encoder == "texture":
        return texture_encoder()
    from .. import models
    from ..prediction.patch_encoders import net_encoder

    if Path(encoder).suffix.lower() in _RESNETS:
        from ..models.torch_file import read_state
        from ..nets.resnet_state import build_encoder

        return net_encoder(build_encoder(read_state(encoder)), mean=0, std=255, name=Path(encoder).stem)
    model = models.load(encoder)
    card = model.card
    image_mpp = _scale_of(found, mpp) or model.config.get("image_mpp", card.mpp)
    mean, std = card.normalization.mean, card.normalization.std
    return net_encoder(model.net, mean=mean, std=std, scale=image_mpp / card.mpp, name=card.name)


def _scale_of(found, mpp):
    """Return micrometers per pixel: as given, or those of the slides; None for images alone."""
    slides = [path for path in found if is_slide(path)]
    if mpp or not slides:
        return mpp
    scales: list[float] = []
    for path in slides:
        with collect_failures([], path):  # a damaged slide is left out later
            scales.append(open_slide(path).mpp)
    if not scales:
        return None
    if len(slides) < len(found) or max(scales) > min(scales) * (1 + SAME_SCALE):
        raise InputError(
            "slides-of-many-scales",
            "for a trained net all images must be slides of one scale, or `mpp` must be given",
            got=f"slides of {min(scales):.4g} to {max(scales):.4g} um/px, and {len(found) - len(slides)} other images",
            hint="select from each group on its own",
        )
    return scales[0]


def _rows(embedding, chosen, names, side_px):
    """Make the table: one row per selected patch."""
    sizes = np.bincount(chosen.labels, minlength=len(chosen.patches))
    rows = []
    for number, (patch, terms) in enumerate(zip(chosen.patches, chosen.terms, strict=True), start=1):
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
                "to_center": float(terms[0]),
                "to_texture": float(terms[1]),
                "unevenness": float(terms[2]),
            }
        )
    return rows


def _write(rows, out, mpp):
    """Write patches, table, positions and contact sheet; return the files other than patches."""
    from ..reports import figures

    by_image, pixels = {}, {}
    for row in rows:
        by_image.setdefault((row["image"], row["name"]), []).append(row)
    files = {
        "table": out / CHOICE_TABLE,
        "places": out / ALL_PLACES,
        "contact_sheet": out / CONTACT_SHEET,
    }
    texts = {files["places"]: rows}
    for (path, name), of_image in by_image.items():
        corners = [(row["row"], row["column"]) for row in of_image]
        for row, patch in zip(
            of_image, open_source(path, mpp=mpp).cut(corners, of_image[0]["side_px"]), strict=True
        ):
            pixels[row["number"]] = patch
            write(out / PATCHES / row["patch"], patch)
        texts[out / PLACES / f"{name}.geojson"] = of_image
    for path, of_file in texts.items():
        corners = [(row["row"], row["column"]) for row in of_file]
        named = [
            {"name": printable(f"{row['number']}: {row['patch']}"), "image": printable(row["name"])}
            for row in of_file
        ]
        with atomic_write(path) as temporary:
            text = patches_to_geojson(corners, of_file[0]["side_px"], named)
            temporary.write_text(text + "\n", encoding="utf-8")
    with (
        atomic_write(files["table"]) as temporary,
        open(temporary, "w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        text = {name for name, value in rows[0].items() if isinstance(value, str | Path)}
        writer.writerows(row | {name: csv_text(str(row[name])) for name in text} for row in rows)
    captions = [
        f"{row['number']}: {printable(row['name'])[:24]}\n{row['row']}, {row['column']}; stands for {row['share']:.0%}"
        for row in rows
    ]
    figures.write(
        figures.contact_sheet([pixels[row["number"]] for row in rows], captions), files["contact_sheet"]
    )
    return files


def _notes(folder, chosen):
    """Return a note about patches of an earlier selection. They are kept, because they may be annotated."""
    others = sum(path.name not in chosen for path in folder.glob("*.png"))
    if not others:
        return []
    return [f"{folder} also holds {others} images of an earlier selection; {CHOICE_TABLE} lists this one"]
