"""Small files from outside: their size is asked before they are read."""

from ..errors import refuse

# A card with the longest class list is some 10 kB; a thousand times that is no card.
TEXT_BYTES = 10_000_000


def read_bytes(path, *, max_bytes):
    """The content of a file that should be there and small; refuses it otherwise, before reading it."""
    try:
        size = path.stat().st_size
        if size > max_bytes:
            refuse(f"{path} is too large for what it should hold", expected=f"at most {max_bytes:,} bytes",
                   received=f"{size:,}", remedy="get the original file again")  # fmt: skip
        return path.read_bytes()
    except OSError as error:
        refuse(f"{path} cannot be read", expected="a file", received=error.strerror,
               remedy="check that the folder is whole")  # fmt: skip


def read_text(path):
    """The content of a small UTF-8 file."""
    try:
        return read_bytes(path, max_bytes=TEXT_BYTES).decode("utf-8")
    except UnicodeDecodeError:
        refuse(f"{path} is no text file", expected="UTF-8 text", received="other bytes",
               remedy="get the original file again")  # fmt: skip


def in_short(error):
    """The first line of what a library says, for a error that passes it on."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
