"""Does the search find what was planted? Whole studies on generated task families whose right plan is known.

    python benchmarks/planted.py --out runs/planted --studies 12     # resumable; seeds are drawn at run time

Each study draws a table: clusters of kindred tasks (targets made of the same few hidden features), unrelated tasks (own
features), opposing tasks (a kindred target with its sign turned, which a head can undo, so they belong to the cluster)
and noise tasks (nothing to learn); 6 to 40 tasks; labels full, partial (a fifth) or disjoint (a row is labelled for one
task). `Study.run` does the rest at one tuning trial, as small nets. The truth is measured apart from the study: every
plan is retrained with fresh seeds and scored on 3,000 fresh rows.

Printed: true gain of the chosen plan and of what ships, over the best of the plans alone, together, and each planted
cluster together or not; tasks shipped though harmed beyond the margin; adjusted Rand index of the best plan found over
the tasks of clusters; models the search trained against 3 T + 20.
"""

from __future__ import annotations

import argparse
import json
import secrets
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from sklearn.metrics import adjusted_rand_score

from sharewise import metrics
from sharewise.models.alternatives import CATALOGUE as ALTERNATIVES
from sharewise.models.build import GroupModel, placed, slots_of
from sharewise.records import Decision, GroupingRecord, from_json
from sharewise.seeds import derive
from sharewise.study.prepare import Prepared
from sharewise.study.study import Study
from sharewise.training.cohort import Cohort
from sharewise.training.recipe import Recipe, Tuned, batch_size_for
from sharewise.training.results import Member

INPUTS = 6
EVALUATED = 3000
TRUTH_SEEDS = 8
SETTINGS = [(6, "full"), (8, "disjoint"), (8, "partial"), (12, "disjoint"), (12, "partial"), (40, "partial")]


@dataclass(frozen=True)
class Planted:
    """One generated family: `cluster[k]` is the cluster of task k, -1 for unrelated and -2 for noise tasks."""

    seed: int
    n_tasks: int
    labels: str
    cluster: tuple[int, ...]

    @property
    def names(self) -> list[str]:
        return [f"t{k:02d}" for k in range(self.n_tasks)]


def draw(seed: int, n_tasks: int, labels: str) -> Planted:
    """About two thirds of the tasks in clusters of three to five, the others unrelated or noise."""
    random = np.random.default_rng(derive(seed, "clusters"))
    cluster: list[int] = []
    number = 0
    while len(cluster) < round(0.7 * n_tasks) - 1:
        size = int(random.integers(3, 6 if n_tasks > 6 else 4))
        cluster += [number] * min(size, n_tasks - len(cluster))
        number += 1
    while len(cluster) < n_tasks:
        cluster.append(-1 if random.random() < 0.6 else -2)
    order = random.permutation(n_tasks)
    return Planted(seed, n_tasks, labels, tuple(cluster[i] for i in order))


def table(planted: Planted, part: str) -> pa.Table:
    """Train, validation and test rows; with part "truth" the test rows are fresh ones."""
    random = np.random.default_rng(derive(planted.seed, "table"))
    n_tasks = planted.n_tasks
    n_train = {"full": 80, "partial": 300, "disjoint": 60 * n_tasks}[planted.labels]
    n_validation = {"full": 200, "partial": 600, "disjoint": 120 * n_tasks}[planted.labels]
    n_test = 1200
    hidden: dict[int, np.ndarray] = {}

    def features(owner: int) -> np.ndarray:
        if owner not in hidden:
            hidden[owner] = np.random.default_rng(derive(planted.seed, "features", owner)).normal(size=(INPUTS, 3))
        return hidden[owner]

    x = random.normal(size=(n_train + n_validation + n_test, INPUTS))
    fresh = np.random.default_rng(derive(planted.seed, "fresh"))
    if part == "truth":
        x = np.concatenate([x[: n_train + n_validation], fresh.normal(size=(EVALUATED, INPUTS))])
    n = len(x)
    columns: dict[str, object] = {f"x{i}": x[:, i] for i in range(INPUTS)}
    fixed = n_train + n_validation
    owner_of_row = np.arange(n) % n_tasks
    for k, name in enumerate(planted.names):
        # What a task is, its train and validation noise and its missing labels are the same whatever rows test it.
        own = np.random.default_rng(derive(planted.seed, "task", k))
        c = planted.cluster[k]
        mix = own.normal(size=3) + np.sign(own.normal(size=3)) * 0.5
        sign = -1.0 if own.random() < 0.25 else 1.0
        hidden_label = own.random(fixed) > 0.2
        noise = np.concatenate([own.normal(size=fixed), (fresh if part == "truth" else own).normal(size=n - fixed)])
        if c == -2:
            y = noise
        else:
            w = features(c if c >= 0 else 1000 + k)
            u = x @ (w / np.linalg.norm(w, axis=0))
            h = np.stack([np.abs(u[:, 0]) - 0.8, np.tanh(3 * u[:, 1]), np.tanh(3 * u[:, 2])], axis=1)
            y = h @ mix
            y = y / y[:fixed].std() * sign + 0.3 * noise
        absent = np.zeros(n, dtype=bool)
        if planted.labels == "partial":
            absent[:fixed] = hidden_label
        elif planted.labels == "disjoint":
            absent[:fixed] = owner_of_row[:fixed] != k
        columns[name] = pa.array(y, mask=absent)
    columns["split"] = ["train"] * n_train + ["validation"] * n_validation + ["test"] * (n - fixed)
    return pa.table(columns)


