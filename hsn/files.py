"""Write files so that a crash leaves the old file or the new file, never half of one."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import InputError

# The shipped nets: in the package when installed from a wheel, beside it in a checkout.
_INSTALLED = Path(__file__).parent / "pretrained"
PRETRAINED = _INSTALLED if _INSTALLED.is_dir() else Path(__file__).parents[1] / "pretrained"


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`; move it to `path` on success, remove it on failure.

    A missing folder is created. The temporary name ends like `path`, because writers choose their format by the ending.

    Parameters
    ----------
    path : path
        The file to write.

    Yields
    ------
    pathlib.Path
        Path to write to.

    Raises
    ------
    InputError
        "folder-unwritable".

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with atomic_write(folder / "a" / "note.txt") as temporary:
    ...     _ = temporary.write_text("done")
    >>> [p.name for p in (folder / "a").iterdir()]
    ['note.txt']
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=f".{path.name}")
    except OSError as error:
        raise InputError(
            "folder-unwritable",
            f"{path.parent} must be a folder that can be written to",
            got=error.strerror,
            hint="choose another place",
        ) from None
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes private files; the user's file gets the usual permissions
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
