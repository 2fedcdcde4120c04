"""How often does the rule for what ships let a harmed task through, and how much of the gain does it ship?

    python benchmarks/shipping.py --studies 400 [--tasks 8 12 40] [--settings harmed sparse]

Draws whole confirmations whose truth is known: true changes of the tasks, run luck whose SD differs between tasks (log
normal), luck of validation and test rows. The numbers of runs follow `enough.left_open` on the validation rows (3, 6,
10), groups of four tasks share a model; comparison, moderation, posterior and the rule are the library's own. Printed,
with standard errors: studies that ship any task whose true change is below minus one margin, and the true gain of what
ships over that of all tasks that gain; by the rule, and by a stricter one, where the probabilities that may add up to
5 % over a study are the larger of the pooled posterior's and the task's own (moderated) t tail.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np

from sharewise.records import Comparison
from sharewise.study.compare import Pair, compare_all
from sharewise.study.decide import MOST_RISK, Option, choose
from sharewise.study.enough import left_open
from sharewise.study.judge import below
from sharewise.tasks import Task, TaskKind

MARGIN = 0.02
LEAST, MOST = 3, 10
IN_A_GROUP = 4
ROWS = 256
"""Rows of either part; their luck is scaled to the SD that a setting asks for."""


@dataclass(frozen=True)
class Setting:
    """True changes are drawn from N(mean, sd), `sunk` of the tasks (a share) lie at uniform(deep) instead; run SD of a
    task is log-normal with median `run_sd` and log SD `spread`, SD of the rows `row_sd` and 0.4; all in margins.
    `alike` is the share of a shared run's luck that its tasks have in common."""

    mean: float
    sd: float
    sunk: float = 0.0
    deep: tuple[float, float] = (-2.0, -1.0)
    run_sd: float = 1.0
    spread: float = 0.7
    row_sd: float = 0.6
    alike: float = 0.0


SETTINGS = {
    "ordinary": Setting(0.5, 1.0),
    "wide": Setting(0.5, 2.5),
    "losing": Setting(-0.7, 1.0),
    "harmed": Setting(2.0, 1.0, sunk=0.3),
    "sparse": Setting(2.0, 1.0, sunk=0.1),
    "brink": Setting(1.5, 0.7, sunk=0.5, deep=(-1.3, -1.0)),
    "noisy": Setting(2.0, 1.5, sunk=0.25, run_sd=2.0, spread=1.0),
    "few rows": Setting(2.0, 1.5, sunk=0.25, row_sd=1.2),
    "alike": Setting(2.0, 1.0, sunk=0.3, alike=0.5),
}


@dataclass(frozen=True)
class Drawn:
    """Truth (T,), and per-row scores, lower is better: baseline (2, T, S, n) and shared, on validation and test."""

    theta: np.ndarray
    baseline: np.ndarray
    shared: np.ndarray


def draw(s: Setting, n_tasks: int, random: np.random.Generator) -> Drawn:
    """One confirmation with all the runs it could have."""
    theta = random.normal(s.mean, s.sd, n_tasks)
    sunk = random.random(n_tasks) < s.sunk
    theta = np.where(sunk, random.uniform(*s.deep, n_tasks), theta) * MARGIN
    run_sd = MARGIN * s.run_sd * np.exp(s.spread * random.normal(size=(n_tasks, 1)))
    row_sd = MARGIN * s.row_sd * np.exp(0.4 * random.normal(size=n_tasks))
    luck = random.normal(size=(2, n_tasks, MOST)) * run_sd
    group = np.arange(n_tasks) // IN_A_GROUP
    common = random.normal(size=(group.max() + 1, MOST))[group] * run_sd
    luck[1] = np.sqrt(1 - s.alike) * luck[1] + np.sqrt(s.alike) * common
    # Bounded, as a score of a row cannot be negative: uniform rows, of which a mean has the SD asked for.
    rows = random.uniform(-1, 1, size=(2, n_tasks, 1, ROWS)) * (3 * ROWS) ** 0.5 * row_sd[None, :, None, None]
    base = 1 + luck[0][None, :, :, None] + 0.0 * rows
    return Drawn(theta, base, 1 - theta[None, :, None, None] - luck[1][None, :, :, None] + rows)


