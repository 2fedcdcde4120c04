"""A study's beginning: its table read and checked, and a run directory of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sharewise.errors import ConfigError, Problem
from sharewise.study import lock
from sharewise.study.file import IN_MEMORY, StudyFile
from sharewise.study.progress import Progress, silent

if TYPE_CHECKING:
    from sharewise.study.session import Session
    from sharewise.tables.read import Source


def opened(
    declared: StudyFile,
    data: Source | None,
    directory: Path,
    *,
    workers: int | None = None,
    progress: Progress = silent,
    log: Callable[[str], None] = lambda text: None,
) -> Session:
    """A declared study with its table read and checked, ready to be carried out; `data` is the table where that was in
    memory or has moved.

    Raises ConfigError where the table was in memory and is not given, DataError with every problem found in it.
    """
    if data is None and declared.data.path == IN_MEMORY:
        raise ConfigError(
            Problem(
                "A study of a table in memory needs that table again",
                f"{directory} does not hold it",
                "give it as `data`, or the file it came from with --data",
            )
        )
    from sharewise.tables.prepare import prepare
    from sharewise.tables.read import read

    table = read(declared.data_path if data is None else data)
    checked = prepare(table, declared.declaration(table), declared.split_spec(), declared.seed)
    # What is heavy is imported when the table has been checked.
    from sharewise.study.session import Session

    return Session(declared, checked, directory, workers, progress, log)


@contextmanager
def claim(directory: Path) -> Iterator[None]:
    """Make the run directory; raises ConfigError where something else is there.

    What is refused before its design is written leaves no directory that was not there before; what is killed before
    that leaves at most hidden files behind, which do not count.
    """
    if directory.exists() and not directory.is_dir():
        raise ConfigError(Problem("A run needs a directory", f"{directory} is a file", "choose another --out"))
    held = [p for p in directory.iterdir() if not p.name.startswith(".")] if directory.is_dir() else []
    if held and not (directory / "design.json").exists():
        raise ConfigError(
            Problem(
                "A run needs an empty directory or one of its own",
                f"{directory} holds other files",
                "choose another --out",
            )
        )
    made = [folder for folder in (directory, *directory.parents) if not folder.exists()]
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise lock.unwritable(directory, error) from None
    try:
        yield
    except BaseException:
        if made and not (directory / "design.json").exists():
            (directory / lock.FILE).unlink(missing_ok=True)
            with suppress(OSError):
                for folder in made:
                    folder.rmdir()
        raise
