"""Fits a linear model along a falling penalty and keeps the strength that rows left out like best."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sharewise.batch import Inputs
from sharewise.models.design import Design, Scaling
from sharewise.models.single import Array, Loss, Problem
from sharewise.models.solve import DescentPath, NewtonPath, Path, RidgePath, loss_and_slope
from sharewise.models.weights import Weights

ALPHAS = tuple(float(a) for a in np.logspace(3.5, -2, 12))
_IDLE_IN_A_ROW = 2
_SMALLEST_GAIN = 1e-3
_FEW_VALIDATION_ROWS = 200
_FOLDS = 5
_PATH_ROWS = 10_000
_WIDEST_RIDGE = 1500
_WIDEST_NEWTON = 100


@dataclass(frozen=True)
class Trial:
    """A path on some rows and the rows that judge it."""

    path: Path
    design: Design
    y: Array
    weight: Array
    loss: Loss

    def score(self, alpha: float) -> tuple[float, tuple[Array, Array]]:
        """Sum of the judging rows' losses at this penalty, and the solution."""
        weights, intercept = self.path.at(alpha)
        if not len(self.y):
            return 0.0, (weights, intercept)
        linear = self.design.times(weights) + intercept
        return float(self.weight @ loss_and_slope(self.loss, linear, self.y)[0]), (weights, intercept)


def fit_path(inputs: Inputs[Array], problem: Problem, *, n_bins: int, embedding_scale: float, seed: int) -> Weights:
    """Weights at the penalty whose left-out rows have the lowest loss.

    The path ends when two penalties in a row did not lower the loss by a thousandth. Where an iterative
    solver meets more than 10,000 rows, the penalty is chosen on as many and the weights then fitted to all.
    """
    scaling = Scaling.of(inputs, problem.train, n_bins, embedding_scale)
    design = scaling.design(inputs, problem.train)
    n = len(problem.y)
    exact = problem.loss == "squared" and min(sum(design.widths), n) <= _WIDEST_RIDGE

    def path(rows: Array) -> Path:
        part, y, weight = design.at(rows), problem.y[rows], problem.weight[rows]
        if exact:
            return RidgePath(part, y)
        if problem.loss == "logistic" and sum(part.widths) <= _WIDEST_NEWTON:
            return NewtonPath(part, y, weight)
        n_answers = problem.n_classes if problem.loss == "softmax" else 1
        return DescentPath(part, y, weight, problem.loss, n_answers)

    rows = np.arange(n)
    if not exact and n > _PATH_ROWS:
        rows = np.sort(np.random.default_rng(seed).choice(n, _PATH_ROWS, replace=False))
    judges = scaling.design(inputs, problem.validation)
    trials = [Trial(path(rows), judges, problem.y_validation, problem.weight_validation, problem.loss)]
    if len(problem.validation) < _FEW_VALIDATION_ROWS:
        fold = _folds(problem.y[rows], seed)
        for k in range(min(_FOLDS, len(rows))):
            left = rows[fold == k]
            judge = (design.at(left), problem.y[left], problem.weight[left])
            trials.append(Trial(path(rows[fold != k]), *judge, problem.loss))
    alpha, solution = _best(trials)
    if len(rows) < n:
        refined = path(np.arange(n))
        refined.start(*solution)
        solution = refined.at(alpha)
    return scaling.fold(*solution, inputs)


def _best(trials: list[Trial]) -> tuple[float, tuple[Array, Array]]:
    """The penalty with the lowest sum over all trials, and the first trial's solution there."""
    best, solution = ALPHAS[0], None
    lowest, idle = np.inf, 0
    for alpha in ALPHAS:
        scored = [trial.score(alpha) for trial in trials]
        total = sum(loss for loss, _ in scored)
        idle = 0 if total < lowest * (1.0 - _SMALLEST_GAIN) else idle + 1
        if solution is None or total < lowest:
            best, solution, lowest = alpha, scored[0][1], total
        if idle == _IDLE_IN_A_ROW:
            break
    assert solution is not None
    return best, solution


def _folds(y: Array, seed: int) -> Array:
    """Fold of every row: rows sorted by answer, ties at random, dealt out in turn, so that all are alike."""
    order = np.lexsort((np.random.default_rng(seed).permutation(len(y)), y))
    fold = np.empty(len(y), np.int64)
    fold[order] = np.arange(len(y)) % _FOLDS
    return fold
