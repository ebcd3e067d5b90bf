"""Writing files so that a crash leaves the old one or the new one, never half of one."""

import json
import math
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


def plain(value):
    """Return a value as plain data for JSON: arrays as lists, paths as text, NaN as None.

    Examples
    --------
    >>> plain({"iou": (float("nan"), 0.5)})
    {'iou': [None, 0.5]}
    """
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if hasattr(value, "tolist"):  # NumPy's arrays and numbers
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def write_json(path, data):
    """Write data as JSON; a crash leaves the old file or the new one.

    Parameters
    ----------
    path : path
    data : object
        Passed through `plain`.
    """
    with atomic_write(path) as temporary:
        text = json.dumps(plain(data), indent=2, ensure_ascii=False)
        temporary.write_text(text + "\n", encoding="utf-8")
