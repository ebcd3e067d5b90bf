"""Progress of a cohort of slides."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from ..progress import Event, Progress


class CohortProgress:
    """Adds to the events of each slide: slides that are done, and the remaining seconds of all slides.

    The rest is estimated in square millimeters of tissue: slides that were not opened yet count as the mean of the
    others.

    Parameters
    ----------
    progress : callable or None
        Receives the events.
    total : int
        Number of slides.

    Examples
    --------
    >>> cohort = CohortProgress(lambda event: print(event.values), total=2)
    >>> with cohort.slide():
    ...     cohort(Event("predicting", 1, 4, {"mm2": 1.0, "of_mm2": 4.0}))
    {'mm2': 1.0, 'of_mm2': 4.0, 'slides': 0, 'of_slides': 2}
    """

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0
        self._start, self._here = time.monotonic(), 0.0
        self._first_mm2: float | None = None
        self._areas: list[float] = []  # mm2 of the slides so far
        self._mm2 = 0.0  # mm2 that this call predicted in the slides before

    @contextmanager
    def slide(self) -> Iterator[None]:
        """Count the slide of the block as done at its end."""
        self._here, self._first_mm2 = 0.0, None
        try:
            yield
        finally:
            self._mm2 += self._here
            self._done += 1

    def skip(self) -> None:
        """Count a slide that was done by an earlier call."""
        self._done += 1

    def __call__(self, event: Event) -> None:
        """Send an event, with what is known of the cohort."""
        if self._progress is None:
            return
        values = {**event.values, "slides": self._done, "of_slides": self._total}
        if "of_mm2" in event.values:
            done, total = event.values["mm2"], event.values["of_mm2"]
            if self._first_mm2 is None:
                self._first_mm2 = done
                self._areas.append(total)
            self._here = done - self._first_mm2
            finished = self._mm2 + self._here
            rest = total - done + (self._total - self._done - 1) * sum(self._areas) / len(self._areas)
            seconds = time.monotonic() - self._start
            if finished > 0 and seconds >= 1:
                values["eta_s"] = round(seconds / finished * rest, 1)
        self._progress(replace(event, values=values))
