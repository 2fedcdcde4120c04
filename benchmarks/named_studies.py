"""Whole studies of texts, pairs, tokens and tags on real tables, beside the baselines of their data cards.

    SHAREWISE_DATA=... python benchmarks/named_studies.py olid sick --out runs/named

Each is one study file, below, run by the command line at budget quick (resumable). Per task: the verdict on sharing against
the best single-task model, who answers, and that answerer's score on the test rows (mean of its confirmation runs, 90 %
interval over rows and runs) beside the card's linear baseline in the same metric.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sharewise import metrics
from sharewise.records import Phase, Status
from sharewise.report.load import StudyRecords, load
from sharewise.study.study import Study
from sharewise.study.work import read_predictions

F1 = {"metric": "f1_macro"}
TWEETS = {
    "emotion": 0.571, "hate": 0.436, "irony": 0.636, "offensive": 0.675, "sentiment": 0.371, "stance_abortion": 0.445,
    "stance_atheism": 0.353, "stance_climate": 0.427, "stance_feminist": 0.460, "stance_hillary": 0.307,
}  # fmt: skip
EMOTIONS = {
    "admiration": 0.923, "amusement": 0.968, "anger": 0.892, "annoyance": 0.799, "approval": 0.789, "caring": 0.868,
    "confusion": 0.926, "curiosity": 0.947, "desire": 0.949, "disappointment": 0.783, "disapproval": 0.849,
    "disgust": 0.91, "embarrassment": 0.846, "excitement": 0.897, "fear": 0.94, "gratitude": 0.991, "grief": 0.996,
    "joy": 0.921, "love": 0.978, "nervousness": 0.912, "optimism": 0.914, "pride": 0.926, "realization": 0.784,
    "relief": 0.845, "remorse": 0.98, "sadness": 0.911, "surprise": 0.912, "neutral": 0.811,
}  # fmt: skip
CARDS = {
    "tweeteval": TWEETS,
    "olid": {"subtask_a": 0.691, "subtask_b": 0.504, "subtask_c": 0.491},
    "sick": {"relatedness_score": 0.597, "entailment_judgment": 0.834},
    "snips": {"slots": 0.797, "intent": 0.974},
    "ewt": {"upos": 0.948, "deprel": 0.796, "ner": 0.395},
    "goemotions": EMOTIONS,
}
"""Table to the card's linear baseline of each task; `emoji` of tweeteval has one class in train and is left out."""

TAGS = {"kind": "token_tagging"}
FILES: dict[str, dict[str, Any]] = {
    "tweeteval": {
        "inputs": {"text": {"kind": "text", "encoder": "embedded"}},
        "tasks": [{"name": name, **F1} for name in TWEETS],
    },
    "olid": {
        "inputs": {"tweet": {"kind": "text", "encoder": "embedded"}},
        "tasks": [
            {"name": "subtask_a", **F1},
            {"name": "subtask_b", **F1, "parent": "subtask_a"},
            {"name": "subtask_c", **F1, "parent": "subtask_b"},
        ],
    },
    "sick": {
        "inputs": {"pair": {"kind": "text", "columns": ["sentence_A", "sentence_B"], "encoder": "embedded"}},
        "tasks": [{"name": "relatedness_score", "metric": "r2"}, {"name": "entailment_judgment", "metric": "accuracy"}],
    },
    "snips": {
        "inputs": {"tokens": "tokens"},
        "tasks": [{"name": "slots", **TAGS}, {"name": "intent"}],
        "budget": {"level": "quick", "trials": 1, "epochs": 20},
    },
    "ewt": {
        "inputs": {"tokens": "tokens"},
        "tasks": [
            {"name": "upos", **TAGS}, {"name": "deprel", **TAGS}, {"name": "ner", **TAGS, "metric": "entity_f1"},
        ],
        "budget": {"level": "quick", "trials": 1, "epochs": 12},
        "search": "off",
    },
    "goemotions": {
        "inputs": {"text": {"kind": "text", "encoder": "embedded"}},
        "search": "off",
    },
}  # fmt: skip


