"""Balance candidates on real tables, compared by the study itself at equal tuning: the table of docs/balance.md.

For every table the study of `sharewise init` with the same plan, all tasks together, balanced in other ways. Every arm
gets the same tuning trials; each one's best trial on validation rows is retrained with fresh seeds; then every method
is compared on test rows with equal weights of the scaled losses (the arm "together"), and with the best static weights
of the sweep, chosen on validation rows. Effects are relative changes of the task's metric, plus is better; the mean
over tasks carries a 90 % interval from its tasks' variances, taken as independent.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from real_tables import folder

from sharewise.records import Comparison, Outcome, Phase
from sharewise.study import choose
from sharewise.study.file import StudyFile
from sharewise.study.judge import judge_all
from sharewise.study.progress import silent
from sharewise.study.run import Conductor
from sharewise.study.source import parse
from sharewise.study.study import Study
from sharewise.study.work import Run
from sharewise.study.workers import Workers

TABLES = ("student_performance", "sarcos_small", "yeast")
METHODS = ("log", "uncertainty", "dwa", "famo", "imtl_g", "nash", "upgrad", "cagrad")
SWEEP = 4


def study_of(table: str, work: Path, budget: dict[str, object], methods: Sequence[str]) -> StudyFile:
    """The study file of `sharewise init`, with balance candidates."""
    target = work / "study.yaml"
    subprocess.run(
        [sys.executable, "-m", "sharewise", "init", str(folder() / f"{table}.parquet"), "-o", str(target)], check=True
    )
    said, _ = parse(str(target))
    candidates: list[dict[str, object]] = [{"name": m, "balance": m} for m in methods]
    candidates.append({"name": "sweep", "balance": {"sweep": SWEEP}})
    return StudyFile.from_dict({**said, "budget": budget, "candidates": candidates}, file=str(target))


def pooled(found: Sequence[Comparison]) -> tuple[float, float, float]:
    """Mean effect over tasks in margins' scale, with its 90 % interval."""
    mean = float(np.mean([c.effect for c in found]))
    error = math.sqrt(sum(c.standard_error**2 for c in found)) / len(found)
    return mean, mean - 1.645 * error, mean + 1.645 * error


def line(name: str, found: Sequence[Comparison]) -> str:
    """A row of the table."""
    mean, low, high = pooled(found)
    verdicts = judge_all(found)
    better = sum(v.label == "better" for v in verdicts)
    harm = sum(v.outcome is Outcome.HARM for v in verdicts)
    worst = min(found, key=lambda c: c.effect)
    return (
        f"| {name} | {100 * mean:+.2f} [{100 * low:+.2f}, {100 * high:+.2f}] % | {better} | {harm} "
        f"| {100 * worst.effect:+.1f} [{100 * worst.low:+.1f}, {100 * worst.high:+.1f}] % |"
    )


def main() -> None:
    """Run the tables and print theirs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tables", nargs="*", default=list(TABLES))
    parser.add_argument("--trials", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--methods", nargs="*", default=list(METHODS))
    parser.add_argument("--work", type=Path, default=None)
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    for table in given.tables:
        work = (given.work or Path(tempfile.mkdtemp())) / table
        work.mkdir(parents=True, exist_ok=True)
        budget = {"level": "quick", "trials": given.trials, "seeds": given.seeds, "epochs": given.epochs}
        contest(table, work, study_of(table, work, budget, given.methods), given.workers)


def contest(table: str, work: Path, declared: StudyFile, workers: int) -> None:
    """Tune and confirm every shared arm, then compare."""
    study = Study.__new__(Study)
    study.declared, study._source = declared, declared.data_path
    directory = work / "run"
    directory.mkdir(exist_ok=True)
    session = study.session(directory, workers=workers, progress=silent)
    design, prepared, _ = session.design()
    design.freeze(directory)
    for name in ("runs", "models"):
        (directory / name).mkdir(exist_ok=True)
    conductor = Conductor(design, prepared, directory, lambda text: None)
    arms = [arm for arm in design.record.arms if arm in design.candidates]
    trained = [item for arm in arms for item in conductor.trained(arm)]
    tuning = [conductor.run(Phase.TUNE, *item, trial, 0) for item in trained for trial in range(design.budget.trials)]
    with Workers(prepared, directory, workers) as pool:
        pool.carry_out(conductor.plan_units(tuning), lambda n: None)
        for kind, arm, group in trained:
            records = [choose_record(directory, r) for r in tuning if r.arm == arm]
            conductor.winners[kind, arm, group.tasks] = choose.best_trial(records, prepared.tasks)
        runs = conductor.repeated(Phase.CONFIRM, trained, design.budget.confirmation_runs)
        pool.carry_out(conductor.plan_units(runs), lambda n: None)
    report(table, conductor, [arm.name for arm in arms], trained, tuning, runs)


def choose_record(directory: Path, run: Run):  # type: ignore[no-untyped-def]
    from sharewise.study.work import read_record

    return read_record(directory, run)


def report(table, conductor, arms, trained, tuning, runs) -> None:  # type: ignore[no-untyped-def]
    """Print the table of one contest."""
    tasks = conductor.tasks.names
    seen = {(r.arm, t): [x for x in runs if x.arm == r.arm] for r in runs for t in r.group.tasks}
    chosen = {
        (r.arm, t): [x for x in tuning if x.arm == r.arm and x.trial == conductor.winners[x.kind, x.arm, x.group.tasks]]
        for r in tuning
        for t in r.group.tasks
    }
    sweep = [a for a in arms if a.startswith("sweep ")]
    on_validation = {
        a: conductor.compared([conductor.pair(t, "together", a, chosen, "validation") for t in tasks])[0] for a in sweep
    }
    best = choose.most_promising(choose.promises(on_validation, len(tasks)), sweep)
    print(f"\n{table}: {len(tasks)} tasks, {conductor.design.budget.trials} trials and "
          f"{conductor.design.budget.confirmation_runs} confirmation runs an arm; best of the sweep on validation: {best}")  # fmt: skip
    print("| against equal weights | mean change over tasks | better | harm | worst task |\n|---|---|---|---|---|")
    for arm in [a for a in arms if a != "together"]:
        found, why = conductor.compared([conductor.pair(t, "together", arm, seen, "test") for t in tasks])
        name = f"**{arm}**" if arm == best else arm
        print(line(name, found) if found else f"| {name} | not compared: {why} | | | |", flush=True)
    print(
        "| against the best of the sweep | mean change over tasks | better | harm | worst task |\n|---|---|---|---|---|"
    )
    for arm in [a for a in arms if a not in sweep]:
        found, _ = conductor.compared([conductor.pair(t, best, arm, seen, "test") for t in tasks])
        print(line(arm, found), flush=True)


if __name__ == "__main__":
    main()
