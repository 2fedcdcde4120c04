"""Where a planted gain is lost, from the records of finished studies: nothing is trained.

    python benchmarks/planted.py --out runs/planted --studies 12
    python benchmarks/planted_replay.py runs/planted

Three questions to every study of the folder. How well does the search's linear model predict the gain of a group it has
not seen (six folds of groups)? Printed: the share of the variance of the held-out gains that it explains, over all
studies, by itself and when the planted clusters are its hints, and the share that the validation rows leave to be
explained (their own noise cannot be, nor can run luck, which is not counted here). Which plan is chosen among those that
were tried, by the mean change capped at three margins a task and by what `choose.promises` expects? Which partition is
best by the search's worth with its cap on expected gains at three margins and at fifteen: adjusted Rand index against
the planted clusters, and the share of the pairs of strangers (and of kin) that share a model.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from sklearn.metrics import adjusted_rand_score

from sharewise import metrics
from sharewise.grouping import objective
from sharewise.grouping.base import Estimate, Group, Measured
from sharewise.grouping.constraints import constraints
from sharewise.grouping.find import partitions
from sharewise.grouping.surrogate import Surrogate
from sharewise.records import Comparison, Phase, RunRecord, from_json
from sharewise.study.choose import promises

FOLDS = 6
MOST_GAIN = 15.0
Cell = tuple[Group, int, float, float]


@dataclass(frozen=True)
class Told:
    """One finished study: its planted clusters, measured cells, selection and plans by candidate."""

    cluster: list[int]
    cells: list[Cell]
    selection: dict[str, list[Comparison]]
    plans: dict[str, list[Group]]
    behind: np.ndarray
    chosen: str

    @property
    def n_tasks(self) -> int:
        return len(self.cluster)


def read(begun: Path) -> Told:
    """The records of the study that a `.begun` file names."""
    out = begun.with_suffix("")
    cluster = json.loads(begun.read_text())["cluster"]
    names = [f"t{k:02d}" for k in range(len(cluster))]
    selection: dict[str, list[Comparison]] = {}
    for c in from_json(tuple[Comparison, ...], (out / "selection.json").read_bytes()):
        selection.setdefault(c.candidate, []).append(c)
    seen = [c for found in selection.values() for c in found]
    typical = float(np.median([c.var_rows / c.margin**2 for c in seen]))
    of_task = {n: [c.var_rows / c.margin**2 for c in seen if c.task == n] for n in names}
    runs = [from_json(RunRecord, p.read_bytes()) for p in sorted((out / "runs").glob("*.json"))]
    alone = {r.tasks[0]: r.validation for r in runs if r.arm == "single" and r.phase is Phase.TUNE}
    kind = metrics.metric("rmse")
    cells: list[Cell] = []
    for run in runs:
        if len(run.tasks) < 2 or run.phase not in (Phase.SEARCH, Phase.TUNE):
            continue
        group = tuple(sorted(names.index(t) for t in run.tasks))
        for t in run.tasks:
            one, other = alone[t][t], run.validation[t]
            if one is None or other is None:
                continue
            effect = kind.effect_of(one, other)
            assert effect is not None
            variance = float(np.median(of_task[t])) if of_task[t] else typical
            cells.append((group, names.index(t), float(np.clip(effect / 0.02, -MOST_GAIN, MOST_GAIN)), variance))
    plans = {
        arm["name"]: [tuple(names.index(t) for t in g["tasks"]) for g in arm["plan"]["groups"]]
        for arm in json.loads((out / "plans.json").read_text())
    }
    plans["together"] = [tuple(range(len(names)))]
    behind = np.array(json.loads((out / "grouping.json").read_text())["behind"])
    chosen = json.loads((out / "summary.json").read_text())["selected"] or "single"
    return Told(cluster, cells, selection, plans, behind, chosen)


def fitted(cells: Sequence[Cell], n_tasks: int, hints: np.ndarray | None = None) -> Estimate:
    return Surrogate().fit(Measured.of(cells, n_tasks), hints)


def held_out(told: Told, hints: np.ndarray | None = None) -> np.ndarray:
    """Prediction of every cell by a fit that has not seen its group."""
    groups = sorted({c[0] for c in told.cells})
    fold = {g: i % FOLDS for i, g in enumerate(np.random.default_rng(0).permutation(len(groups)))}
    of_group = {g: fold[i] for i, g in enumerate(groups)}
    made = np.zeros(len(told.cells))
    for f in range(FOLDS):
        estimate = fitted([c for c in told.cells if of_group[c[0]] != f], told.n_tasks, hints)
        for i, (group, task, *_) in enumerate(told.cells):
            if of_group[group] == f:
                made[i] = estimate.gains(group)[0][group.index(task)]
    return made


def picked(told: Told, estimate: Estimate) -> tuple[str, str]:
    """The plan chosen by capped changes, and by promises."""
    capped = {
        name: sum(float(np.clip(c.effect / c.margin, -3, 3)) for c in found) for name, found in told.selection.items()
    }
    forecasts: dict[str, dict[str, float]] = {}
    for name in told.selection:
        forecasts[name] = {}
        for group in told.plans[name]:
            if len(group) > 1:
                gains = estimate.gains(group)[0]
                forecasts[name] |= {f"t{t:02d}": float(g) for t, g in zip(group, gains, strict=True)}
    promised = promises(told.selection, told.n_tasks, (), forecasts)
    return max(capped, key=lambda n: capped[n]), max(promised, key=lambda n: promised[n])


def shape(told: Told, estimate: Estimate, cap: float) -> tuple[float, float, float]:
    """Adjusted Rand index over the tasks of clusters, and the shares of kin and of strangers that share a model."""
    before, objective.MOST = objective.MOST, cap
    limits = constraints(tuple(map(str, range(told.n_tasks))), (), (), None)
    groups = partitions(objective.Objective(estimate, limits, 1.0), 2, 0)[0][1]
    objective.MOST = before
    where = {t: i for i, g in enumerate(groups) for t in g}
    own = [k for k in range(told.n_tasks) if told.cluster[k] >= 0]
    rand = float(adjusted_rand_score([told.cluster[k] for k in own], [where[k] for k in own]))
    pairs = [(a, b) for a in range(told.n_tasks) for b in range(a)]
    kin = np.array([told.cluster[a] == told.cluster[b] >= 0 for a, b in pairs])
    same = np.array([where[a] == where[b] for a, b in pairs])
    return rand, float(same[kin].mean()), float(same[~kin].mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    said = parser.parse_args()
    studies = [read(p) for p in sorted(said.folder.glob("*.begun")) if p.with_suffix(".json").exists()]
    left = hinted = total = noise = 0.0
    same = 0
    shapes: dict[float, list[tuple[float, float, float]]] = {3.0: [], 15.0: []}
    for told in studies:
        gain = np.array([c[2] for c in told.cells])
        left += float(((gain - held_out(told)) ** 2).sum())
        cluster = np.array(told.cluster)
        kin = (cluster[:, None] == cluster) & (cluster[:, None] >= 0)
        hinted += float(((gain - held_out(told, kin.astype(float))) ** 2).sum())
        total += float(((gain - gain.mean()) ** 2).sum())
        noise += sum(c[3] for c in told.cells)
        estimate = fitted(told.cells, told.n_tasks)
        old, new = picked(told, estimate)
        same += old == new
        against = replace(estimate, intercept=estimate.intercept - told.behind)
        for cap, found in shapes.items():
            found.append(shape(told, against, cap))
    print(f"{len(studies)} studies, {sum(len(t.cells) for t in studies)} measured gains")
    print(f"explained of held-out gains {1 - left / total:.2f}, told the planted clusters {1 - hinted / total:.2f}")
    print(f"explainable given the rows' noise {1 - noise / total:.2f}")
    print(f"the same plan is chosen by capped changes and by promises in {same} of {len(studies)}")
    for cap, found in shapes.items():
        rand, kin, strangers = np.mean(found, axis=0)
        print(f"cap {cap:.0f}: Rand index {rand:.2f}, kin that share {kin:.0%}, strangers that share {strangers:.0%}")


if __name__ == "__main__":
    main()
