"""Read small files from outside; their size is checked first."""

from pathlib import Path

from ..errors import InputError

TEXT_BYTES = 10_000_000  # a card with the longest class list has some 10 kB


def read_bytes(path: Path, *, max_bytes: int) -> bytes:
    """Return the content of a small file.

    Raises
    ------
    InputError
        "file-too-large" or "file-not-readable".
    """
    try:
        size = path.stat().st_size
        if size > max_bytes:
            raise InputError(
                "file-too-large",
                f"{path} must have at most {max_bytes:,} bytes",
                got=f"{size:,}",
                hint="get the original file again",
            )
        return path.read_bytes()
    except OSError as error:
        raise unreadable(path, error) from None


def read_text(path: Path) -> str:
    """Return the content of a small UTF-8 file.

    Raises
    ------
    InputError
        As `read_bytes`, or "file-not-text".
    """
    try:
        return read_bytes(path, max_bytes=TEXT_BYTES).decode("utf-8")
    except UnicodeDecodeError:
        raise InputError(
            "file-not-text",
            f"{path} must be UTF-8 text",
            got="other bytes",
            hint="get the original file again",
        ) from None


def unreadable(path: Path, error: OSError) -> InputError:
    """Return the error for a file that the system cannot read."""
    return InputError(
        "file-not-readable",
        f"{path} must be a file that can be read",
        got=error.strerror,
        hint="check that the folder is complete",
    )


def first_line(error: Exception) -> str:
    """Return the first line of a library's message, to quote it in a sentence."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
