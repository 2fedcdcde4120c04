"""What answering costs in milliseconds on this machine, before anything is trained: weights do not change it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

from sharewise.records import Latency
from sharewise.study.prepare import Prepared

REPEATS = 15
"""Measurements of one thing, of which the median counts; a third of them where one takes a tenth of a second."""

MOST_ALONE = 8
"""Single-task models that are measured; their mean stands for all."""


def measured(prepared: Prepared, whole: Any, alone: Sequence[Any]) -> Latency:
    """Milliseconds to read one row, and to answer it by the model `whole` and by the mean of the models `alone`.

    The median of 15 passes each, after a first, of this process with one thread; every model is built with the weights
    it starts from.
    """
    import torch

    from sharewise.models.reading import encode

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    row = prepared.table.slice(0, 1)
    inputs = prepared.data.gather(torch.zeros(1, 1, dtype=torch.long))
    some = [alone[i * len(alone) // MOST_ALONE] for i in range(MOST_ALONE)] if len(alone) > MOST_ALONE else alone
    try:
        return Latency(
            read=_median(lambda: encode(prepared.codec, row)),
            whole=_median(lambda: whole.predict(inputs)),
            alone=statistics.fmean(_median(lambda m=model: m.predict(inputs)) for model in some),  # type: ignore[misc]
        )
    finally:
        torch.set_num_threads(threads)


def _median(work: Callable[[], object]) -> float:
    work()
    took: list[float] = []
    while len(took) < (REPEATS if not took or took[0] < 100 else REPEATS // 3):
        started = time.perf_counter()
        work()
        took.append(1000 * (time.perf_counter() - started))
    return round(statistics.median(took), 4)


def told(latency: Latency, most: int | None) -> str:
    """The measurement, and how many models the limits leave room for."""
    return (
        f"Latency on this machine, one row at a time: {latency.read:.3g} ms to read it, {latency.whole:.3g} ms by one "
        f"model of all tasks, {latency.alone:.3g} ms by a task's own; the limits leave room for "
        f"{'any plan' if most is None else '1 model' if most == 1 else f'{most} models'}."
    )
