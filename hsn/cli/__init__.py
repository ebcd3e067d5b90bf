"""The command line: parse options, call the functions of `hsn.workflows`, print the results.

Results go to stdout (as JSON with `--json`), progress and warnings to stderr. Exit codes:

- 0: success
- 1: some images or checks failed; each is named
- 2: invalid input, or nothing could be done; one sentence gives the reason
- 130: stopped by the user, or ended by the system (SIGTERM)

Commands import packages when they run: `hsn --help` loads neither Keras nor NumPy nor rich.
"""

import signal

import typer

from .. import __version__
from . import app as browser_app
from . import demo, doctor, evaluate, export, fit, plan, project, segment, select, synthesize, tissue
from . import models as trained
from .console import Command, Commands
from .import_ import import_

app = typer.Typer(
    name="hsn",
    cls=Commands,
    help="Segment H&E histology, and train nets from the annotations that you have.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
for command in (
    segment.segment,
    export.export,
    tissue.tissue,
    fit.fit,
    select.select,
    evaluate.evaluate,
    plan.plan,
    synthesize.synthesize,
    browser_app.app,
    demo.demo,
    doctor.doctor,
):
    app.command(cls=Command)(command)
app.command("import", cls=Command)(import_)
# Deprecated names of 0.1.
app.command("choose", cls=Command, hidden=True, deprecated=True)(select.select)
app.command("synthesise", cls=Command, hidden=True, deprecated=True)(synthesize.synthesize)
app.add_typer(trained.commands, name="models")
app.add_typer(project.commands, name="project")
app.add_typer(trained.commands, name="weights", hidden=True, deprecated=True)


def _print_version(requested: bool):
    if requested:
        typer.echo(f"hsn {__version__}")
        raise typer.Exit


@app.callback()
def _before(
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version."
    ),
):
    """Segment H&E histology, and train nets from the annotations that you have."""


def main():
    """Run the `hsn` script."""
    # Schedulers and `kill` send SIGTERM; it stops a command in the same way as Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    app()
