"""Cost of a training step of every sharing architecture relative to `hard`, at equal parameters, interleaved.

    python benchmarks/sharing_cost.py [--tasks 2 8] [--members 1 8] [--rounds 7]

A cohort step as the trainer takes it (rows, encoder, trunk, heads, losses, backward, AdamW) on a table of 64 numbers,
batch 256, regression heads; hard sharing of two layers of 128. Every other architecture has the width that brings its
trunk nearest to the same number of parameters (its own parts included). Prints the median over rounds of CPU time over
that of hard sharing in the same round, and the parameters relative to hard's; then the same with gradients aggregated
by upgrad at the level that the architecture allows.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import numpy as np
import torch

from sharewise.balance.aggregation.upgrad import UPGrad
from sharewise.balance.choose import Balance
from sharewise.balance.engine.balancer import Balancer
from sharewise.batch import Inputs, Targets
from sharewise.models.build import GroupModel, slots_of
from sharewise.models.sharing import CATALOGUE
from sharewise.models.sharing.base import OFF
from sharewise.models.stacked import Stack
from sharewise.plan import Choice
from sharewise.tasks import Task, TaskKind, TaskSet
from sharewise.training.cohort import Cohort
from sharewise.training.data import TrainingData
from sharewise.training.optimiser import StackedAdamW
from sharewise.training.recipe import Recipe
from sharewise.training.results import Member

N_IN, BATCH, STEPS = 64, 256, 6
SETTINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "hard": ("hard", {}),
    "hard, split 1": ("hard", {"split": 1}),
    **{name: (name, {}) for name in CATALOGUE if name != "hard"},
}


def trunk_parameters(name: str, params: dict[str, Any], n_slots: int, n_in: int = N_IN) -> int:
    """Parameters of one member's trunk."""
    return Stack(CATALOGUE.build(name, n_in=n_in, n_slots=n_slots, **params)).size


def matched(name: str, params: dict[str, Any], n_slots: int, n_in: int = N_IN, width: int = 128) -> dict[str, Any]:
    """`params` with the width at which the trunk has as many parameters as hard sharing of `width` units."""
    target = trunk_parameters("hard", {"width": width}, n_slots, n_in)
    sizes = {w: trunk_parameters(name, {**params, "width": w}, n_slots, n_in) for w in range(4, width + 1)}
    return {**params, "width": min(sizes, key=lambda w: abs(sizes[w] - target))}


def table(n_slots: int) -> TrainingData:
    """Random numbers; the cost does not hang on them."""
    random = np.random.default_rng(0)
    x = random.normal(size=(4096, N_IN)).astype(np.float32)
    y = random.normal(size=(4096, n_slots)).astype(np.float32)
    tasks = TaskSet(tuple(Task(f"t{t}", TaskKind.REGRESSION, (f"t{t}",), "rmse") for t in range(n_slots)))
    parts = {"train": np.arange(3072), "validation": np.arange(3072, 4096)}
    slices = tuple(slice(t, t + 1) for t in range(n_slots))
    return TrainingData.of(tasks, Inputs({"embedding": x}), Targets(y, np.ones_like(y, bool), slices), parts)


class Runner:
    """A cohort that can be asked for a few steps at a time."""

    def __init__(self, label: str, data: TrainingData, members: int, aggregated: bool) -> None:
        name, params = SETTINGS[label]
        n_slots = len(data.tasks)
        choice = Choice(name, matched(name, params, n_slots))
        net = GroupModel({"n_embedding": N_IN}, choice, slots_of(data.tasks.tasks))
        everyone = [Member(f"m{m}", tuple(range(n_slots)), m) for m in range(members)]
        self.cohort = Cohort(
            everyone, net, data, Recipe(batch_size=BATCH), Balance(Balancer(UPGrad())) if aggregated else None
        )
        self.size = self.cohort.stack.size
        self.optimiser = StackedAdamW(self.cohort.stack.flat)
        self.rate, self.decay = torch.full((members, 1), 1e-3), torch.full((members, 1), 1e-2)

    def seconds(self) -> float:
        """CPU time of some steps."""
        rows = self.cohort.batches.ahead(STEPS)
        begun = time.process_time()
        for step in range(STEPS):
            self.cohort._step(rows[step], self.cohort.slots, self.optimiser, self.rate, self.decay, OFF, step)
        return time.process_time() - begun


def measure(n_slots: int, members: int, rounds: int, aggregated: bool) -> dict[str, tuple[float, float]]:
    """Cost and parameters relative to hard sharing, by setting."""
    data = table(n_slots)
    runners = {label: Runner(label, data, members, aggregated) for label in SETTINGS}
    for runner in runners.values():
        runner.seconds()
    times: dict[str, list[float]] = {label: [] for label in runners}
    for _ in range(rounds):
        spent = {label: runner.seconds() for label, runner in runners.items()}
        for label, value in spent.items():
            times[label].append(value / spent["hard"])
    return {label: (statistics.median(times[label]), r.size / runners["hard"].size) for label, r in runners.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, nargs="+", default=[2, 8])
    parser.add_argument("--members", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--rounds", type=int, default=7)
    said = parser.parse_args()
    torch.set_num_threads(1)
    for n_slots in said.tasks:
        for members in said.members:
            plain = measure(n_slots, members, said.rounds, aggregated=False)
            balanced = measure(n_slots, members, said.rounds, aggregated=True)
            print(
                f"\n{n_slots} tasks, {members} members: cost / hard (with upgrad / hard with upgrad), parameters / hard"
            )
            for label, (ratio, size) in plain.items():
                print(f"  {label:16s} {ratio:5.2f}  ({balanced[label][0]:5.2f})  {size:5.2f}")


if __name__ == "__main__":
    main()