def study(planted: Planted, part: str = "study") -> Study:
    """The study of a family, as a user would write it: one tuning trial, a small net."""
    return Study(
        table(planted, part),
        [{"name": name, "kind": "regression"} for name in planted.names],
        split={"column": "split"},
        inputs=[f"x{i}" for i in range(INPUTS)],
        architecture={"name": "hard", "width": 48},
        budget={"level": "quick", "trials": 1, "epochs": 100},
        seed=planted.seed % 2**31,
    )


# --- the truth --------------------------------------------------------------------------------------------


class Truth:
    """Expected scores by (group, task), from fresh seeds and fresh rows."""

    def __init__(self, planted: Planted, where: Path) -> None:
        _, self.prepared, _ = study(planted, "truth").session(where).design()
        self.planted = planted
        self.scores: dict[tuple[str, ...], dict[str, float]] = {}

    def train(self, groups: list[tuple[str, ...]]) -> None:
        """Mean test score of each member of each group over the truth's seeds."""
        p: Prepared = self.prepared
        todo = [g for g in dict.fromkeys(groups) if g not in self.scores]
        packs: dict[int, list[tuple[tuple[str, ...], int]]] = {}
        for g in todo:
            size = batch_size_for(len(p.data.rows_of_any(p.numbers(g), "train")))
            packs.setdefault(size, []).extend((g, s) for s in range(TRUTH_SEEDS))
        found: dict[tuple[str, ...], list[dict[str, float]]] = {}
        everyone = tuple(range(len(p.tasks)))
        choice = placed(p.variants["together"].architecture, list(p.tasks))
        for jobs in packs.values():
            for start in range(0, len(jobs), 24):
                some = jobs[start : start + 24]
                model = GroupModel(p.encoder, choice, slots_of(list(p.tasks)))
                members = [
                    Member(f"{i}", tuple(p.numbers(g)), derive(self.planted.seed, "truth", s), Tuned(), everyone)
                    for i, (g, s) in enumerate(some)
                ]
                results = Cohort(members, model, p.data, Recipe(**p.recipe)).fit(("test",))
                for (g, _), result in zip(some, results, strict=True):
                    found.setdefault(g, []).append({t: self._score(t, result.predictions["test"]) for t in g})
        for g, runs in found.items():
            self.scores[g] = {t: float(np.mean([run[t] for run in runs])) for t in g}

    def _score(self, task: str, predictions: dict[int, np.ndarray]) -> float:
        p = self.prepared
        truth, present = p.truth(task, "test")
        made = p.codec.inverse(task, predictions[p.tasks.index(task)])
        score = metrics.metric(p.tasks[task].metric).score(truth, present, made)
        assert score is not None
        return score

    def rival(self, task: str, arm: str) -> float:
        """Expected score of a task's single-task arm."""
        if arm == "single":
            return self.scores[task,][task]
        p = self.prepared
        kind, number = ALTERNATIVES.load(arm), p.tasks.index(task)
        where = p.targets.slices[number]
        values, present = p.targets.values[:, where], p.targets.present[:, where]
        params = kind.search_space(0, 0)
        model = kind.fit(
            p.tasks[task], p.inputs, values, present, p.data.parts["train"], p.data.parts["validation"], params, 1
        )
        return self._score(task, {number: model.predict(p.inputs.at(p.rows_of(task, "test")))})

    def gain(self, task: str, group: tuple[str, ...], rival: float) -> float:
        """True change of a task in a group against `rival`, in margins."""
        item = self.prepared.tasks[task]
        effect = metrics.metric(item.metric).effect_of(rival, self.scores[group][task])
        assert effect is not None
        return effect / item.margin

    def of_plan(self, groups: list[tuple[str, ...]]) -> float:
        """True mean gain over all tasks, in margins, against the same net alone."""
        shared = [g for g in groups if len(g) > 1]
        return sum(self.gain(t, g, self.scores[t,][t]) for g in shared for t in g) / self.planted.n_tasks


# --- one study --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """What one study showed."""

    seed: int
    n_tasks: int
    labels: str
    chosen: str
    chosen_gain: float
    shipped_gain: float
    together_gain: float
    oracle_gain: float
    shared: int
    harmed: int
    rand: float | None
    models: int
    seconds: float


