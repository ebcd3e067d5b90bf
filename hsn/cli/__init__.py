"""The command line: what a person types, and nothing that a program could not call as well.

Results go to stdout (as JSON with `--json`), progress and complaints to stderr. Exit code 0: all was done; 1: some
images or checks failed, each is named; 2: nothing could be done, one sentence says why.

Rooms are opened inside the commands, so that `hsn --help` loads neither Keras nor NumPy.
"""

import os

import typer

from .. import __version__
from . import choose, demo, doctor, evaluate, fit, segment, synthesize
from . import models as trained
from .console import Commands

app = typer.Typer(
    name="hsn",
    cls=Commands,
    help="Segment H&E histology, and learn it from whatever annotation a lab has.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    segment.segment,
    fit.fit,
    choose.choose,
    evaluate.evaluate,
    synthesize.synthesize,
    demo.demo,
    doctor.doctor,
):
    app.command()(command)
app.add_typer(trained.commands, name="models")
app.add_typer(trained.commands, name="weights", hidden=True, deprecated=True)  # the name in 0.1


def _say_version(wanted: bool):
    if wanted:
        typer.echo(f"hsn {__version__}")
        raise typer.Exit


@app.callback()
def _before(
    version: bool = typer.Option(
        False, "--version", callback=_say_version, is_eager=True, help="Say the version."
    ),
):
    # TensorFlow tells its life on stderr; a library must not touch that, a program of one's own may.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", doctor.default_backend())  # TensorFlow where it is installed


def main():
    """Entry of the `hsn` script."""
    app()
