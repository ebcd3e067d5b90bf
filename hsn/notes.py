"""Notes: what a reader assumed about files, one line for a whole batch.

A reader calls `note`. A workflow wraps its batch in `collect_notes` and reports the lines. Without a collector, notes
are dropped: the functions that read one file document their rules.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class Notes:
    """Assumptions and the files that they concern.

    Examples
    --------
    >>> with collect_notes() as notes:
    ...     note("masks with one value are split into connected components", "a.png")
    ...     note("masks with one value are split into connected components", "b.png")
    >>> notes.sentences()
    ['masks with one value are split into connected components: a.png and 1 more file']
    """

    def __init__(self) -> None:
        self._files: dict[str, dict[str, int]] = {}

    def add(self, sentence: str, where: object, count: int = 0) -> None:
        """Add an assumption about a file; `count` objects of the file are concerned, 0 if the whole file is."""
        self._files.setdefault(sentence, {})[str(where)] = count

    def include(self, notes: "Notes") -> None:
        """Add the notes of a part of the batch."""
        for sentence, files in notes._files.items():
            self._files.setdefault(sentence, {}).update(files)

    def sentences(self) -> list[str]:
        """Return one line per assumption, with its first file and the number of the others."""
        return [_line(sentence, files) for sentence, files in self._files.items()]


def _line(sentence: str, files: dict[str, int]) -> str:
    first, total = next(iter(files)), sum(files.values())
    more = f" and {len(files) - 1} more file{'s' if len(files) > 2 else ''}" if len(files) > 1 else ""
    return f"{f'{total} ' if total else ''}{sentence}: {first}{more}"


_CURRENT: ContextVar[Notes | None] = ContextVar("notes", default=None)


def note(sentence: str, where: object, count: int = 0) -> None:
    """Record an assumption about a file for the batch that is running; see `Notes.add`."""
    notes = _CURRENT.get()
    if notes is not None:
        notes.add(sentence, where, count)


@contextmanager
def collect_notes() -> Iterator[Notes]:
    """Collect the notes of the readers that run inside the `with` block; an outer block gets them too."""
    notes, outer = Notes(), _CURRENT.get()
    token = _CURRENT.set(notes)
    try:
        yield notes
    finally:
        _CURRENT.reset(token)
        if outer is not None:
            outer.include(notes)
