"""Progress and cancel: what long work tells whoever called it.

A function that takes long has an argument ``progress``: a callable that gets an `Event` now and then. To cancel, the
callable raises `Cancelled`; what is on disk by then is whole, and the same call goes on from there.
"""

from collections.abc import Callable, Iterable, Iterator, Sized
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Event:
    """One report of progress.

    Attributes
    ----------
    stage : str
        Name of the work, "training" or "reading masks".
    done, total : int, int or None
        Units of work; the total is None where it is not known.
    values : dict
        Numbers of the moment: `epoch`, `step`, `loss`, validation scores.

    Examples
    --------
    >>> Event("training", 3, 10, {"loss": 0.5}).fraction
    0.3
    """

    stage: str
    done: int
    total: int | None = None
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def fraction(self) -> float | None:
        """Part of the work that is done, 0 to 1, or None."""
        return None if not self.total else self.done / self.total


Progress = Callable[[Event], None]


class Cancelled(Exception):  # noqa: N818 - not an error: the caller asked for it
    """Raised by a progress callback to stop; the work can be continued by the same call."""


def report(progress: Progress | None, stage: str, done: int, total: int | None = None, **values: Any) -> None:
    """Send one event, if anybody listens.

    Examples
    --------
    >>> report(lambda event: print(event.stage, event.done), "reading", 1, 2)
    reading 1
    """
    if progress is not None:
        progress(Event(stage, done, total, values))


def track(items: Iterable[T], progress: Progress | None, stage: str) -> Iterator[T]:
    """Yield `items` and report after each.

    Examples
    --------
    >>> list(track("ab", lambda event: print(event.done, event.total), "reading"))
    0 2
    1 2
    2 2
    ['a', 'b']
    """
    total = len(items) if isinstance(items, Sized) else None
    report(progress, stage, 0, total)
    for done, item in enumerate(items, start=1):
        yield item
        report(progress, stage, done, total)
