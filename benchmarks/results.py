"""Complete studies on real tables with the defaults of `sharewise init`, and the table of docs/results.md.

For every table: `sharewise init TABLE`, `sharewise run --budget BUDGET`, and then, task by task, the best single-task
arm's test score beside the best baseline of the table's data card (README.md in SHAREWISE_DATA), in the card's metric.
A task "meets" its card when the score is at least the baseline, or the baseline lies inside the score's 90 % interval
over test rows and runs.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sharewise import metrics
from sharewise.records import RunRecord, Verdict, from_json
from sharewise.study.study import Study
from sharewise.study.work import read_predictions

TABLES = [
    "tox21",
    "student_performance",
    "adult",
    "energy_efficiency",
    "sarcos_small",
    "landmine",
    "school",
    "yeast",
    "molnet_disjoint",
    "bike_sharing",
]
NAMES = {"ROC-AUC": "auroc", "R2": "r2", "R2 (log1p)": "r2", "accuracy": "accuracy"}


@dataclass(frozen=True)
class Card:
    """A task's best baseline on its data card."""

    metric: str
    logarithmic: bool
    score: float


def cards(folder: Path, table: str) -> dict[str, Card]:
    """Task name -> best baseline, read from the data card."""
    text = (folder / "README.md").read_text(encoding="utf-8")
    section = text.split(f'<a id="{table}"></a>')[1].split("\n### ")[0]
    found = {}
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) < 2 or not cells[0].startswith("`"):
            continue
        scores = re.findall(r"(?:linear|HGB) (ROC-AUC|R2 \(log1p\)|R2|accuracy) (-?[0-9.]+)", cells[-1])
        by_field = re.findall(r"mean ROC-AUC over fields ([0-9.]+)", cells[-1])
        if by_field:
            found[cells[0].strip("`")] = Card("auroc", False, max(float(v.rstrip(".")) for v in by_field))
        elif scores:
            kind = scores[0][0]
            best = max(float(value.rstrip(".")) for _, value in scores)
            found[cells[0].strip("`")] = Card(NAMES[kind], "log1p" in kind, best)
    return found


def interval(values: np.ndarray, runs: np.ndarray) -> float:
    """Half-width of a 90 % interval of a mean over test rows (n,) and of run scores (S,)."""
    rows = values.var(ddof=1) / len(values)
    luck = runs.var(ddof=1) / len(runs) if len(runs) > 1 else 0.0
    return float(1.645 * np.sqrt(rows + luck))


