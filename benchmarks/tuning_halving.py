"""What successive halving saves and what it costs: tuning with and without it, on generated tables.

    python benchmarks/tuning_halving.py [--tables 3] [--trials 16]

Tables of 1,500 rows, six inputs and four tasks with half of the labels; every task alone and all together, the same
trials twice, one worker. Prints the share of the optimiser's steps (members times epochs) and of the processor time
that halving takes, how often it keeps the very trial that wins among all, and what its winner's validation score is
behind that one's, as a share of the score.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from study_estimate import table

from sharewise.records import RunRecord
from sharewise.study.run import Conductor
from sharewise.study.study import Study
from sharewise.study.workers import Workers

Tuned = tuple[dict[Any, list[RunRecord]], float]


def tuned(data: pa.Table, pruner: str, trials: int) -> Tuned:
    """Trials of every group, and the processor seconds that they took."""
    study = Study(
        data,
        [{"name": f"y{k}", "kind": "regression"} for k in range(4)],
        architecture={"name": "hard", "width": 64},
        search="off",
        alternatives=(),
        tuning={"pruner": pruner},
        budget={"level": "quick", "trials": trials, "epochs": 30, "seeds": 2},
    )
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        (out / "runs").mkdir()
        design, prepared, _ = study.session(out, workers=1).design()
        conductor = Conductor(design, prepared, out, print)
        started = time.process_time()
        with Workers(prepared, out, 1) as pool:
            conductor.tune(pool, lambda n: None)
        took = time.process_time() - started
        wanted = [item for arm in design.record.arms for item in conductor.trained(arm)]
        return {(item[1], item[2].tasks): conductor.trials(*item) for item in wanted}, took


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tables", type=int, default=3)
    parser.add_argument("--trials", type=int, default=16)
    asked = parser.parse_args()
    steps, seconds, same, behind = np.zeros(2), np.zeros(2), [], []
    for seed in range(asked.tables):
        data = table(seed)
        (full, full_took), (half, half_took) = (tuned(data, p, asked.trials) for p in ("none", "halving"))
        seconds += (full_took, half_took)
        for key, records in full.items():
            steps += (sum(r.epochs for r in records), sum(r.epochs for r in half[key]))
            winner, kept = (_best(r) for r in (records, half[key]))
            same.append(winner == kept)
            scores = [{r.trial: _mean(r) for r in records}[trial] for trial in (winner, kept)]
            behind.append(scores[1] / scores[0] - 1)
    print(f"{len(same)} models tuned with {asked.trials} trials each")
    print(f"steps {steps[1] / steps[0]:.2f}, processor time {seconds[1] / seconds[0]:.2f} of training every trial")
    print(f"same winner in {sum(same)} of {len(same)}; its RMSE is {100 * np.mean(behind):.1f} % higher on average, "
          f"{100 * max(behind):.1f} % at most")  # fmt: skip


def _mean(record: RunRecord) -> float:
    return float(np.mean([v for v in record.validation.values() if v is not None]))


def _best(records: list[RunRecord]) -> int:
    done = [r for r in records if r.status == "done"]
    return min(done, key=lambda r: (_mean(r), r.trial)).trial


if __name__ == "__main__":
    main()
