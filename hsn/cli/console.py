"""Output of commands: results on stdout, progress and warnings on stderr, exit codes."""

import json
import os
from typing import Annotated

import typer
from typer.core import TyperCommand, TyperGroup

from .progress import progress_display

__all__ = [
    "FAILED",
    "INVALID",
    "STOPPED",
    "AsJson",
    "Command",
    "Commands",
    "Quiet",
    "exit_with_failures",
    "print_result",
    "progress_display",
    "split_names",
    "start_keras",
    "table",
    "warn",
    "written",
]

# Exit codes: some inputs failed; invalid input; stopped by the user.
FAILED, INVALID, STOPPED = 1, 2, 130
_RESUMABLE = ("fit", "segment", "select", "choose", "synthesize")

AsJson = Annotated[
    bool, typer.Option("--json", help="Write results to stdout as JSON.", rich_help_panel="Output")
]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Show no progress and no notes.", rich_help_panel="Output")
]


class Command(TyperCommand):
    """A command whose help lists options under the headings of `rich_help_panel`, as plain text.

    Typer draws such groups with rich, whose import takes longer than all other work of `--help`.
    """

    def format_options(self, ctx, formatter):
        """Write arguments and options: ungrouped options first, output options last."""
        groups = {"Arguments": [], "Options": []}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None:
                argument = param.param_type_name == "argument"
                heading = "Arguments" if argument else getattr(param, "rich_help_panel", None) or "Options"
                groups.setdefault(heading, []).append(record)
        groups["Output"] = groups.pop("Output", [])
        for heading, records in groups.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)


class Commands(TyperGroup):
    """A group of commands that prints errors as one sentence on stderr, without a traceback."""

    def format_options(self, ctx, formatter):
        """Write the commands, then the options."""
        self.format_commands(ctx, formatter)
        Command.format_options(self, ctx, formatter)

    def invoke(self, ctx):
        """Run the command, and convert errors to exit codes."""
        from ..progress import Cancelled

        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, Cancelled):
            resumes = ctx.invoked_subcommand in _RESUMABLE
            warn("stopped; the same command resumes" if resumes else "stopped")
            raise typer.Exit(STOPPED) from None
        except Exception as error:
            # Typer's own exceptions have an exit code. A broken pipe: the reader of stdout has ended, as `head` does.
            if hasattr(error, "exit_code") or isinstance(error, typer.Abort | BrokenPipeError):
                raise
            from ..errors import as_input_error

            warn(as_input_error(error))
            raise typer.Exit(INVALID) from None


def warn(sentence):
    """Print one sentence on stderr."""
    from ..errors import printable

    typer.echo(f"hsn: {' '.join(printable(sentence).split())}", err=True)


def print_result(data, text, *, as_json):
    """Print a result on stdout: `data` as JSON, or `text` for people."""
    from ..errors import printable
    from ..files import plain

    typer.echo(json.dumps(plain(data), indent=2, ensure_ascii=False) if as_json else printable(text))


def exit_with_failures(failures, *, code=FAILED):
    """Print the failures and exit with `code`; return if there are none.

    Parameters
    ----------
    failures : list of (str, str)
        Name of each failed input, and the reason in one sentence.
    code : int
        Exit code. Default: 1.
    """
    for name, reason in failures:
        # The reason may start with the name of the file.
        warn(reason if str(name) in reason else f"{name}: {reason}")
    if failures:
        warn(f"{len(failures)} failed, named above")
        raise typer.Exit(code)


def table(heading, rows):
    """Return lines of text in columns; see `hsn.reports.tables.text_table`."""
    from ..reports.tables import text_table

    return text_table(heading, rows)


def written(paths):
    """Return one line with the number of written files and their folder.

    Examples
    --------
    >>> written(["out/a.png", "out/labels/b.png"])
    'wrote 2 files to out/'
    """
    paths = [str(path) for path in paths]
    folders = [os.path.dirname(path) for path in paths]
    return f"wrote {len(paths)} file{'s' * (len(paths) != 1)} to {os.path.commonpath(folders) or '.'}/"


def start_keras():
    """Import Keras for this program; see `hsn.keras_start.start_keras`."""
    from .. import keras_start

    keras_start.start_keras(only_hsn=True)


def split_names(text):
    """Return the names in a list with commas.

    Examples
    --------
    >>> split_names("csv, geojson"), split_names("")
    (['csv', 'geojson'], [])
    """
    return [name.strip() for name in text.split(",") if name.strip()]
