"""Where an inquiry's runs are made and compared: one directory of runs, resumable like a study's."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sharewise.batch import Targets
from sharewise.plan import Group
from sharewise.records import Phase, RunRecord, Status
from sharewise.seeds import derive
from sharewise.study.compare import Pair
from sharewise.study.design import Variant
from sharewise.study.explain.base import Rows
from sharewise.study.prepare import Prepared
from sharewise.study.work import Run, read_predictions, read_record, units
from sharewise.study.workers import Workers
from sharewise.training.data import TrainingData

LEAST_RUNS = 5
"""Runs of each arm: three leave a double difference too few degrees of freedom."""


@dataclass(frozen=True)
class Recipe:
    """How one model of the study was made: its variant, and the trial and tuned values that won."""

    variant: Variant
    trial: int
    params: Mapping[str, Any]


class Bench:
    """Trains what an inquiry asks for in one directory, and compares it on test rows."""

    def __init__(self, prepared: Prepared, directory: Path, seed: int, n_runs: int, workers: int) -> None:
        self.prepared, self.directory, self.seed, self.workers = prepared, directory, seed, workers
        self.n_runs = max(n_runs, LEAST_RUNS)
        self.made: set[str] = set()
        for name in ("runs", "models"):
            (directory / name).mkdir(parents=True, exist_ok=True)

    def runs(self, arm: str, group: Group, recipe: Recipe, variant: Variant, n_runs: int, extra: str = "") -> list[Run]:
        """Runs of a group with the inquiry's own seeds: none has been used by the study."""
        return [
            Run(
                phase=Phase.CONFIRM,
                arm=arm,
                kind="neural",
                group=group,
                seed=derive(self.seed, "explain", number),
                trial=recipe.trial,
                params=dict(recipe.params),
                key=variant.key + extra,
            )
            for number in range(n_runs)
        ]

    def carry_out(
        self,
        runs: Sequence[Run],
        variants: Mapping[str, Variant],
        progress: Callable[[int], None],
        hidden: Mapping[str, Rows],
    ) -> list[RunRecord]:
        """Train what is not on disk yet, without the `hidden` labels; the records in order."""
        prepared = replace(self.prepared, variants={**self.prepared.variants, **variants})
        prepared = without_labels(prepared, hidden)
        work = units(runs, prepared)
        todo = [unit for unit in work if not unit.done(self.directory)]
        with Workers(prepared, self.directory, min(self.workers, max(len(todo), 1))) as pool:
            pool.carry_out(work, progress)
        self.made |= {run.run_id for run in runs}
        return [read_record(self.directory, run) for run in runs]

    def pair(
        self, task: str, names: tuple[str, str], baseline: Sequence[RunRecord], candidate: Sequence[RunRecord]
    ) -> Pair:
        """Both arms' predictions of the test rows."""
        truth, present = self.prepared.truth(task, "test")
        sides = []
        for records in (baseline, candidate):
            done = [r for r in records if r.status is Status.DONE]
            said = [read_predictions(self.directory, r, "test", task).astype(np.float64) for r in done]
            sides.append((said, tuple(r.run_id for r in done)))
        (b, b_ids), (m, m_ids) = sides
        clusters = self.prepared.clusters_of(task, "test")
        return Pair(self.prepared.tasks[task], truth, present, *names, b, m, b_ids, m_ids, clusters)


def without_labels(prepared: Prepared, hidden: Mapping[str, Rows]) -> Prepared:
    """The same table with some train and validation labels not present."""
    if not hidden:
        return prepared
    present = prepared.targets.present.copy()
    for task, rows in hidden.items():
        present[np.ix_(rows, np.arange(present.shape[1])[prepared.targets.slices[prepared.tasks.index(task)]])] = False
    targets = Targets(prepared.targets.values, present, prepared.targets.slices)
    data = TrainingData.of(prepared.tasks, prepared.inputs, targets, prepared.data.parts)
    # Scales stay those of the whole table: one thing is changed, not two.
    return replace(prepared, targets=targets, data=replace(data, scales=prepared.data.scales))


def digest(rows: Rows) -> str:
    """Eight hexadecimal digits that stand for some rows in a run's id."""
    return hashlib.blake2b(np.ascontiguousarray(rows, dtype=np.int64).tobytes(), digest_size=4).hexdigest()
