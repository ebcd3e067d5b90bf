"""`hsn app`: annotate, train and correct in a browser."""

from pathlib import Path
from typing import Annotated

import typer


def app(
    images: Annotated[
        list[Path] | None, typer.Argument(help="Images, slides, and folders of them.", show_default=False)
    ] = None,
    project: Annotated[
        Path | None, typer.Option(help="Folder of the project. Default: hsn-project beside the images.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Default: that of the last time, or a random one.")
    ] = None,
    user: Annotated[
        str | None, typer.Option(help="Name in the journal. Default: that of the system.")
    ] = None,
    mpp: Annotated[
        float | None, typer.Option(help="Micrometers per pixel of new images. Default: that of their files.")
    ] = None,
    aim: Annotated[
        str | None, typer.Option(help="nuclei, glands, regions or tags. Default: the page asks.")
    ] = None,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Print the address, but open no browser.")
    ] = False,
):
    """Annotate images and slides in a browser, train nets, look at the result, correct it.

    Without images and project, a sample slide is opened, with a short tour. The page is served to this machine only.
    Every edit is on the disk before the page shows it as saved.
    """
    from ..app.server import serve

    serve(
        images or [], project, port=port, user=user, mpp=mpp, aim=aim, browser=not no_browser,
        announce=lambda address: typer.echo(f"{address}\nCtrl-C ends the server; everything is saved."),
    )  # fmt: skip
