"""Carry out units of work: here, or in processes of one thread each, one per core."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path

from sharewise.errors import SharewiseError
from sharewise.study import contest, work
from sharewise.study.prepare import Prepared
from sharewise.study.work import Unit

_PREPARED: Prepared | None = None


def _start(prepared: Prepared) -> None:
    """Once in every worker: one thread, because small nets train slower with more, and Ctrl-C left to the parent."""
    import torch

    global _PREPARED
    _PREPARED = prepared
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _work(unit: Unit, directory: Path) -> int:
    if _PREPARED is None:
        raise SharewiseError("A worker must be started before it works; however, this one was not.")
    _carry_out(unit, _PREPARED, directory)
    return len(unit.runs)


def _carry_out(unit: Unit, prepared: Prepared, directory: Path, progress: Callable[[int], None] | None = None) -> None:
    room = work if unit.rules is None else contest
    room.carry_out(unit, prepared, directory, progress)


class Workers:
    """A pool that stays alive over the phases of a study; with one worker everything happens in this process.

    Units go out costliest first. A result never depends on how many workers there are.
    """

    def __init__(self, prepared: Prepared, directory: Path, n_workers: int) -> None:
        self.prepared, self.directory = prepared, directory
        self.pool: ProcessPoolExecutor | None = None
        if n_workers > 1:
            method = "fork" if sys.platform == "linux" else "spawn"
            context = multiprocessing.get_context(method)
            self.pool = ProcessPoolExecutor(n_workers, context, initializer=_start, initargs=(prepared,))

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *exception: object) -> None:
        if self.pool is None:
            return
        if any(exception):
            # Killing the workers loses only units that are under way; every finished run is on disk.
            for process in list((self.pool._processes or {}).values()):
                process.kill()
            self.pool.shutdown(wait=False, cancel_futures=True)
        else:
            self.pool.shutdown()

    def carry_out(self, units: Sequence[Unit], progress: Callable[[int], None]) -> None:
        """Carry out every unit that is not finished; raises SharewiseError when a worker dies."""
        for unit in units:
            if unit.done(self.directory):
                progress(len(unit.runs))
        todo = [unit for unit in units if not unit.done(self.directory)]
        if self.pool is None:
            for unit in todo:
                _carry_out(unit, self.prepared, self.directory, progress)
            return
        waiting: set[Future[int]] = {self.pool.submit(_work, unit, self.directory) for unit in todo}
        while waiting:
            finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in finished:
                try:
                    progress(future.result())
                except OSError:
                    raise
                except Exception as error:
                    if "process" in type(error).__name__.lower():
                        raise SharewiseError(
                            "A worker process died, most likely for want of memory. "
                            "Run again with fewer --workers; finished runs are kept."
                        ) from error
                    raise


def default_workers() -> int:
    """One worker a core that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
