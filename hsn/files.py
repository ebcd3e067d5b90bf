"""Writing files so that a crash leaves the old one or the new one, never half of one."""

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path

from .errors import refuse


@contextmanager
def atomic_write(path):
    """Give a temporary path beside `path`; on success it is moved to `path`, on failure it is removed.

    The folder is made if it is missing. The temporary name ends like `path`, because writers choose their
    format by the ending.

    Parameters
    ----------
    path : path
        The file to write.

    Yields
    ------
    pathlib.Path
        Where to write.

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
        refuse(f"{path} cannot be written", expected="a folder that may be written to",
               received=error.strerror, remedy="choose another place")  # fmt: skip
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes private files; what a user asked for gets the usual permissions.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
