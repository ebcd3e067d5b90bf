"""Show progress as bars on a terminal, as plain lines elsewhere, and as JSON lines in a file."""

import json
import sys
import time
from contextlib import contextmanager

import typer

PLAIN_EVERY_S = 5.0
FILE_EVERY_S = 1.0


@contextmanager
def progress_display(*, quiet=False, file=None):
    """Show progress while the block runs.

    Parameters
    ----------
    quiet : bool
        Whether to show nothing on stderr. Default: False.
    file : path, optional
        Append at most one JSON line per second: stage, done, total, eta_s, epoch, step, loss, scores.

    Yields
    ------
    callable
        Takes events of `hsn.progress`.
    """
    displays = []
    if not quiet:
        displays.append(_Bars() if sys.stderr.isatty() else _Lines())
    if file is not None:
        displays.append(_File(file))
    try:
        yield lambda event: [display(event) for display in displays]
    finally:
        for display in displays:
            display.close()


class _Bars:
    """Shows progress bars, one per stage."""

    def __init__(self):
        self._display, self._tasks = None, {}

    def __call__(self, event):
        if self._display is None:
            self._display = self._start()
        if event.stage not in self._tasks:
            self._tasks[event.stage] = self._display.add_task(event.stage)
        text = ", ".join([event.stage, *_numbers(event.values)])
        self._display.update(
            self._tasks[event.stage], completed=event.done, total=event.total, description=text
        )

    @staticmethod
    def _start():
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        display = Progress(*columns, console=Console(stderr=True))
        display.start()
        return display

    def close(self):
        """Stop the display."""
        if self._display is not None:
            self._display.stop()


class _Lines:
    """Prints plain lines, at most one every few seconds."""

    def __init__(self):
        self._last, self._pace = time.monotonic(), _Pace()

    def __call__(self, event):
        eta_s = self._pace.eta_s(event)
        if time.monotonic() - self._last < PLAIN_EVERY_S:
            return
        self._last = time.monotonic()
        of = "" if event.total is None else f" of {event.total}"
        left = [] if eta_s is None else [f"{_duration(eta_s)} left"]
        line = ", ".join([f"{event.stage} {event.done:.4g}{of}", *_numbers(event.values), *left])
        typer.echo(f"hsn: {line}", err=True)

    def close(self):
        """Do nothing."""


class _File:
    """Writes JSON lines, at most one per second, and the last event."""

    def __init__(self, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(path, "a", encoding="utf-8")  # noqa: SIM115 - closed by `close`
        self._pace = _Pace()
        self._last, self._pending = -FILE_EVERY_S, None

    def __call__(self, event):
        from ..files import plain

        self._pending = plain(
            {
                "time": round(time.time(), 3),
                "stage": event.stage,
                "done": event.done,
                "total": event.total,
                "eta_s": self._pace.eta_s(event),
            }
            | {name: value for name, value in event.values.items() if not callable(value)}
        )
        if time.monotonic() - self._last >= FILE_EVERY_S:
            self._write()

    def _write(self):
        if self._pending is not None:
            self._file.write(json.dumps(self._pending, ensure_ascii=False) + "\n")
            self._file.flush()
            self._last, self._pending = time.monotonic(), None

    def close(self):
        """Write the last event."""
        self._write()
        self._file.close()


class _Pace:
    """Estimates the remaining time of a stage from its speed after the first unit, which compiles the net."""

    def __init__(self):
        self._stage, self._marks = None, []  # (time, done) at the start and after the first unit

    def eta_s(self, event):
        """Return the remaining time in seconds, or None; an event may know it itself."""
        if "eta_s" in event.values:
            return event.values["eta_s"]
        now = time.monotonic()
        if event.stage != self._stage or event.done < self._marks[0][1]:
            self._stage, self._marks = event.stage, [(now, event.done)]
        start, first = self._marks[-1] if event.done > self._marks[-1][1] else self._marks[0]
        if len(self._marks) == 1 and event.done > first:
            self._marks.append((now, event.done))
        if event.done == first or not event.total:
            return None
        return round((event.total - event.done) * (now - start) / (event.done - first), 1)


def _numbers(values):
    """Format the numbers of an event."""
    hidden = ("step", "eta_s")
    shown = {name.removeprefix("validation_"): value for name, value in values.items() if name not in hidden}
    return [f"{name} {value:.4g}" for name, value in shown.items() if isinstance(value, int | float)]


def _duration(seconds):
    """Format a duration.

    Examples
    --------
    >>> _duration(75)
    '1 min 15 s'
    """
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [(hours, "h"), (minutes, "min"), (seconds, "s")]
    return " ".join(f"{number} {unit}" for number, unit in parts if number)[:20] or "0 s"
