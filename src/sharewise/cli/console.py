"""Where the command line writes: results on stdout, the log and progress on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sharewise.study.progress import Progress


def log(quiet: bool) -> Callable[[str], None]:
    """Writes one line of the log."""
    return (lambda text: None) if quiet else (lambda text: print(text, file=sys.stderr, flush=True))


def progress(quiet: bool) -> Progress:
    """A bar on a terminal, a line per event elsewhere, nothing when quiet."""
    from sharewise.study.progress import bar, lines, silent

    if quiet:
        return silent
    return bar() if sys.stderr.isatty() else lines(log(False))


def show(directory: Path) -> None:
    """The answer of a finished run on stdout."""
    from rich.console import Console

    from sharewise.report import load, terminal

    terminal.show(load(directory), Console())
