"""Time of the searches over partitions: exact at 12 tasks, local at 40 and 100, and how often local finds the optimum.

    python benchmarks/partitions.py

Estimates are drawn at random: thetas of standard deviation 0.6 margins of either sign, with full covariances. Seconds are
processor seconds of one thread, the median of three draws.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

from sharewise.grouping.constraints import Constraints
from sharewise.grouping.exact import best_partitions
from sharewise.grouping.local import LocalSearch
from sharewise.grouping.objective import Objective

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "grouping"))

from made_estimates import drawn


def timed(n_tasks: int, limits: Constraints, exact: bool) -> float:
    """Median processor seconds of three searches for the five best partitions."""
    seconds = []
    for seed in range(3):
        objective = Objective(drawn(n_tasks, seed), limits)
        started = time.process_time()
        blocks = limits.blocks(n_tasks)
        if exact:
            best_partitions(objective, blocks, 5)
        else:
            LocalSearch(objective, blocks, seed).best_partitions(5)
        seconds.append(time.process_time() - started)
    return float(np.median(seconds))


def main() -> None:
    print(f"exact, 12 tasks: {timed(12, Constraints(), True):.2f} s")
    print(f"exact, 12 tasks, at most 6 models: {timed(12, Constraints(6), True):.2f} s")
    for n_tasks in (40, 100):
        print(f"local, {n_tasks} tasks: {timed(n_tasks, Constraints(), False):.2f} s")
    hits = 0
    for seed in range(20):
        objective = Objective(drawn(10, seed), Constraints())
        blocks = objective.limits.blocks(10)
        exact, local = best_partitions(objective, blocks, 1), LocalSearch(objective, blocks, seed).best_partitions(1)
        hits += abs(exact[0][0] - local[0][0]) < 1e-9
    print(f"local finds the exact optimum of 10 tasks: {hits} of 20")


if __name__ == "__main__":
    main()