def compared(drawn: Drawn, part: int, n_baseline: np.ndarray, n_shared: np.ndarray) -> list[Comparison]:
    """The library's comparison of so many runs (T,) of either arm."""
    nothing = np.zeros((ROWS, 1))
    pairs = [
        Pair(
            Task(name=f"t{t}", kind=TaskKind.REGRESSION, columns=(f"t{t}",), metric="mae", margin=MARGIN),
            nothing,
            np.ones((ROWS, 1)),
            "single",
            "together",
            list(np.maximum(drawn.baseline[part, t, : n_baseline[t], :, None], 0.0)),
            list(np.maximum(drawn.shared[part, t, : n_shared[t], :, None], 0.0)),
        )
        for t in range(len(drawn.theta))
    ]
    return list(compare_all(pairs).comparisons)


def confirmed(drawn: Drawn) -> list[Comparison]:
    """The comparisons on test rows, once validation rows have settled how many runs there are."""
    n_tasks = len(drawn.theta)
    group = np.arange(n_tasks) // IN_A_GROUP
    n_baseline, n_shared = np.full(n_tasks, LEAST), np.full(n_tasks, LEAST)
    while True:
        before = n_baseline.sum() + n_shared.sum()
        found = compared(drawn, 0, n_baseline, n_shared)
        for t, c in enumerate(found):
            if left_open(c, ROWS, MOST):
                n = min(2 * min(c.n_baseline_runs, c.n_candidate_runs), MOST)
                n_baseline[t] = max(n_baseline[t], n)
                n_shared[group == group[t]] = np.maximum(n_shared[group == group[t]], n)
        if n_baseline.sum() + n_shared.sum() == before:
            return compared(drawn, 1, n_baseline, n_shared)


def shipped(comparisons: list[Comparison]) -> tuple[np.ndarray, np.ndarray]:
    """Whether each task (T,) shares, by the library's rule and by the stricter one."""
    options = [Option(c.task, "together", "together:1", "single", f"single:{c.task}", c) for c in comparisons]
    decisions = choose(options)
    share = np.array([d.shared for d in decisions])
    tail = [below(-c.effect - c.margin, c.standard_error, c.df) for c in comparisons]
    risk = np.maximum([d.probability_harm or 0.0 for d in decisions], tail)
    strict, spent = np.zeros_like(share), 0.0
    for t in sorted(np.flatnonzero(share), key=lambda t: risk[t]):
        spent += risk[t]
        strict[t] = spent <= MOST_RISK
    return share, strict


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=400)
    parser.add_argument("--tasks", type=int, nargs="+", default=[8, 12, 40])
    parser.add_argument("--settings", nargs="+", default=list(SETTINGS), choices=list(SETTINGS))
    parser.add_argument("--seed", type=int, default=1)
    said = parser.parse_args()
    print(f"{said.studies} studies a row, seed {said.seed}; rates with their standard errors")
    print("| setting | tasks | studies with harm | gain shipped | stricter: harm | stricter: gain | runs alone |")
    print("|---" * 7 + "|")
    for name in said.settings:
        for n_tasks in said.tasks:
            random = np.random.default_rng([said.seed, n_tasks, list(SETTINGS).index(name)])
            bad, got, could, runs = [], [], [], []
            for _ in range(said.studies):
                drawn = draw(SETTINGS[name], n_tasks, random)
                found = confirmed(drawn)
                rules = shipped(found)
                bad.append([(drawn.theta[share] < -MARGIN).any() for share in rules])
                got.append([drawn.theta[share].sum() for share in rules])
                could.append(np.maximum(drawn.theta, 0).sum())
                runs.append(np.mean([c.n_baseline_runs for c in found]))
            rules = zip(np.array(bad, dtype=float).T, np.array(got).T, strict=True)
            cells = [cell for rule in rules for cell in told(*rule, np.array(could))]
            print("| " + " | ".join([name, str(n_tasks), *cells, f"{np.mean(runs):.1f}"]) + " |", flush=True)


def told(bad: np.ndarray, got: np.ndarray, could: np.ndarray) -> tuple[str, str]:
    """Rate of studies (N,) with harm, and the share of the gain that could be had, with standard errors."""
    p, n = bad.mean(), len(bad)
    share = got.sum() / could.sum()
    error = (got - share * could).std(ddof=1) / (could.mean() * n**0.5)
    return f"{100 * p:.1f} ± {100 * (p * (1 - p) / n) ** 0.5:.1f} %", f"{100 * share:.0f} ± {100 * error:.0f} %"


if __name__ == "__main__":
    main()
