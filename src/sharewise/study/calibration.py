"""Can an arm's certainty be taken at its word? Measured on test rows, for classes and for numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sharewise.records import Calibration
from sharewise.seeds import derive
from sharewise.tasks import Task, TaskKind

Array = NDArray[Any]

BINS = 10
DRAWS = 50
"""Sets of labels drawn from the predictions themselves, to say what chance alone makes of the error."""
LEVEL = 0.9
FEWEST = 20
"""Labelled rows below which nothing is said."""
SMALLEST = 1e-7
"""Probabilities below this count as this: a float32 cannot hold 1 - p of a smaller p."""


def calibration(
    task: Task,
    arm: str,
    answers: bool,
    test: tuple[Array, Array],
    predictions: Sequence[Array],
    validation: tuple[Array, Array],
    predictions_validation: Sequence[Array],
) -> Calibration | None:
    """Calibration of one arm on one task, the mean over its runs; None where the kind, or too few rows, allow none.

    `test` and `validation` are truth and present cells (N, K), predictions (N, W), one for each run. Deterministic.
    """
    n = len(test[0])
    if not predictions or min(n, len(validation[0])) < FEWEST:
        return None
    runs = len(predictions)
    if task.kind is TaskKind.REGRESSION:
        found = [
            _numbers(test[0][:, 0], p[:, 0], validation[0][:, 0], v[:, 0])
            for p, v in zip(predictions, predictions_validation, strict=True)
        ]
        bias, width, coverage = (float(np.mean([f[i] for f in found])) for i in range(3))
        sd = float(np.std(test[0][:, 0]))
        return Calibration(
            task.name, arm, answers, n, runs, bias=bias, bias_sd=bias / sd if sd > 0 else None, half_width=width,
            coverage=coverage,
        )  # fmt: skip
    if task.kind not in (TaskKind.BINARY, TaskKind.MULTICLASS, TaskKind.ORDINAL, TaskKind.MULTILABEL):
        return None
    draw = np.random.default_rng(derive(0, "calibration", task.name, arm))
    measured = [_classes(task, *test, p, draw) for p in predictions]
    nll, ece, chance = (float(np.mean([m[i] for m in measured])) for i in range(3))
    return Calibration(task.name, arm, answers, n, runs, nll=nll, ece=ece, ece_chance=chance)


def _numbers(truth: Array, prediction: Array, truth_before: Array, before: Array) -> tuple[float, float, float]:
    """Bias, half width of the split-conformal interval (Vovk et al. 2005) and its coverage."""
    residual = np.sort(np.abs(truth_before - before))
    rank = min(math.ceil((len(residual) + 1) * LEVEL), len(residual))
    width = float(residual[rank - 1])
    return float(np.mean(prediction - truth)), width, float(np.mean(np.abs(truth - prediction) <= width))


def _classes(
    task: Task, truth: Array, present: Array, prediction: Array, draw: np.random.Generator
) -> tuple[float, float, float]:
    """NLL, ECE, and the ECE of labels drawn from the predictions themselves.

    Where there are more than two classes the error is that of the most probable one (Guo et al. 2017).
    """
    p = np.clip(prediction.astype(np.float64), SMALLEST, 1.0 - SMALLEST)
    if task.kind in (TaskKind.BINARY, TaskKind.MULTILABEL):
        p, hit = p[present], truth[present] > 0.5
        nll = float(np.mean(-np.log(np.where(hit, p, 1.0 - p))))
    else:
        p = p / p.sum(axis=1, keepdims=True)
        codes = truth[:, 0].astype(np.int64)
        nll = float(np.mean(-np.log(p[np.arange(len(p)), codes])))
        hit = p.argmax(axis=1) == codes
        p = p.max(axis=1)
    chance = np.mean([calibration_error(p, draw.random(len(p)) < p) for _ in range(DRAWS)])
    return nll, calibration_error(p, hit), float(chance)


def calibration_error(probability: Array, hit: Array) -> float:
    """Expected calibration error: the mean over rows of |mean probability - share of hits| of their bin.

    Ten bins of equal count, in the order of the probabilities (Nguyen & O'Connor 2015). Between 0 and 1.
    """
    order = np.argsort(probability, kind="stable")
    gaps = [
        abs(float(probability[rows].mean()) - float(hit[rows].mean())) * len(rows)
        for rows in np.array_split(order, BINS)
        if len(rows)
    ]
    return sum(gaps) / len(order)
