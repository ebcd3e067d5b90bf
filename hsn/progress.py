"""Progress and cancellation of long work.

A long-running function has an argument ``progress``: a callable that receives an `Event` after each unit of work. To
cancel, the callable raises `Cancelled`. Files on disk are then complete, and the same call resumes the work.
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
    done, total : float, int or None
        Units of work, `done` perhaps with a fraction; the total is None if it is unknown.
    values : dict
        Current values: `epoch`, `step`, `loss`, validation scores.

    Examples
    --------
    >>> Event("training", 3, 10, {"loss": 0.5}).fraction
    0.3
    """

    stage: str
    done: float
    total: int | None = None
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def fraction(self) -> float | None:
        """Fraction of the work that is done, 0 to 1, or None."""
        return None if not self.total else self.done / self.total


Progress = Callable[[Event], None]


class Cancelled(Exception):  # noqa: N818 - not an error: the caller asked for it
    """Raised by a progress callback to stop the work. The same call resumes it."""


def report(
    progress: Progress | None, stage: str, done: float, total: int | None = None, **values: Any
) -> None:
    """Send one event if `progress` is not None.

    Examples
    --------
    >>> report(lambda event: print(event.stage, event.done), "reading", 1, 2)
    reading 1
    """
    if progress is not None:
        progress(Event(stage, done, total, values))


def track(items: Iterable[T], progress: Progress | None, stage: str) -> Iterator[T]:
    """Yield the items and report progress after each.

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
