"""Does the search find what was planted? Whole studies on generated task families whose right plan is known.

    python benchmarks/planted.py --out runs/planted --studies 12     # resumable; seeds are drawn at run time

Each study draws a table: clusters of kindred tasks (targets made of the same few hidden features), unrelated tasks (own
features), opposing tasks (a kindred target with its sign turned, which a head can undo, so they belong to the cluster)
and noise tasks (nothing to learn); 6 to 40 tasks; labels full, partial (a fifth) or disjoint (a row is labelled for one
task). `Study.run` does the rest at one tuning trial, as small nets. The truth is measured apart from the study: every
plan is retrained with fresh seeds and scored on 3,000 fresh rows (6 seeds; 12 where the oracle picks, 24 of what ships).

Printed: true gain of the chosen plan and of what ships, over the best of the plans alone, together, each planted
cluster together or not, and the chosen plan; tasks shipped though harmed beyond the margin; adjusted Rand index of the
first plan found over the tasks of clusters; models the search trained against 3 T + 20. That best of plans is picked by
the truth's own noisy means: beside it stands the gain, by the other half of the truth's seeds, of the plan that one half
picks. And where the gain is lost: a study without a search that is told the right plan (`--map`: the same confirmation
and the same rule for what ships) shows what a perfect search could ship; the best true gain among the plans that were
tried shows what a perfect selection could.
"""

from __future__ import annotations

import argparse
import json
import secrets
import shutil
import time
from collections.abc import Sequence
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
ALL = slice(None)
TRUTH_SEEDS = 6
ORACLE_SEEDS = 12
"""Of the groups that the oracle picks from and of the chosen plan's: the best of noisy means flatters the oracle."""
HARM_SEEDS = 24
"""Of the groups that ship: whether a task is harmed by more than the margin is a matter of half a margin."""
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


def study(planted: Planted, part: str = "study", told: tuple[tuple[str, ...], ...] = ()) -> Study:
    """The study of a family, as a user would write it: one tuning trial, a small net; with `told`, of that plan, without
    a search."""
    return Study(
        table(planted, part),
        [{"name": name, "kind": "regression"} for name in planted.names],
        split={"column": "split"},
        inputs=[f"x{i}" for i in range(INPUTS)],
        architecture={"name": "hard", "width": 48},
        budget={"level": "quick", "trials": 1, "epochs": 100},
        seed=planted.seed % 2**31,
        candidates=[{"name": "told", "groups": [list(g) for g in told]}] if told else (),
        search="off" if told else None,
    )


# --- the truth --------------------------------------------------------------------------------------------


