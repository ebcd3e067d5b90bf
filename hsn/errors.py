"""Errors that a user can act on.

``InputError`` is the only error that hsn raises for bad input. The command line prints it as one line and leaves with
exit code 2. Errors of the system, such as a full disk, are converted by `as_input_error`.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .limits import MESSAGE_CHARS
from .progress import Cancelled

SHOW_BUGS = "HSN_TRACEBACK"  # environment variable: unexpected errors keep their traceback
_DISK_FULL = {errno.ENOSPC, errno.EFBIG, *([errno.EDQUOT] if hasattr(errno, "EDQUOT") else [])}
ENDS_BATCH = ("disk-full", "folder-full")  # codes of errors that the next file would meet, too


class InputError(ValueError):
    """Invalid input. The message is one sentence: the requirement, the given value, one hint.

    Parameters
    ----------
    code : str
        Stable name of the error, in lower case with hyphens: "image-dtype". Programs and tests match it.
    must : str
        Requirement, as the start of a sentence: "`image` must be uint8 (H, W, 3)".
    got : object
        The given value.
    hint : str
        Advice for the user.

    Attributes
    ----------
    code, hint : str

    Examples
    --------
    >>> error = InputError("mpp-positive", "`mpp` must be above 0", got=-1, hint="read it from the slide's properties")
    >>> print(error)
    `mpp` must be above 0; got -1; read it from the slide's properties.
    >>> error.code
    'mpp-positive'
    """

    def __init__(self, code: str, must: str, *, got: object, hint: str) -> None:
        super().__init__(f"{shorten(must)}; got {shorten(got)}; {shorten(hint)}.")
        self.code = code
        self.hint = hint

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self.code, self.hint, str(self))


def _rebuild(code: str, hint: str, message: str) -> InputError:
    """Build an error from its parts, for pickle."""
    error = InputError.__new__(InputError)
    ValueError.__init__(error, message)
    error.code, error.hint = code, hint
    return error


def printable(text: object) -> str:
    """Return text that can be written as UTF-8; bytes of a file name that are not UTF-8 become escapes.

    Examples
    --------
    >>> printable("gew\\udce4chs.png")
    'gew\\\\udce4chs.png'
    """
    try:
        return str(text).encode("utf-8", "backslashreplace").decode("utf-8")
    except ValueError:  # a whole number of more than 4300 digits
        return f"a {type(text).__name__} that cannot be written"


def shorten(text: object, limit: int = MESSAGE_CHARS // 3) -> str:
    """Return printable text with at most `limit` characters; the middle of a longer text is left out.

    Examples
    --------
    >>> shorten("abcdefghij", 7)
    'ab...ij'
    """
    whole = printable(text)
    if len(whole) <= limit:
        return whole
    side = (limit - 3) // 2
    return f"{whole[:side]}...{whole[-side:]}"


def as_input_error(error: Exception) -> InputError:
    """Return the `InputError` for any error.

    Parameters
    ----------
    error : Exception

    Returns
    -------
    InputError
        The error itself; "disk-full" or "file-system" for an `OSError`; "memory-full"; else "unexpected". With the
        environment variable HSN_TRACEBACK, unexpected errors are raised again. `Cancelled` is always raised again.

    Examples
    --------
    >>> as_input_error(OSError(errno.ENOSPC, "No space left on device", "a.png")).code
    'disk-full'
    """
    if isinstance(error, InputError):
        return error
    if isinstance(error, Cancelled):
        raise error
    if isinstance(error, OSError):
        name = error.filename if isinstance(error.filename, str | os.PathLike) else "a file"
        reason = error.strerror or str(error)
        if error.errno in _DISK_FULL:
            hint = "make room, then run the same command again"
            return InputError("disk-full", f"{name} must fit on the disk", got=reason, hint=hint)
        return InputError(
            "file-system", f"{name} must be accessible", got=reason, hint="check the path and its permissions"
        )
    if isinstance(error, MemoryError):
        return InputError(
            "memory-full",
            "the input must fit into memory",
            got="too little memory",
            hint="give a smaller image",
        )
    if os.environ.get(SHOW_BUGS):
        raise error
    first = (str(error).strip().splitlines() or [""])[0]
    return InputError(
        "unexpected",
        "hsn must handle this input, but failed",
        got=f"{type(error).__name__}: {first}",
        hint=f"report it; {SHOW_BUGS}=1 shows where it failed",
    )


@contextmanager
def collect_failures(failures: list[tuple[str, str]], name: object) -> Iterator[None]:
    """Append an error in the block to `failures`, so that a batch continues; a full disk ends the batch.

    Parameters
    ----------
    failures : list of (str, str)
        Name and reason of each failed file.
    name : object
        Name of the file.

    Raises
    ------
    InputError
        "disk-full" or "folder-full".

    Examples
    --------
    >>> failures = []
    >>> with collect_failures(failures, "a.png"):
    ...     raise InputError("image-format", "a.png must be an image", got="text", hint="export it")
    >>> failures
    [('a.png', 'a.png must be an image; got text; export it.')]
    """
    try:
        yield
    except Exception as error:
        failure = as_input_error(error)
        if failure.code in ENDS_BATCH:
            raise failure from None
        failures.append((printable(name), str(failure)))
