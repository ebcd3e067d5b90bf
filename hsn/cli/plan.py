"""`hsn plan`: forecast what more annotation will bring, and suggest patches to annotate next."""

from pathlib import Path
from typing import Annotated

import typer

from .console import AsJson, Quiet, print_result, progress_display, start_keras, warn


def plan(
    study: Annotated[Path, typer.Argument(help="Study folder, or folder of images and annotation.")],
    mpp: Annotated[float, typer.Option(help="Micrometers per pixel of the images.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder for probes, tables and the figure.")
    ] = Path("plan"),
    shares: Annotated[
        str, typer.Option(help="Parts of the annotation that the probes learn from.")
    ] = "0.125,0.25,0.5,1",
    minutes: Annotated[str, typer.Option(help="Further minutes to forecast for.")] = "30,60,120",
    seconds: Annotated[
        list[str] | None, typer.Option(help="Seconds for one item of a kind: masks=60. Repeat for several.")
    ] = None,
    n: Annotated[int, typer.Option(help="Number of suggested patches.")] = 6,
    side_px: Annotated[int, typer.Option(help="Side of the suggested patches in pixels.")] = 256,
    epochs: Annotated[int, typer.Option(help="Epochs of each probe.")] = 10,
    validation: Annotated[float, typer.Option(help="Share of the annotated images for validation.")] = 0.2,
    seed: Annotated[int, typer.Option(help="Seed of parts, nets and clustering.")] = 0,
    quiet: Quiet = False,
    as_json: AsJson = False,
):
    """Forecast the score after more minutes of each kind of annotation; suggest patches to annotate next."""
    start_keras()
    from ..workflows.planning import plan as make_plan

    with progress_display(quiet=quiet) as progress:
        result = make_plan(
            study, mpp=mpp, out=out, shares=numbers("--shares", shares), seconds=_costs(seconds or []),
            more_minutes=numbers("--minutes", minutes), n=n, side_px=side_px, epochs=epochs, validation=validation,
            seed=seed, progress=progress,
        )  # fmt: skip
    for sentence in () if quiet else result.notes:
        warn(sentence)
    places = [f"{row['image']}: row {row['row']}, column {row['column']}" for row in result.places]
    heading = f"annotate next ({side_px} x {side_px} px):"
    text = "\n".join([str(result), "", heading, *places, "", f"wrote {len(result.files)} files to {out}/"])
    forecasts = {kind: [each._asdict() for each in rows] for kind, rows in result.forecasts.items()}
    data = {
        "measure": result.measure,
        "probes": result.probes,
        "forecasts": forecasts,
        "places": result.places,
    }
    print_result(data | {"files": result.files}, text, as_json=as_json)


def numbers(option: str, text: str) -> list[float]:
    """Return the numbers of a list like "30,60"."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise typer.BadParameter(f"must be numbers with commas, got {text!r}", param_hint=option) from None


def _costs(pairs: list[str]) -> dict[str, float]:
    costs = {}
    for pair in pairs:
        kind, _, value = pair.partition("=")
        (costs[kind],) = numbers("--seconds", value)
    return costs
