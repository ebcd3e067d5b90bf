"""`hsn synthesize`: generate synthetic images with known nuclei from one annotated patch."""

from pathlib import Path
from typing import Annotated

import typer

from ..progress import report
from .console import AsJson, Quiet, print_result, progress_display, start_keras, warn

PREVIEW_EVERY = 200  # steps between two previews
SHOWN = 4  # pairs in a preview


def synthesize(
    image: Annotated[Path, typer.Argument(help="The patch, an RGB image.", show_default=False)],
    mask: Annotated[
        Path,
        typer.Argument(
            help="The nuclei of the patch: a label image, Aperio XML, or ImageJ ROIs.", show_default=False
        ),
    ],
    n: Annotated[int, typer.Option("--n", "-n", help="Number of pairs.")] = 50,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")] = Path("out"),
    preset: Annotated[
        str, typer.Option(help="quick: minutes on two cores. paper: the published sizes, days.")
    ] = "quick",
    seed: Annotated[int, typer.Option(help="Seed of layouts, initial weights and noise.")] = 0,
    max_overlap: Annotated[
        float, typer.Option(help="Largest fraction of a nucleus that others may cover, 0 to 1.")
    ] = 0.1,
    mode: Annotated[str, typer.Option(help="repaired, or released: as in the authors' code.")] = "repaired",
    quiet: Quiet = False,
    as_json: AsJson = False,
):
    """Synthesize images with known nuclei, in the style of one annotated patch.

    The folder gets pairs/images and pairs/labels, for `hsn fit --masks`; preview.png shows the progress. An interrupted
    run resumes.
    """
    from ..annotations.mask_files import read as read_mask
    from ..images.read import read
    from ..notes import collect_notes

    with collect_notes() as notes:
        patch = read(image)
        nuclei = read_mask(mask, patch.shape[:2])
    for sentence in () if quiet else notes.sentences():
        warn(sentence)
    start_keras()
    from ..extras.singan.synthesis import synthesize as synthesize_pairs

    with progress_display(quiet=quiet) as progress:
        pairs = synthesize_pairs(
            patch, nuclei, out=out, preset=preset, count=n, seed=seed, mode=mode, max_overlap=max_overlap,
            progress=_Preview(progress, out / "preview.png"),
        )  # fmt: skip
    covered = float((pairs.instances > 0).mean())
    objects = int(pairs.instances.max(axis=(1, 2)).sum())
    summary = {"pairs": len(pairs.images), "nuclei": objects, "covered": covered, "folder": out / "pairs"}
    text = f"{len(pairs.images)} pairs with {objects} nuclei, {100 * covered:.0f} % of the area -> {out / 'pairs'}"
    print_result(summary | {"preview": out / "preview.png"}, text, as_json=as_json)


class _Preview:
    """Reports progress, and draws a preview every `PREVIEW_EVERY` steps."""

    def __init__(self, progress, path):
        self.progress, self.path = progress, path

    def __call__(self, event):
        report(self.progress, event.stage, event.done, event.total)
        ended = event.done == event.total
        if ended or (event.done and event.done % PREVIEW_EVERY == 0 and event.stage != "painting"):
            self._draw(event, f"{event.stage}, {event.done} of {event.total}")

    def _draw(self, event, title):
        """Draw synthetic images, and below them the same images with the outlines of their nuclei."""
        from ..reports.figures import contact_sheet, write
        from ..reports.overlay import overlay
        from ..taxonomies import NUCLEI

        pairs = event.values["preview"]()
        shown = min(len(pairs.images), SHOWN)
        images = list(pairs.images[:shown])
        below = [
            overlay(image, (objects > 0).astype(int), NUCLEI, opacity=0, outline_px=1, skip=NUCLEI.names[:1],
                    instances=objects)
            for image, objects in zip(images, pairs.instances, strict=False)
        ]  # fmt: skip
        write(contact_sheet([*images, *below], columns=shown, title=title), self.path, dpi=150)
