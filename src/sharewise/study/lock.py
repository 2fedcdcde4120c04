"""One process at a time in a run directory."""

from __future__ import annotations

import errno
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO

from sharewise.errors import ConfigError, Problem

FILE = ".lock"


@contextmanager
def held(directory: Path, verb: str) -> Iterator[None]:
    """Keep other processes out of a run directory; raises ConfigError that names the one that is there already, and
    where the directory cannot be written to.

    The system lets go of the lock when this process ends, however it ends: nothing is left to be cleared away by hand.
    The lock of a record belongs to its process alone, so that workers that outlive a killed study do not hold it. Where
    the system, or the disk, has no such locks nothing is kept out.
    """
    try:
        (directory / FILE).touch()
    except OSError as error:
        raise unwritable(directory, error) from None
    with open(directory / FILE, "a+", encoding="utf-8") as file:
        _lock(file, directory)
        since = datetime.now().astimezone().isoformat(" ", "seconds")
        file.truncate(0)
        file.write(f"`{verb}`, process {os.getpid()} on {platform.node()} since {since}")
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


def unwritable(directory: Path, error: OSError) -> ConfigError:
    """What is said where nothing can be written to a run directory."""
    fact = f"writing to '{directory}' failed ({error.strerror or error})"
    return ConfigError(Problem("A run needs a directory that it can write to", fact, "choose another, or free it"))


def _lock(file: IO[str], directory: Path) -> None:
    if sys.platform == "win32":
        return
    import fcntl

    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EAGAIN):
            return
        file.seek(0)
        raise ConfigError(
            Problem(
                "One process at a time works in a run directory",
                f"{file.read() or 'another process'} is at work in '{directory}'",
                "wait for its end, or stop it; then the same command goes on from what it has finished",
            )
        ) from None
