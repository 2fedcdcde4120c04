"""Every sharing architecture on real tables, at equal parameters, against each task alone; the tables of docs/results.md.

    SHAREWISE_DATA=... python benchmarks/sharing_results.py [student_performance adult] [--out runs/sharing]

For every table one study whose candidates are the architectures, each as wide as brings its trunk to the parameters of
hard sharing with two layers of 128. A study confirms one candidate only; here all are retrained with fresh seeds and
compared on test rows with the same net alone, so that the table is complete: it is a table of many looks, no decision.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import pyarrow.parquet as pq
from sharing_cost import SETTINGS, matched

from sharewise.models import encoders
from sharewise.records import Phase
from sharewise.study.design import SINGLE
from sharewise.study.file import StudyFile
from sharewise.study.run import Conductor
from sharewise.study.session import Session
from sharewise.study.study import Study
from sharewise.study.work import Run
from sharewise.study.workers import Workers

TABLES = {
    "student_performance": (1, ["G1_mat", "G2_mat", "G3_mat", "G1_por", "G2_por", "G3_por"]),
    "adult": (6, ["income_over_50k", "never_married", "occupation", "marital-status"]),
}
"""Every how-manieth row is taken, and the tasks."""


def said(path: Path, tasks: list[str], widths: dict[str, dict[str, object]], epochs: int) -> StudyFile:
    """The study: a candidate for each architecture."""
    candidates = [
        {"name": label, "architecture": {"name": SETTINGS[label][0], **params}} for label, params in widths.items()
    ]
    # "together" is hard sharing itself.
    return StudyFile.from_dict(
        {
            "data": str(path),
            "tasks": list(tasks),
            "candidates": [c for c in candidates if c["name"] != "hard"],
            "budget": {"level": "quick", "trials": 1, "epochs": epochs, "seeds": 3},
        }
    )


def session_of(declared: StudyFile, directory: Path, workers: int) -> Session:
    study = Study.__new__(Study)
    study.declared, study._source = declared, declared.data_path
    return study.session(directory, workers=workers)


def compared(session: Session, directory: Path, workers: int) -> None:
    """Tune, confirm every candidate, and print the change of each task on test rows."""
    design, prepared, _ = session.design()
    design.freeze(directory)
    session._tidy()
    conductor = Conductor(design, prepared, directory, lambda text: None)
    arms = [design.arm(SINGLE), *design.candidates]
    with Workers(prepared, directory, workers) as pool:
        trials = [
            conductor.run(Phase.TUNE, kind, arm, group, trial, 0)
            for item in arms
            for kind, arm, group in conductor.trained(item)
            for trial in range(design.budget.trials)
        ]
        pool.carry_out(conductor.plan_units(trials), lambda n: None)
        conductor.winners = conductor_winners(conductor, trials)
        wanted = [item for arm in arms for item in conductor.trained(arm)]
        runs = conductor.repeated(Phase.CONFIRM, wanted, design.budget.confirmation_runs)
        pool.carry_out(conductor.plan_units(runs), lambda n: None)
    by_arm: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        for task in run.group.tasks:
            by_arm.setdefault((run.arm, task), []).append(run)
    names = prepared.tasks.names
    print("| architecture | width | " + " | ".join(names) + " | mean |")
    print("|---|---|" + "---|" * (len(names) + 1))
    for candidate in design.candidates:
        found, why = conductor.compared([conductor.pair(t, SINGLE, candidate.name, by_arm, "test") for t in names])
        cells = {c.task: f"{100 * c.effect:+.1f} [{100 * c.low:+.1f}, {100 * c.high:+.1f}]" for c in found}
        mean = sum(c.effect for c in found) / max(len(found), 1)
        width = design.variants[candidate.name].architecture.params.get("width", 128)
        row = [cells.get(t, why.get(t, "-")) for t in names]
        print(f"| {candidate.name} | {width} | " + " | ".join(row) + f" | {100 * mean:+.1f} |", flush=True)


def conductor_winners(conductor: Conductor, trials: list[Run]) -> dict[tuple[str, str, tuple[str, ...]], int]:
    """Each group's best trial on validation rows."""
    from sharewise.study import choose
    from sharewise.study.work import read_record

    records: dict[tuple[str, str, tuple[str, ...]], list[object]] = {}
    for run in trials:
        key = (run.kind, run.arm, run.group.tasks)
        records.setdefault(key, []).append(read_record(conductor.directory, run))
    return {key: choose.best_trial(found, conductor.tasks) for key, found in records.items()}  # type: ignore[arg-type]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", default=list(TABLES))
    parser.add_argument("--out", type=Path, default=Path("runs/sharing"))
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    folder = Path(os.environ["SHAREWISE_DATA"])
    for name in options.tables:
        every, tasks = TABLES[name]
        with tempfile.TemporaryDirectory() as scratch:
            whole = pq.read_table(folder / f"{name}.parquet")
            path = Path(scratch) / f"{name}.parquet"
            pq.write_table(whole.take(list(range(0, whole.num_rows, every))), path)
            plain = session_of(said(path, tasks, {}, options.epochs), options.out / name, options.workers)
            encoder = dict(plain.design()[1].encoder)
            n_in = encoders.CATALOGUE.build(encoder.pop("name"), **encoder).n_out
            widths = {label: matched(kind, params, len(tasks), n_in, 128) for label, (kind, params) in SETTINGS.items()}
            directory = options.out / name
            directory.mkdir(parents=True, exist_ok=True)
            session = session_of(said(path, tasks, widths, options.epochs), directory, options.workers)
            print(f"\n{name}: {n_in} features, {len(tasks)} tasks, every {every}th row\n", flush=True)
            compared(session, directory, options.workers)


if __name__ == "__main__":
    main()