def one(planted: Planted, out: Path) -> Row:
    """Run, or go on with, one study and measure its truth."""
    started = time.process_time()
    made = study(planted)
    result = made.run(out, workers=1)
    names = planted.names
    design = json.loads((out / "design.json").read_text())
    record = from_json(GroupingRecord, (out / "grouping.json").read_bytes())
    arms = {a["name"]: a for a in [*design["arms"], *json.loads((out / "plans.json").read_text())]}
    chosen = result.summary.selected or "single"
    groups = [tuple(g["tasks"]) for g in arms[chosen]["plan"]["groups"]]
    truth = Truth(planted, out)
    clusters = [
        tuple(n for n, c in zip(names, planted.cluster, strict=True) if c == i) for i in range(max(planted.cluster) + 1)
    ]
    kin = [c for c in clusters if len(c) > 1]
    alone = [(n,) for n in names]
    truth.train([*alone, tuple(names), *kin, *groups])
    planted_gain = sum(max(truth.of_plan([c]), 0.0) for c in kin)
    together, chosen_gain = truth.of_plan([tuple(names)]), truth.of_plan(groups)
    decisions = from_json(tuple[Decision, ...], (out / "decisions.json").read_bytes())
    group_of = {t: g for g in groups for t in g}
    verdicts = {v.task: v.comparison.baseline for v in result.verdicts}
    shared = [d.task for d in decisions if d.shared]
    against = {t: truth.gain(t, group_of[t], truth.rival(t, verdicts[t])) for t in shared}
    shipped = sum(truth.gain(t, group_of[t], truth.scores[t,][t]) for t in shared) / planted.n_tasks
    rand = None
    if record.plans:
        label = {t: i for i, g in enumerate(record.plans[0].groups) for t in g}
        tasks = [n for n, c in zip(names, planted.cluster, strict=True) if c >= 0]
        real = [c for c in planted.cluster if c >= 0]
        rand = float(adjusted_rand_score(real, [label[t] for t in tasks]))
    trained = list((out / "runs").glob("*.json"))
    neural = [p for p in trained if "-neural-" in p.name and not p.name.startswith("confirm")]
    return Row(
        planted.seed, planted.n_tasks, planted.labels, chosen, chosen_gain, shipped, together,
        max(planted_gain, together, chosen_gain, 0.0), len(shared), sum(g < -1.0 for g in against.values()), rand,
        len(neural), time.process_time() - started,
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/planted"))
    parser.add_argument("--studies", type=int, default=6, help="further studies to run")
    parser.add_argument("--settings", type=int, nargs="*", default=range(len(SETTINGS)), help="which of the settings")
    said = parser.parse_args()
    said.out.mkdir(parents=True, exist_ok=True)
    chosen = list(said.settings)
    # A study that was begun is finished before another is drawn.
    begun = [p for p in sorted(said.out.glob("*.begun")) if not p.with_suffix(".json").exists()]
    for i in range(said.studies):
        if begun:
            path = begun.pop()
            planted = Planted(**json.loads(path.read_text()))
            planted = Planted(planted.seed, planted.n_tasks, planted.labels, tuple(planted.cluster))
        else:
            n_tasks, labels = SETTINGS[chosen[i % len(chosen)]]
            planted = draw(secrets.randbelow(2**31), n_tasks, labels)
            path = said.out / f"{planted.seed}.begun"
            path.write_text(json.dumps(asdict(planted)))
        row = one(planted, said.out / str(planted.seed))
        path.with_suffix(".json").write_text(json.dumps(asdict(row)))
        print(row, flush=True)
    report(said.out)


def report(out: Path) -> None:
    """The table over all finished studies in a folder."""
    rows = [Row(**json.loads(p.read_text())) for p in sorted(out.glob("*.json"))]
    print(
        "| tasks | labels | studies | chosen | together | oracle | chosen / oracle | shipped | harmed studies | Rand index | models | 3 T + 20 |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    keys = sorted({(r.n_tasks, r.labels) for r in rows})
    for n_tasks, labels in [*keys, (0, "all")]:
        some = [r for r in rows if labels == "all" or (r.n_tasks, r.labels) == (n_tasks, labels)]
        chosen, oracle = (np.mean([getattr(r, name) for r in some]) for name in ("chosen_gain", "oracle_gain"))
        rand = [r.rand for r in some if r.rand is not None]
        cells = [n_tasks or "", labels, len(some), f"{chosen:+.2f}", f"{np.mean([r.together_gain for r in some]):+.2f}"]
        cells += [
            f"{oracle:+.2f}",
            f"{chosen / oracle:.0%}" if oracle > 0 else "",
            f"{np.mean([r.shipped_gain for r in some]):+.2f}",
        ]
        cells += [f"{sum(r.harmed > 0 for r in some)} of {len(some)}", f"{np.mean(rand):.2f}" if rand else ""]
        cells += [f"{np.mean([r.models for r in some]):.0f}", 3 * n_tasks + 20 if n_tasks else ""]
        print("| " + " | ".join(map(str, cells)) + " |")
    print(
        "Gains in margins a task (2 %), against the same net alone; found plan chosen in",
        sum(r.chosen.startswith("found") for r in rows),
        "of",
        len(rows),
    )


if __name__ == "__main__":
    main()