class Truth:
    """Expected scores by (group, task), from fresh seeds and fresh rows."""

    def __init__(self, planted: Planted, where: Path) -> None:
        _, self.prepared, _ = study(planted, "truth").session(where).design()
        self.planted = planted
        self.scores: dict[tuple[str, ...], dict[str, np.ndarray]] = {}
        """By group and task, the score of each seed."""

    def train(self, groups: Sequence[tuple[str, ...]], n_seeds: int = TRUTH_SEEDS) -> None:
        """Test scores of each member of each group with `n_seeds` of the truth's seeds or more."""
        p: Prepared = self.prepared
        known = {g: len(next(iter(scores.values()))) for g, scores in self.scores.items()}
        todo = [g for g in dict.fromkeys(groups) if known.get(g, 0) < n_seeds]
        packs: dict[int, list[tuple[tuple[str, ...], int]]] = {}
        for g in todo:
            size = batch_size_for(len(p.data.rows_of_any(p.numbers(g), "train")))
            packs.setdefault(size, []).extend((g, s) for s in range(known.get(g, 0), n_seeds))
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
            before = self.scores.get(g, {})
            self.scores[g] = {t: np.array([*before.get(t, ()), *(run[t] for run in runs)]) for t in g}

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
            return float(self.scores[task,][task].mean())
        p = self.prepared
        kind, number = ALTERNATIVES.load(arm), p.tasks.index(task)
        where = p.targets.slices[number]
        values, present = p.targets.values[:, where], p.targets.present[:, where]
        params = kind.search_space(0, 0)
        model = kind.fit(
            p.tasks[task], p.inputs, values, present, p.data.parts["train"], p.data.parts["validation"], params, 1
        )
        return self._score(task, {number: model.predict(p.inputs.at(p.rows_of(task, "test")))})

    def gain(self, task: str, group: tuple[str, ...], rival: float, seeds: slice = ALL) -> float:
        """True change of a task in a group against `rival`, in margins."""
        item = self.prepared.tasks[task]
        effect = metrics.metric(item.metric).effect_of(rival, float(self.scores[group][task][seeds].mean()))
        assert effect is not None
        return effect / item.margin

    def of_plan(self, groups: Sequence[tuple[str, ...]], seeds: slice = ALL) -> float:
        """True mean gain over all tasks, in margins, against the same net alone."""
        shared = [g for g in groups if len(g) > 1]
        alone = {t: float(self.scores[t,][t][seeds].mean()) for g in shared for t in g}
        return sum(self.gain(t, g, alone[t], seeds) for g in shared for t in g) / self.planted.n_tasks

    def best(self, kin: Sequence[tuple[str, ...]], seeds: slice = ALL) -> list[tuple[str, ...]]:
        """The best, by these seeds, of the plans: each planted cluster together or not, or all tasks together."""
        kept = [c for c in kin if self.of_plan([c], seeds) > 0]
        everyone = [tuple(self.planted.names)]
        return everyone if self.of_plan(everyone, seeds) > self.of_plan(kept, seeds) else kept

    def split(self, kin: Sequence[tuple[str, ...]]) -> float:
        """Gain by one half of the seeds of the plan that the other half picks, the mean of both ways: no hindsight."""
        halves = slice(0, None, 2), slice(1, None, 2)
        return float(np.mean([self.of_plan(self.best(kin, a), b) for a, b in (halves, halves[::-1])]))


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
    split_gain: float
    tried_gain: float
    mapped_gain: float | None
    true_changes: dict[str, float]
    """Of the tasks that ship shared, in margins, against the single-task model that each was compared with."""


def shipped(truth: Truth, decisions: Sequence[Decision], groups: Sequence[tuple[str, ...]]) -> float:
    """True mean gain over all tasks of what ships, in margins, against the same net alone."""
    group_of = {t: g for g in groups for t in g}
    gains = [truth.gain(d.task, group_of[d.task], truth.rival(d.task, "single")) for d in decisions if d.shared]
    return sum(gains) / truth.planted.n_tasks


def mapped(planted: Planted, out: Path, truth: Truth, kin: Sequence[tuple[str, ...]]) -> float:
    """What ships of a study that is told the right plan; runs that both studies make are taken over."""
    right = truth.best(kin)
    if not right:
        return 0.0
    told = out.with_name(f"{out.name}-told")
    made = study(planted, told=tuple(right))
    if not (told / "design.json").exists():
        told.mkdir(exist_ok=True)
        made.session(told).design()[0].freeze(told)
    for folder in ("runs", "models"):
        if not (told / folder).exists():
            shutil.copytree(out / folder, told / folder)
    result = made.run(told, workers=1)
    groups = right if result.summary.selected == "told" else [tuple(planted.names)]
    return shipped(truth, result.decisions, groups)


