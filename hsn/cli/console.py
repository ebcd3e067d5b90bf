"""How commands speak: results to stdout, progress and complaints to stderr, and the exit code."""

import json
import os
import sys
import tempfile
from contextlib import contextmanager
from typing import Annotated

import typer
from typer.core import TyperGroup

from .progress import progress_display  # noqa: F401 - commands import all of their output from here

FAILED, REFUSED = 1, 2  # exit codes: some of it failed; none of it could be done
_GREETINGS = (b"WARNING: All log messages before absl::InitializeLog()", b"I0000 ")  # of TensorFlow

AsJson = Annotated[bool, typer.Option("--json", help="Write results to stdout as JSON.")]


class Commands(TyperGroup):
    """A group of commands in which a error is one sentence on stderr, not a traceback."""

    def invoke(self, ctx):
        """Run the chosen command."""
        try:
            return super().invoke(ctx)
        except ValueError as error:
            from ..errors import InputError

            if not isinstance(error, InputError):
                raise
            complain(error)
            raise typer.Exit(REFUSED) from None


def complain(sentence):
    """Say one sentence on stderr."""
    typer.echo(f"hsn: {' '.join(str(sentence).split())}", err=True)


def tell(data, text, *, as_json):
    """Say the result on stdout: `data` as JSON, or `text` for people."""
    from ..files import plain

    typer.echo(json.dumps(plain(data), indent=2, ensure_ascii=False) if as_json else text)


def close(failures, *, code=FAILED):
    """Name what failed, if anything did, and leave with an exit code that says so.

    Parameters
    ----------
    failures : list of (str, str)
        What failed, and why in one sentence.
    """
    for name, why in failures:
        # A error of a file starts with the file's name already.
        complain(why if str(name) in why else f"{name}: {why}")
    if failures:
        complain(f"{len(failures)} failed, named above")
        raise typer.Exit(code)


def progress():
    """A progress display on stderr, silent where stderr is no terminal; a context manager."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty())


@contextmanager
def display_on_stderr():
    """Let whatever shows progress by rich's own console do so on stderr: stdout is for results."""
    import rich

    console = rich.get_console()
    before, console.stderr = console.stderr, True
    try:
        yield
    finally:
        console.stderr = before


def table(heading, rows):
    """Return lines of text in columns; see `hsn.reports.tables.text_table`."""
    from ..reports.tables import text_table

    return text_table(heading, rows)


def start_keras():
    """Import Keras and its backend without TensorFlow's greeting.

    TensorFlow 2.21 writes two lines to stderr while it is imported, whatever its own settings say. They are taken out
    of what it writes there; the rest, which may be the reason why it does not start, comes through.
    """
    if "keras" in sys.modules:
        return
    sys.stderr.flush()
    with tempfile.TemporaryFile() as caught:
        stderr = os.dup(2)
        os.dup2(caught.fileno(), 2)
        try:
            import keras  # noqa: F401
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            caught.seek(0)
            for line in caught:
                if not line.startswith(_GREETINGS):
                    sys.stderr.write(line.decode(errors="replace"))
