"""How a study says how far it is: a bar on a terminal, a line per event elsewhere, nothing when asked."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

Advance = Callable[[int], None]
Progress = Callable[[str, int | None], AbstractContextManager[Advance]]
"""(phase, number of runs or None) -> a context whose value is called with the runs that were finished."""


@contextmanager
def silent(phase: str, total: int | None) -> Iterator[Advance]:
    """Say nothing."""
    yield lambda n: None


def lines(write: Callable[[str], None], every: float = 5.0) -> Progress:
    """One line when a phase starts and ends, and at most one in `every` seconds between."""

    @contextmanager
    def phase(name: str, total: int | None) -> Iterator[Advance]:
        done, last, started = 0, time.monotonic(), time.monotonic()
        noun = "row" if name.startswith("reading ") else "run"

        def advance(n: int) -> None:
            nonlocal done, last
            done += n
            if time.monotonic() - last >= every:
                last = time.monotonic()
                write(f"{name}: {done} of {total} {noun}{_s(total)}" if total else f"{name}: {done} {noun}{_s(done)}")

        yield advance
        if done:
            write(f"{name}: {done} {noun}{_s(done)} in {time.monotonic() - started:.0f} s")

    return phase


def _s(n: int) -> str:
    return "" if n == 1 else "s"


@contextmanager
def _bar(name: str, total: int | None) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description:12}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=Console(stderr=True)) as bars:
        task = bars.add_task(name, total=total)
        yield lambda n: bars.advance(task, n)


def bar() -> Progress:
    """A bar per phase on stderr."""
    return _bar
