"""`hsn models`: list, show, import and fetch trained nets."""

from pathlib import Path
from typing import Annotated

import typer

from .console import AsJson, Command, Commands, print_result, progress_display, table

commands = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    help="List, show, import and fetch trained nets.",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
_DataTo = Annotated[
    Path | None, typer.Option(help="Also unpack the archive's img/ and gt/ below this folder.")
]
_To = Annotated[Path, typer.Option(help="The file to write. After a break, the same command continues.")]
_Home = Annotated[
    Path | None, typer.Option("--home", help="Folder for the net. Default: where hsn finds it by name.")
]


@commands.command("list", cls=Command)
def list_(as_json: AsJson = False):
    """List the trained nets that can be used by name."""
    from .. import models

    found = models.available()
    data = [{"name": name, "folder": folder, **card.model_dump()} for name, folder, card in found]
    rows = [
        (name, card.method, ", ".join(card.taxonomies), f"{card.mpp:.3g}", card.license, folder)
        for name, folder, card in found
    ]
    text = table(("name", "method", "taxonomies", "um/px", "license", "folder"), rows)
    print_result(
        data, text if rows else "no trained net is installed; try `hsn models fetch`", as_json=as_json
    )


@commands.command(cls=Command)
def show(
    model: Annotated[str, typer.Argument(help="Name or folder of a trained net.")],
    as_json: AsJson = False,
):
    """Show the card of a trained net: method, classes, scale, scores, data, license."""
    from .. import models

    card = models.Card.read(models.find(model))
    rows = card.summary()
    width = max(map(len, rows))
    text = "\n".join(f"{name:<{width}}  {value}" for name, value in rows.items())
    print_result(card.model_dump(), text, as_json=as_json)


@commands.command("import", cls=Command)
def import_(
    path: Annotated[
        Path, typer.Argument(help="hsn_data.zip of HistoSegNet's release, or the unpacked folder.")
    ],
    home: _Home = None,
    data_to: _DataTo = None,
    as_json: AsJson = False,
):
    """Convert HistoSegNet's release into a trained net. Nothing in it is executed."""
    from .. import models

    folder = models.import_release(path, home=home, data_to=data_to)
    print_result(
        {"name": folder.name, "folder": folder}, f"{folder.name} is ready in {folder}", as_json=as_json
    )


@commands.command(cls=Command)
def fetch(
    source: Annotated[
        str, typer.Argument(help="histosegnet (226 MB), or the direct address of its zip archive.")
    ] = "histosegnet",
    to: _To = Path("hsn_data.zip"),
    home: _Home = None,
    as_json: AsJson = False,
):
    """Download HistoSegNet's release and import it."""
    from .. import models

    with progress_display() as progress:
        archive = models.fetch(source, to=to, progress=progress)
    folder = models.import_release(archive, home=home)
    text = f"{folder.name} is ready in {folder}; {archive} may be deleted"
    print_result({"archive": archive, "name": folder.name, "folder": folder}, text, as_json=as_json)