def table_of(name: str, out: Path) -> Path:
    """The table itself; for ewt with the split of the task that has one of its own, where it has."""
    source = Path(os.environ["SHAREWISE_DATA"]).resolve() / f"{name}.parquet"
    if name != "ewt":
        return source
    table = pq.read_table(source)
    own, common = (table.column(c).to_pylist() for c in ("split_ner", "split"))
    split = pa.array([a or b for a, b in zip(own, common, strict=True)])
    made = table.select(["row_id", "tokens", "upos", "deprel", "ner"]).append_column("split", split)
    pq.write_table(made.replace_schema_metadata(None), out / "ewt.parquet")
    return out / "ewt.parquet"


def study(name: str, out: Path) -> tuple[Path, Path]:
    """Make, or go on with, one study; its file and run directory."""
    out.mkdir(parents=True, exist_ok=True)
    file, run = out / "study.yaml", out / "run"
    if not file.exists():
        source = table_of(name, out)
        said = {"data": {"path": str(source), "id": "row_id"}, "split": {"column": "split"}, "budget": "quick"}
        tasks = [{"name": c} for c in pq.read_schema(source).names if c not in ("row_id", "split", "text")]
        file.write_text(json.dumps({**said, "tasks": tasks, **FILES[name]}))
    if not (run / "summary.json").exists():
        command = [sys.executable, "-c", "from sharewise.cli import main; main()"]
        options = ["run", str(file), "--out", str(run), "--workers", "1", "--quiet"]
        subprocess.run([*command, *options], check=True, stdout=subprocess.DEVNULL)
    return file, run


def answered(file: Path, run: Path, records: StudyRecords) -> dict[str, str]:
    """Each task's test score by whoever answers it, with its 90 % interval."""
    _, prepared, _ = Study.from_file(file).session(run).design()
    made = {}
    for decision in records.decisions:
        runs = [
            r for r in records.runs
            if r.phase is Phase.CONFIRM and (r.arm, r.group) == (decision.arm, decision.group) and r.status is Status.DONE and r.predictions
        ]  # fmt: skip
        truth, present = prepared.truth(decision.task, "test")
        predictions = [read_predictions(run, r, "test", decision.task) for r in runs]
        kind = metrics.metric(prepared.tasks[decision.task].metric)
        scores = np.array([kind.score(truth, present, p) for p in predictions], dtype=float)
        values = [v for p in predictions if (v := kind.per_row(truth, present, p)) is not None]
        luck = scores.var(ddof=1) / len(scores) if len(scores) > 1 else 0.0
        rows = np.mean([v.var(ddof=1) / len(v) for v in values]) if values else np.nan
        made[decision.task] = f"{scores.mean():.3f} ± {1.645 * np.sqrt(rows + luck):.3f}"
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="+", choices=sorted(FILES))
    parser.add_argument("--out", type=Path, default=Path("runs/named"))
    said = parser.parse_args()
    if not os.environ.get("SHAREWISE_DATA"):
        sys.exit("SHAREWISE_DATA names no folder with the real tables: nothing was run.")
    print("| table | task | metric | sharing, change [90 %] | verdict | answered by | its test score | card's linear |")
    print("|---|---|---|---|---|---|---|---|")
    for name in said.tables:
        file, run = study(name, said.out / name)
        records = load(run)
        scores = answered(file, run, records)
        verdicts = {v.task: v for v in records.verdicts}
        facts = {} if records.design is None else {t.name: t.metric for t in records.design.tasks}
        for decision in records.decisions:
            task, verdict = decision.task, verdicts.get(decision.task)
            c = verdict.comparison if verdict is not None else None
            change = "-" if c is None else f"{100 * c.effect:+.1f} [{100 * c.low:+.1f}, {100 * c.high:+.1f}]"
            said_of = "not compared" if verdict is None else verdict.label
            card = CARDS[name].get(task, "-")
            print(
                f"| {name} | {task} | {facts.get(task)} | {change} | {said_of} | {decision.arm} | {scores[task]} | {card} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
