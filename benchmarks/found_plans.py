"""Alone, all together, or the plan that the search found: whole studies on real tables, for docs/results.md.

    SHAREWISE_DATA=... python benchmarks/found_plans.py --out runs/found oes97 water_quality

For every table `sharewise init` and `sharewise run --budget quick` (resumable). Columns: mean change over all tasks against
each task's best single-task model, in percent or points as the metric has it, of all together and of the best plan found
on validation rows (one run each, they only choose), then of the plan chosen on test rows with its 90 % interval (the
tasks' errors taken as independent), and of the ensembles of single-task runs against one such run; tasks that ship shared, and of these the ones that the verdict calls better or
harmed; processor time of the whole study, of the search in it, and of one run of one model of all tasks.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sharewise.records import Comparison, Phase
from sharewise.report.load import StudyRecords, load
from sharewise.study.ensemble import ENSEMBLE

TABLES = [
    "oes97",
    "water_quality",
    "yeast",
    "drug_consumption",
    "landmine",
    "molnet_disjoint",
    "sider",
    "tox21",
    "school",
]


def study(table: str, out: Path, budget: str) -> Path:
    """Make, or go on with, one study; its run directory."""
    out.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-c", "from sharewise.cli import main; main()"]
    file, run = out / "study.yaml", out / "run"
    source = Path(os.environ["SHAREWISE_DATA"]).resolve() / f"{table}.parquet"
    if not file.exists():
        subprocess.run([*command, "init", str(source), "-o", str(file)], check=True, capture_output=True)
    if not (run / "summary.json").exists():
        said = ["run", str(file), "--out", str(run), "--budget", budget, "--workers", "1", "--quiet"]
        subprocess.run([*command, *said], check=True, stdout=subprocess.DEVNULL)
    return run


def on_validation(run: Path, candidates: Sequence[str], n_tasks: int) -> str:
    """Mean change over all tasks, when it was selected among, of the best of some candidates."""
    selection = json.loads((run / "selection.json").read_text())
    means = []
    for name in candidates:
        found = [c for c in selection if c["candidate"] == name]
        changes = [float(np.clip(c["effect"] / c["margin"], -3, 3)) * c["margin"] for c in found]
        means += [100 * sum(changes) / n_tasks] if found else []
    return f"{max(means):+.1f}" if means else "-"


def on_test(records: StudyRecords, n_tasks: int) -> str:
    """Mean change over all tasks of the confirmed plan with its interval."""
    return told([v.comparison for v in records.verdicts], n_tasks)


def ensembles(records: StudyRecords) -> str:
    """Mean change by the ensemble of each task's single-task runs against one such run, over the tasks that have one."""
    found = [c for c in records.ensembles if c.candidate == ENSEMBLE]
    return told(found, len(found)) if found else "-"


def told(found: Sequence[Comparison], n_tasks: int) -> str:
    """Sum of some tasks' changes over so many tasks, in percent, with its interval."""
    mean = sum(c.effect for c in found) / n_tasks
    half = 1.645 * float(np.sqrt(sum(c.standard_error**2 for c in found))) / n_tasks
    return f"{100 * mean:+.1f} [{100 * (mean - half):+.1f}, {100 * (mean + half):+.1f}]"


def row(table: str, run: Path) -> list[str]:
    """One table's line."""
    records = load(run)
    assert records.design is not None
    assert records.summary is not None
    n_tasks = len(records.design.tasks)
    labels = {v.task: v.label for v in records.verdicts}
    shared = [d.task for d in records.decisions if d.shared]
    seconds = {p: sum(r.seconds for r in records.runs if r.phase is p) for p in Phase}
    joint = [r.seconds for r in records.runs if r.arm == "together" and len(r.tasks) == n_tasks]
    proposals = records.grouping.plans if records.grouping is not None else ()
    if records.grouping is None:
        found = "no search"
    else:
        found = on_validation(run, [p.name for p in proposals], n_tasks) if proposals else "nothing to gain"
    return [
        table, str(n_tasks), on_validation(run, ["together"], n_tasks), found, str(records.summary.selected),
        on_test(records, n_tasks), ensembles(records), str(len(shared)), str(sum(labels.get(t) == "better" for t in shared)),
        str(sum(labels.get(t) == "harm" for t in shared)), f"{sum(seconds.values()):.0f}",
        f"{seconds[Phase.SEARCH]:.0f}", f"{np.mean(joint):.1f}",
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", default=TABLES)
    parser.add_argument("--out", type=Path, default=Path("runs/found"))
    parser.add_argument("--budget", default="quick")
    said = parser.parse_args()
    if not os.environ.get("SHAREWISE_DATA"):
        sys.exit("SHAREWISE_DATA names no folder with the real tables: nothing was run.")
    print(
        "| table | tasks | together, validation | found, validation | chosen | chosen, test | ensembles, test | ship shared | better | harmed "
        "| s, study | s, search | s, one joint run |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|---|---|")
    for table in said.tables:
        run = study(table, said.out / table, said.budget)
        print("| " + " | ".join(row(table, run)) + " |", flush=True)


if __name__ == "__main__":
    main()
