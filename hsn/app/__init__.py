"""`hsn app`: annotate, train, look and correct, in a browser on one's own machine.

| file | content |
|---|---|
| `project.py` | the project folder: a study with a journal; its images |
| `features.py` | the features that may be drawn, checked |
| `journal.py` | edits as lines of a file, on disk before they are acknowledged |
| `annotations.py` | what the edits add up to, and GeoJSON files of it |
| `tiles.py` | images as tiles |
| `live.py` | the instant classifier |
| `inputs.py`, `jobs.py` | what `hsn fit` learns from, and its child process |
| `predictor.py`, `predictions.py` | the child process that runs nets, and what it found, as tiles |
| `suggest.py` | places to look at, doubtful marks, warnings |
| `exchange.py` | GeoJSON of QuPath in, annotations and results out |
| `guard.py` | who may ask |
| `events.py` | messages to the open pages |
| `routes.py`, `server.py` | what can be asked, and the server |
| `notebook.py` | `hsn.app.Viewer`: the viewer as a widget of a notebook |

The server never imports Keras. Nets are trained and run by child processes.
"""

from typing import Any

from ..checks import require

__all__ = ["Viewer"]


def __getattr__(name: str) -> Any:
    """Import the widget when it is used: it needs a package that the app does not need."""
    if name != "Viewer":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    require("anywidget", extra="notebook")
    from .notebook import Viewer

    return Viewer