def one(planted: Planted, out: Path, ask_map: bool) -> Row:
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
    tried = [[tuple(g["tasks"]) for g in a["plan"]["groups"]] for a in arms.values() if a["role"] == "candidate"]
    truth.train([*alone, tuple(names), *kin, *groups], ORACLE_SEEDS)
    truth.train([g for plan in tried for g in plan])
    together, chosen_gain = truth.of_plan([tuple(names)]), truth.of_plan(groups)
    decisions = from_json(tuple[Decision, ...], (out / "decisions.json").read_bytes())
    group_of = {t: g for g in groups for t in g}
    best = max(truth.of_plan(plan) for plan in (truth.best(kin), groups))
    verdicts = {v.task: v.comparison.baseline for v in result.verdicts}
    shared = [d.task for d in decisions if d.shared]
    truth.train([g for t in shared for g in ((t,), group_of[t])], HARM_SEEDS)
    against = {t: truth.gain(t, group_of[t], truth.rival(t, verdicts[t])) for t in shared}
    rand = None
    if record.plans:
        label = {t: i for i, g in enumerate(record.plans[0].groups) for t in g}
        tasks = [n for n, c in zip(names, planted.cluster, strict=True) if c >= 0]
        real = [c for c in planted.cluster if c >= 0]
        rand = float(adjusted_rand_score(real, [label[t] for t in tasks]))
    trained = list((out / "runs").glob("*.json"))
    neural = [p for p in trained if "-neural-" in p.name and not p.name.startswith("confirm")]
    return Row(
        planted.seed, planted.n_tasks, planted.labels, chosen, chosen_gain, shipped(truth, decisions, groups), together,
        max(best, 0.0), len(shared), sum(g < -1.0 for g in against.values()), rand,
        len(neural), time.process_time() - started, truth.split(kin), max(map(truth.of_plan, tried)),
        mapped(planted, out, truth, kin) if ask_map else None,
        {t: round(g, 2) for t, g in against.items()},
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/planted"))
    parser.add_argument("--studies", type=int, default=6, help="further studies to run")
    parser.add_argument("--settings", type=int, nargs="*", default=range(len(SETTINGS)), help="which of the settings")
    parser.add_argument("--map", action="store_true", help="also what a study ships that is told the right plan")
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
        row = one(planted, said.out / str(planted.seed), said.map)
        path.with_suffix(".json").write_text(json.dumps(asdict(row)))
        print(row, flush=True)
    report(said.out)


def report(out: Path) -> None:
    """The table over all finished studies in a folder."""
    rows = [Row(**json.loads(p.read_text())) for p in sorted(out.glob("*.json"))]
    head = [
        "tasks",
        "labels",
        "studies",
        "together",
        "chosen",
        "ships",
        "oracle",
        "oracle by split seeds",
        "best tried",
    ]
    head += ["ships when told the plan", "harmed studies", "Rand index", "models", "3 T + 20"]
    print("| " + " | ".join(head) + " |")
    print("|---" * len(head) + "|")
    keys = sorted({(r.n_tasks, r.labels) for r in rows})
    for n_tasks, labels in [*keys, (0, "all")]:
        some = [r for r in rows if labels == "all" or (r.n_tasks, r.labels) == (n_tasks, labels)]
        cells = [n_tasks or "", labels, len(some)]
        names = ("together_gain", "chosen_gain", "shipped_gain", "oracle_gain", "split_gain", "tried_gain")
        cells += [f"{np.mean([getattr(r, name) for r in some]):+.2f}" for name in names]
        told = [r.mapped_gain for r in some if r.mapped_gain is not None]
        cells.append(f"{np.mean(told):+.2f}" if len(told) == len(some) else "")
        rand = [r.rand for r in some if r.rand is not None]
        cells += [f"{sum(r.harmed > 0 for r in some)} of {len(some)}", f"{np.mean(rand):.2f}" if rand else ""]
        cells += [f"{np.mean([r.models for r in some]):.0f}", 3 * n_tasks + 20 if n_tasks else ""]
        print("| " + " | ".join(map(str, cells)) + " |")
    print("Gains in margins a task (2 %), against the same net alone.")
    total = {name: sum(getattr(r, name) for r in rows) for name in Row.__dataclass_fields__ if name.endswith("_gain")
             and all(getattr(r, name) is not None for r in rows)}  # fmt: skip
    for name, value in total.items():
        print(
            f"{name}: {value / total['oracle_gain']:.0%} of the oracle's, {value / total['split_gain']:.0%} by split seeds"
        )
    harmed = sum(r.harmed > 0 for r in rows)
    low, high = wilson(harmed, len(rows))
    print(f"Studies that ship a task harmed beyond the margin: {harmed} of {len(rows)} [{low:.0%}, {high:.0%}]")
    changes = sorted(c for r in rows for c in r.true_changes.values())
    if changes:
        worst = ", ".join(f"{c:+.2f}" for c in changes[:5])
        told = f"{sum(c < -1 for c in changes)} harmed beyond the margin, {sum(c < 0 for c in changes)} worse at all"
        print(f"Of {len(changes)} tasks that ship shared {told}; the worst true changes: {worst} margins")
    print("A found plan was chosen in", sum(r.chosen.startswith("found") for r in rows), "of", len(rows))


def wilson(hits: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's 95 % interval of a share."""
    middle = (hits + z**2 / 2) / (n + z**2)
    half = z / (n + z**2) * (hits * (n - hits) / n + z**2 / 4) ** 0.5
    return max(0.0, middle - half), min(1.0, middle + half)


if __name__ == "__main__":
    main()
