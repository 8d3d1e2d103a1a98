"""One process at a time: a lock that the system takes back when its holder ends, however it ends."""

from __future__ import annotations

import os
import sys

__all__ = ["lock_file"]

if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def lock_file(path: str) -> int:
    """
    Take the lock that a file stands for; the file is made where it is missing, with mode 0600.

    The file stays when the lock is released. If it were removed, a third process could make it anew while a second
    holds the lock of the old one.

    Returns:
        A descriptor, which no child process inherits. Closing it releases the lock.

    Raises:
        BlockingIOError: Somebody else holds the lock.
        OSError: The file cannot be made, or the file system has no locks.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _lock(descriptor)
    except OSError as error:
        os.close(descriptor)
        if isinstance(error, PermissionError):  # what Windows, and some POSIX systems, say for a lock that is held
            raise BlockingIOError(error.errno, error.strerror, path) from error
        raise
    return descriptor
