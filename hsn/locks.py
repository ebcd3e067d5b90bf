"""Locks: one process at a time works in a folder. Locks of dead processes are removed."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from .errors import InputError


def take_lock(path: Path, *, stale_s: float | None = None) -> None:
    """Create a lock file for this process; its folder is created. Delete the file to release the lock.

    Parameters
    ----------
    path : path
        The lock file.
    stale_s : float, optional
        Age in seconds from which the lock of a process on another machine counts as left behind; the holder must touch
        the file more often. Default: such a lock stays.

    Raises
    ------
    InputError
        "run-locked" if another process holds the lock; "folder-not-writable".
    """
    lock: dict[str, Any] = {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "started": process_start(os.getpid()),
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for _ in range(3):
            try:
                with path.open("x", encoding="utf-8") as file:
                    json.dump(lock, file)
                return
            except FileExistsError:
                holder = _read_lock(path)
                if holder == lock:
                    break
                if holder and _may_be_held(holder, lock["host"], path, stale_s):
                    break
                path.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(
            "folder-not-writable",
            f"{path.parent} must be a folder that can be written to",
            got=error.strerror,
            hint="choose another place",
        ) from None
    raise InputError(
        "run-locked",
        f"{path.parent} must not be in use by another process",
        got=f"process {holder['pid']} on {holder['host']}" if holder else "another process",
        hint=f"wait for it, or delete {path} if it has ended",
    )


def _may_be_held(holder: dict[str, Any], host: str, path: Path, stale_s: float | None) -> bool:
    """Check whether the holder of a lock may still run."""
    if holder["host"] == host:
        return _is_alive(holder)
    return stale_s is None or time.time() - path.stat().st_mtime < stale_s


def _read_lock(path: Path) -> dict[str, Any] | None:
    """Read a lock file; return None if it is incomplete after a crash."""
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
        return holder if {"host", "pid", "started"} <= set(holder) else None
    except (OSError, ValueError, TypeError):
        return None


def _is_alive(holder: dict[str, Any]) -> bool:
    """Check whether the process of a lock still runs; its start time detects a reused process id."""
    started = process_start(int(holder["pid"]))
    return started is not None and started == holder["started"]


def process_start(pid: int) -> str | None:
    """Return the start time of a process on this machine as text; None if the process does not exist.

    Examples
    --------
    >>> process_start(os.getpid()) == process_start(os.getpid()), process_start(2**30)
    (True, None)
    """
    stat = Path(f"/proc/{pid}/stat")
    if sys.platform == "linux":
        try:
            # The program name, in brackets, may contain spaces. State Z is a zombie: the process has ended.
            state, *numbers = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            return None
        return None if state == "Z" else numbers[18]
    if sys.platform == "win32":
        return _windows_start(pid)
    done = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or None


def _windows_start(pid: int) -> str | None:
    """Ask the Windows kernel for the creation time of a process."""
    import ctypes

    kernel = ctypes.windll.kernel32  # type: ignore[attr-defined]
    handle = kernel.OpenProcess(0x1000, False, pid)  # PROCESS_QUERY_LIMITED_INFORMATION
    if not handle:
        return None
    times = [ctypes.c_ulonglong() for _ in range(4)]
    code = ctypes.c_ulong()
    try:
        kernel.GetProcessTimes(handle, *(ctypes.byref(time) for time in times))
        kernel.GetExitCodeProcess(handle, ctypes.byref(code))
    finally:
        kernel.CloseHandle(handle)
    return str(times[0].value) if code.value == 259 else None  # STILL_ACTIVE
