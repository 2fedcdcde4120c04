"""Alternatives beside sharing on real tables: classifier chains against one model a task, transfer and ensembles in studies.

    python benchmarks/alternatives.py chains emotions yeast scene tox21      # seconds to minutes, no study
    python benchmarks/alternatives.py study molnet_disjoint --out runs/alternatives
    python benchmarks/alternatives.py planted 11 12 13 14 --out runs/alternatives    # generated tables, by seed

Tables are read from the folder that SHAREWISE_DATA names. `chains` fits trial 0 of both kinds on the train rows and scores
AUROC on the test rows, a mean over tasks without intervals. `study` runs a quick study with `transfer: auto` and
`ship_ensembles: true`, resumable, and prints every challenge as it was judged. `planted` does so on a generated table: two
kindred tasks, a with 800 train rows and b with about 50, and c, which reads the same hidden features otherwise, with 400.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sharewise import metrics
from sharewise.models.alternatives import CATALOGUE
from sharewise.plan import Group
from sharewise.records import Challenge, Phase, from_json
from sharewise.study.progress import silent
from sharewise.study.study import Study
from sharewise.study.work import Run, group_data


def table(name: str) -> Path:
    return Path(os.environ["SHAREWISE_DATA"]) / f"{name}.parquet"


def chains(name: str) -> None:
    """One line: mean AUROC of one linear model a task, and of a chain of them."""
    said = json.loads(pq.read_schema(table(name)).metadata[b"mtl"])["tasks"]
    tasks = [{"name": task["name"], "kind": "binary", "metric": "auroc"} for task in said]
    study = Study(table(name), tasks, alternatives=["linear", "chain"], search="off")
    _, prepared, _ = study.session(Path("unused"), workers=1, progress=silent, log=lambda text: None).design()
    judged = prepared.tasks.judged

    def fitted(kind: str, names: tuple[str, ...]) -> tuple[object, float]:
        model, started = CATALOGUE.load(kind), time.process_time()
        params = model.search_space(0, 0)
        run = Run(Phase.TUNE, kind, kind, Group(kind, names), 0, 0, params, kind)
        made = model.fit_group([prepared.tasks[n] for n in names], group_data(run, prepared), params, 0)
        return made, time.process_time() - started

    ((_, members),) = CATALOGUE.load("chain").groups(judged)
    chain, of_chain = fitted("chain", members)
    scores, of_single = [], 0.0
    auroc = metrics.metric("auroc")
    for task in members:
        single, seconds = fitted("linear", (task,))
        of_single += seconds
        truth, present = prepared.truth(task, "test")
        inputs = prepared.inputs.at(prepared.rows_of(task, "test"))
        both = [auroc.score(truth, present, m.predict_task(inputs, task).astype(float)) for m in (single, chain)]  # type: ignore[attr-defined]
        scores.append([np.nan if s is None else s for s in both])
    found = np.array(scores)
    means, better = np.nanmean(found, axis=0), int(np.nansum(found[:, 1] > found[:, 0]))
    print(
        f"{name}: {len(members)} tasks, AUROC alone {means[0]:.4f}, chain {means[1]:.4f}, better on {better}; "
        f"{of_single:.1f} s alone, {of_chain:.1f} s chain",
        flush=True,
    )


def study(name: str, out: Path, workers: int) -> None:
    """Every challenge of a quick study: verdict against the best model from scratch, and who answers."""
    said = json.loads(pq.read_schema(table(name)).metadata[b"mtl"])["tasks"]
    tasks = [{"name": task["name"]} for task in said]
    where = out / name
    made = Study(
        table(name), tasks, budget={"level": "quick", "seeds": 4}, search="off", transfer="auto", ship_ensembles=True
    )
    made.run(where, workers=workers)
    told(name, where)


def planted(seed: int, n: int = 1600, n_inputs: int = 20, noise: float = 0.5) -> pa.Table:
    """Six hidden features of the inputs; b weighs them nearly as a does, c as it likes. Other parts keep all labels."""
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(n, n_inputs))
    hidden = np.tanh(x @ (draw.normal(size=(n_inputs, 6)) / n_inputs**0.5 * 1.5))
    a = draw.normal(size=6)
    b = 0.7 * a + 0.3 * draw.normal(size=6)
    y_a, y_b = hidden @ a + noise * draw.normal(size=n), hidden @ b + noise * draw.normal(size=n)
    y_c = hidden @ draw.normal(size=6) + noise * draw.normal(size=n)
    of_b, of_c = draw.random(n) < 0.06, draw.random(n) < 0.5
    part = np.repeat(["train", "validation", "test"], [n // 2, int(n * 0.15), n - n // 2 - int(n * 0.15)])
    train = part == "train"
    made = {f"x{i}": x[:, i] for i in range(n_inputs)}
    labels = {"a": y_a, "b": pa.array(y_b, mask=train & ~of_b), "c": pa.array(y_c, mask=train & ~of_c)}
    return pa.table({**made, "part": part, **labels})


def told(name: str, where: Path) -> None:
    """Every challenge of a finished study, a line each."""
    for c in from_json(tuple[Challenge, ...], (where / "challenges.json").read_text()):  # type: ignore[arg-type]
        if c.verdict is None or c.against is None:
            print(f"{name} {c.task} {c.kind}: {c.reason}")
            continue
        v = c.verdict.comparison
        print(
            f"{name} {c.task} {c.kind} ({c.arm}): against {v.baseline} {v.baseline_score:.4f} -> {v.candidate_score:.4f}, "
            f"{100 * v.effect:+.1f} [{100 * v.low:+.1f}, {100 * v.high:+.1f}] {c.verdict.label}; against {c.incumbent} "
            f"{100 * c.against.effect:+.1f} [{100 * c.against.low:+.1f}, {100 * c.against.high:+.1f}], "
            f"{'answers' if c.answers else 'does not answer'}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["chains", "study", "planted"])
    parser.add_argument("tables", nargs="+")
    parser.add_argument("--out", type=Path, default=Path("runs/alternatives"))
    parser.add_argument("--workers", type=int, default=1)
    said = parser.parse_args()
    for name in said.tables:
        if said.what == "chains":
            chains(name)
        elif said.what == "planted":
            tasks = [{"name": t, "kind": "regression"} for t in "abc"]
            budget = {"level": "quick", "trials": 3, "seeds": 3}
            kinds = {"split": {"column": "part"}, "alternatives": [], "search": "off", "transfer": "auto"}
            Study(planted(int(name)), tasks, budget=budget, **kinds).run(said.out / name, workers=said.workers)
            told(name, said.out / name)
        else:
            study(name, said.out, said.workers)


if __name__ == "__main__":
    main()
