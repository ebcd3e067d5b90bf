"""`hsn weights`: which trained nets there are, what they say of themselves, and how the release becomes one."""

from pathlib import Path
from typing import Annotated

import typer

from .console import AsJson, Commands, progress, table, tell

commands = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    help="Trained nets: list, import, show, fetch.",
    pretty_exceptions_enable=False,
)
_DataTo = Annotated[
    Path | None, typer.Option(help="Unpack the archive's img/ and gt/ below this folder too.")
]
_To = Annotated[Path, typer.Option(help="The file to write; a download that broke off goes on.")]
_Home = Annotated[
    Path | None, typer.Option("--home", help="Where to put it, if not where hsn finds it by name.")
]


@commands.command("list")
def list_(as_json: AsJson = False):
    """List the trained nets that have a name here."""
    from .. import models

    found = models.available()
    data = [{"name": name, "folder": folder, **card.model_dump()} for name, folder, card in found]
    rows = [
        (n, c.supervision, ", ".join(c.taxonomies), f"{c.mpp:.3g}", f"{c.parameters:,}", f)
        for n, f, c in found
    ]
    text = table(("name", "learned from", "taxonomies", "um/px", "parameters", "folder"), rows)
    tell(
        data,
        text if rows else "no trained net is installed; see `hsn weights import --help`",
        as_json=as_json,
    )


@commands.command("import")
def import_(
    path: Annotated[
        Path, typer.Argument(help="hsn_data.zip of HistoSegNet's release, or the unpacked folder.")
    ],
    home: _Home = None,
    data_to: _DataTo = None,
    as_json: AsJson = False,
):
    """Make a trained net of HistoSegNet's release; nothing in it is executed."""

    from ..extras import histosegnet

    folder = histosegnet.import_release(path, home=home, data_to=data_to)
    tell({"name": folder.name, "folder": folder}, f"{folder.name} is ready in {folder}", as_json=as_json)


@commands.command()
def show(
    model: Annotated[str, typer.Argument(help="Name or folder of a trained net.")],
    as_json: AsJson = False,
):
    """Show the card of a trained net: source, data, terms, scale, classes, thresholds, scores."""
    from .. import models
    from ..models.folders import find

    card = models.Card.read(find(model))
    data = card.model_dump()
    thresholds = ", ".join(f"{n} {t:.3f}" for n, t in zip(card.classes, card.thresholds, strict=True))
    shown = data | {
        "classes": thresholds,
        "taxonomies": ", ".join(card.taxonomies),
        "normalization": str(card.normalization),
        "parameters": f"{card.parameters:,}",
        "scores": ", ".join(f"{name} {score:.4f}" for name, score in card.scores.items()),
    }
    del shown["thresholds"]
    rows = [("classes >= threshold" if key == "classes" else key, value) for key, value in shown.items()]
    width = max(len(key) for key, _ in rows)
    tell(data, "\n".join(f"{key:<{width}}  {value}" for key, value in rows if value != ""), as_json=as_json)


@commands.command()
def fetch(
    url: Annotated[str | None, typer.Argument(help="Direct address of the release's zip archive.")] = None,
    to: _To = Path("hsn_data.zip"),
    home: _Home = None,
    as_json: AsJson = False,
):
    """Download the release where there is a network, and import it."""
    from .. import models

    with progress() as bar:
        task = bar.add_task("fetching", total=None)
        archive = models.fetch(
            url, to=to, progress=lambda done, total: bar.update(task, completed=done, total=total)
        )
    from ..extras import histosegnet

    folder = histosegnet.import_release(archive, home=home)
    told = f"{folder.name} is ready in {folder}; {archive} may be deleted"
    tell({"archive": archive, "name": folder.name, "folder": folder}, told, as_json=as_json)
