"""Alone, all together, or the plan that the search found: whole studies on real tables, for docs/results.md.

    SHAREWISE_DATA=... python benchmarks/found_plans.py --out runs/found oes97 water_quality

For every table `sharewise init` and `sharewise run --budget quick` (resumable). Columns: mean change over all tasks against
each task's best single-task model, in percent or points as the metric has it, of all together and of the best plan found
on validation rows (one run each, they only choose), then of the plan chosen on test rows with its 90 % interval (the
tasks' errors taken as independent); tasks that ship shared, and of these the ones that the verdict calls better or
harmed; processor time of the whole study, of the search in it, and of one run of one model of all tasks.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from sharewise.records import Phase
from sharewise.report.load import StudyRecords, load

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


def on_validation(run: Path, candidate: str, n_tasks: int) -> str:
    """Mean change over all tasks of a candidate when it was selected among."""
    found = [c for c in json.loads((run / "selection.json").read_text()) if c["candidate"] == candidate]
    if not found:
        return "-"
    changes = [float(np.clip(c["effect"] / c["margin"], -3, 3)) * c["margin"] for c in found]
    return f"{100 * sum(changes) / n_tasks:+.1f}"


def on_test(records: StudyRecords, n_tasks: int) -> str:
    """Mean change over all tasks of the confirmed plan with its interval."""
    found = [v.comparison for v in records.verdicts]
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
        found = on_validation(run, "found", n_tasks) if proposals else "nothing to gain"
    return [
        table, str(n_tasks), on_validation(run, "together", n_tasks), found, str(records.summary.selected),
        on_test(records, n_tasks), str(len(shared)), str(sum(labels.get(t) == "better" for t in shared)),
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
        "| table | tasks | together, validation | found, validation | chosen | chosen, test | ship shared | better | harmed "
        "| s, study | s, search | s, one joint run |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    for table in said.tables:
        run = study(table, said.out / table, said.budget)
        print("| " + " | ".join(row(table, run)) + " |", flush=True)


if __name__ == "__main__":
    main()