def against_card(run: Path, study: Path, baselines: dict[str, Card]) -> list[tuple[str, str, float, float, float]]:
    """(task, arm, score, half-width, baseline) of every task that has a card; grouped tasks as the card counts them:
    AUROC as the mean over groups, R2 over the rows of all groups together."""
    made = Study.from_file(study, budget="quick")
    _, prepared, _ = made.session(run).design()
    verdicts = from_json(tuple[Verdict, ...], (run / "verdicts.json").read_bytes())
    rows = []
    families: dict[str, list[tuple[float, float]]] = {}
    pooled: dict[str, list[tuple[np.ndarray, list[np.ndarray]]]] = {}
    for verdict in verdicts:
        task = prepared.tasks[verdict.task]
        card = baselines.get(task.family or task.name)
        if card is None:
            continue
        truth, present = prepared.truth(task.name, "test")
        predictions = [
            read_predictions(run, from_json(RunRecord, (run / "runs" / f"{i}.json").read_bytes()), "test", task.name)
            for i in verdict.comparison.baseline_runs
        ]
        if card.logarithmic:
            truth, predictions = np.log1p(truth), [np.log1p(np.clip(p, 0, None)) for p in predictions]
        kind = metrics.metric(card.metric)
        if task.family is not None and card.metric == "r2":
            pooled.setdefault(task.family, []).append((truth, predictions))
            continue
        scores = [kind.score(truth, present, p) for p in predictions]
        values = kind.per_row(truth, present, np.mean(predictions, axis=0))
        if values is None or any(s is None for s in scores):
            continue
        runs = np.array(scores, dtype=float)
        entry = (float(runs.mean()), interval(values, runs))
        if task.family is not None:
            families.setdefault(task.family, []).append(entry)
        else:
            rows.append((task.name, verdict.comparison.baseline, *entry, card.score))
    for family, parts in pooled.items():
        truth = np.concatenate([t for t, _ in parts])
        n_runs = min(len(p) for _, p in parts)
        together = [np.concatenate([p[i] for _, p in parts]) for i in range(n_runs)]
        present = np.ones_like(truth, dtype=bool)
        kind = metrics.metric("r2")
        runs = np.array([kind.score(truth, present, p) for p in together], dtype=float)
        values = kind.per_row(truth, present, np.mean(together, axis=0))
        assert values is not None
        half = interval(values, runs)
        rows.append(
            (f"{family} (rows of {len(parts)})", "best single", float(runs.mean()), half, baselines[family].score)
        )
    for family, entries in families.items():
        mean = float(np.mean([e[0] for e in entries]))
        half = float(np.sqrt(np.sum([e[1] ** 2 for e in entries])) / len(entries))
        rows.append((f"{family} (mean of {len(entries)})", "best single", mean, half, baselines[family].score))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", default=TABLES)
    parser.add_argument("--out", type=Path, default=Path("runs/results"))
    parser.add_argument("--budget", default="quick")
    parser.add_argument("--quick", action="store_true", help="three small tables only; the printout says so")
    said = parser.parse_args()
    folder = os.environ.get("SHAREWISE_DATA")
    if not folder:
        sys.exit("SHAREWISE_DATA names no folder with the real tables: nothing was run.")
    tables = ["energy_efficiency", "student_performance", "landmine"] if said.quick else said.tables
    if said.quick:
        print("quick: three of ten tables")
    command = [sys.executable, "-c", "from sharewise.cli import main; main()"]
    print(
        "| table | tasks | minutes | processor minutes | share | better | no harm | open | harm | shipped harmed | meets card |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    notes = []
    for table in tables:
        where = said.out / table
        where.mkdir(parents=True, exist_ok=True)
        study, run = where / "study.yaml", where / "run"
        source = Path(folder).resolve() / f"{table}.parquet"
        if not study.exists():
            subprocess.run([*command, "init", str(source), "-o", str(study)], check=True, capture_output=True)
        clock, before = time.monotonic(), os.times()
        arguments = ["run", str(study), "--out", str(run), "--budget", said.budget, "--quiet"]
        subprocess.run([*command, *arguments], check=True, stdout=subprocess.DEVNULL)
        after = os.times()
        minutes = (time.monotonic() - clock) / 60
        processor = (after.children_user + after.children_system - before.children_user - before.children_system) / 60
        verdicts = json.loads((run / "verdicts.json").read_text())
        decisions = json.loads((run / "decisions.json").read_text())
        harmed = {v["task"] for v in verdicts if v["outcome"] == "harm"}
        counts = [sum(v["label"] == label for v in verdicts) for label in ("better",)]
        safe = sum(v["outcome"] == "no harm" for v in verdicts) - counts[0]
        undecided = sum(v["outcome"] == "not enough evidence" for v in verdicts)
        shipped = [d["task"] for d in decisions if d["shared"]]
        rows = against_card(run, study, cards(Path(folder), table))
        met = [score + half >= base for _, _, score, half, base in rows]
        cells = [table, len(decisions), f"{minutes:.1f}", f"{processor:.1f}", len(shipped), counts[0], safe, undecided]
        cells += [len(harmed), len(harmed & set(shipped)), f"{sum(met)} of {len(met)}"]
        print("| " + " | ".join(map(str, cells)) + " |", flush=True)
        for (name, arm, score, half, base), ok in zip(rows, met, strict=True):
            notes.append(
                f"| {table} | {name} | {arm} | {score:.3f} ± {half:.3f} | {base:.3f} | {'yes' if ok else 'NO'} |"
            )
    print("\n| table | task | best single-task arm | test score ± 90 % | card's best baseline | meets |")
    print("|---|---|---|---|---|---|")
    print("\n".join(notes))


if __name__ == "__main__":
    main()
