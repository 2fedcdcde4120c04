"""The time that a study announces beside the processor time that its tuning takes, by architecture.

    python benchmarks/study_estimate.py

A generated table of 1,500 rows, six inputs and four tasks with half of the labels; two trials of every model alone and
together, 30 epochs, one worker. Prints the estimate, from four timed steps of each stack, the processor seconds that
the runs took, and their ratio. Runs that stop early make the estimate too long.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from sharewise.study.estimate import Clock
from sharewise.study.run import Conductor
from sharewise.study.study import Study
from sharewise.study.workers import Workers

ARCHITECTURES: tuple[dict[str, Any], ...] = (
    {"name": "hard", "width": 32},
    {"name": "hard", "width": 128},
    {"name": "mmoe", "n_experts": 4, "width": 64},
    {"name": "soft"},
)


def table(seed: int = 1) -> pa.Table:
    """Four kindred regressions, each labelled on half of 1,500 rows."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(1500, 6))
    hidden = np.tanh(x @ random.normal(size=(6, 2)))
    columns: dict[str, Any] = {f"x{i}": x[:, i] for i in range(6)}
    for k in range(4):
        y = hidden @ random.normal(size=2) + 0.3 * random.normal(size=1500)
        columns[f"y{k}"] = pa.array(y, mask=random.random(1500) < 0.5)
    return pa.table(columns)


def main() -> None:
    made = table()
    print("architecture                 estimate    took   ratio")
    for architecture in ARCHITECTURES:
        study = Study(
            made,
            [{"name": f"y{k}", "kind": "regression"} for k in range(4)],
            architecture=architecture,
            search="off",
            alternatives=(),
            budget={"level": "quick", "trials": 2, "epochs": 30, "seeds": 2},
        )
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder)
            (out / "runs").mkdir()
            design, prepared, _ = study.session(out, workers=1).design()
            conductor = Conductor(design, prepared, out, print)
            units = conductor.plan_units(conductor.tuning())
            estimate = Clock(prepared, out).of(units)
            started = time.process_time()
            with Workers(prepared, out, 1) as pool:
                pool.carry_out(units, lambda n: None)
            took = time.process_time() - started
        name = ", ".join(str(v) for v in architecture.values())
        print(f"{name:28} {estimate:6.1f} s {took:6.1f} s {estimate / took:6.2f}", flush=True)


if __name__ == "__main__":
    main()
