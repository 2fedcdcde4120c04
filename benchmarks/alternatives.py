"""What a single-task buyer gets: LightGBM and the linear model on the real tables, beside the data cards' baselines.

Each task alone, the codec fitted on train rows, trial chosen on validation rows, scored on the card's test rows in the
card's metric (mean over tasks). A grouped task is one model per group; R2 is then pooled within groups. Needs
SHAREWISE_DATA. Run: python benchmarks/alternatives.py [--trials 1] [TABLE ...]
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import real_tables
from numpy.typing import NDArray

from sharewise import metrics
from sharewise.models.boosted import Boosted
from sharewise.models.linear import Linear
from sharewise.models.single import SingleTaskModel
from sharewise.tables.codec import Codec
from sharewise.tables.encoders import OF_KIND
from sharewise.tables.read import Table
from sharewise.tasks import Task, TaskKind, TaskSet

Array = NDArray[Any]
CARDS = {
    "tox21": "AUROC: linear 0.825, HGB 0.836",
    "adult": "AUROC: linear 0.858, HGB 0.887; accuracy: linear 0.503, HGB 0.519",
    "student_performance": "R2: linear 0.090, HGB 0.133",
    "energy_efficiency": "R2: linear 0.907, HGB 0.988",
    "yeast": "AUROC: linear 0.667, HGB 0.702",
    "bike_sharing": "R2 of log1p: linear 0.493, HGB 0.900",
    "landmine": "AUROC mean over fields, one pooled model: linear 0.733, HGB 0.763",
    "molnet_disjoint": "AUROC: linear 0.892, HGB 0.824; R2: linear 0.763, HGB 0.760",
    "sarcos_small": "R2: linear 0.881, HGB 0.947",
    "school": "R2 of one pooled model: linear 0.381, HGB 0.378",
}


@dataclass(frozen=True)
class Data:
    """A table encoded, with the rows of each part."""

    codec: Codec
    table: Table
    parts: dict[str, Array]


def load(name: str) -> Data:
    """The table as its own metadata describes it and a study would split it; counts are learned as log(1 + y)."""
    found = real_tables.load(name)
    counts = {t["name"] for t in found.table.described["tasks"] if t.get("count")}
    tasks = [replace(t, transform="log1p") if t.columns[0] in counts else t for t in found.schema.tasks]
    inputs = tuple(i for i in found.schema.inputs if i.kind in OF_KIND)
    schema = replace(found.schema, inputs=inputs, tasks=TaskSet(tuple(tasks)))
    parts = {"train": found.split.train, "validation": found.split.validation, "test": found.split.test}
    return Data(Codec.fit(found.table, schema, found.split.train), found.table, parts)


def metric_of(task: Task) -> str:
    """The card's metric."""
    return {TaskKind.BINARY: "auroc", TaskKind.REGRESSION: "r2"}.get(task.kind, "accuracy")


def best_model(kind: type[SingleTaskModel[Any]], data: Data, task: Task, n_trials: int, encoded: Any) -> Any:
    """The trial that does best on validation rows, by the card's metric."""
    inputs, targets = encoded
    where = targets.slices[data.codec.schema.tasks.index(task.name)]
    values, present = targets.values[:, where], targets.present[:, where]
    rows = data.parts["validation"][present[data.parts["validation"], 0]]
    best, highest = None, -np.inf
    for trial in range(n_trials):
        model = kind.fit(
            task, inputs, values, present, data.parts["train"], data.parts["validation"], kind.search_space(trial, 0), 0
        )
        score = None
        if len(rows) and n_trials > 1:
            answer = data.codec.inverse(task.name, model.predict(inputs.at(rows)))
            truth, found = data.codec.truth(data.table.take(rows), task.name)
            score = metrics.metric(metric_of(task)).score(truth, found, answer)
        if best is None or (score is not None and score > highest):
            best, highest = model, -np.inf if score is None else score
    return best


def measure(kind: type[SingleTaskModel[Any]], data: Data, n_trials: int) -> str:
    """Mean test score by metric, and processor seconds."""
    encoded = data.codec.encode(data.table), data.codec.targets(data.table)
    scores: dict[str, list[float]] = {}
    errors = np.zeros(2)
    started = time.process_time()
    for task in data.codec.schema.tasks:
        model = best_model(kind, data, task, n_trials, encoded)
        truth, present = data.codec.truth(data.table, task.name)
        rows = data.parts["test"][present[data.parts["test"], 0]]
        if not len(rows):
            continue
        answer = data.codec.inverse(task.name, model.predict(encoded[0].at(rows))).astype(np.float64)
        truth = truth[rows]
        if task.transform == "log1p":
            truth, answer = np.log1p(truth), np.log1p(np.maximum(answer, 0))
        if task.where is not None and task.kind is TaskKind.REGRESSION:
            errors += [((answer - truth) ** 2).sum(), ((truth - truth.mean()) ** 2).sum()]
            continue
        score = metrics.metric(metric_of(task)).score(truth, present[rows], answer.astype(np.float32))
        if score is not None:
            scores.setdefault(metric_of(task), []).append(score)
    seconds = time.process_time() - started
    shown = [f"{metric} {np.mean(found):.3f}" for metric, found in scores.items()]
    if errors[1]:
        shown.append(f"R2 within groups {1 - errors[0] / errors[1]:.3f}")
    return f"{', '.join(shown)} ({seconds:.1f} s)"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", nargs="*", default=list(CARDS))
    parser.add_argument("--trials", type=int, default=1)
    given = parser.parse_args()
    for name in given.tables:
        data = load(name)
        print(f"{name}: card {CARDS.get(name, '-')}")
        for kind in (Linear, Boosted):
            print(f"  {kind.name:9} {measure(kind, data, given.trials)}", flush=True)


if __name__ == "__main__":
    main()
