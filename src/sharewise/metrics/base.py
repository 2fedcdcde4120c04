"""What a metric is: a score of one task's predictions, and the per-row values that carry its uncertainty.

Shapes throughout: N rows; truth (N, K) holds class codes (K = 1), 0/1 labels (K = L) or original units;
`present` (N, K) says which cells exist; predictions are (N, W) probabilities or original units. The layout is
read off the shapes: K > 1 is one column per label or per rebuilt input, K = 1 with W = 1 is binary (or a
regression), K = 1 with W > 1 is one probability per class.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from sharewise.tasks import TaskKind

Array = npt.NDArray[Any]
Effect = Literal["ratio", "log_ratio", "points"]


class Metric(ABC):
    """One way to score a task, with per-row values whose mean is the score (to the power `power`).

    `effect` says how two scores are compared, theta positive where the candidate m beats the baseline b:
    `ratio` theta = m / b - 1 (scores bounded away from 0, more is better); `log_ratio` theta = log(b / m) of
    the scores (less is better; to first order the relative change, symmetric in the two arms); `points`
    theta = m - b (scores that can be zero or negative, where a ratio would explode). `score` equals
    mean(per_row) ** power, so RMSE has power 0.5 and per-row squared errors. `rare_class_counts` marks metrics
    whose precision is set by the rows of the rarer class and not by the rows as such.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    bigger_is_better: ClassVar[bool]
    kinds: ClassVar[frozenset[TaskKind]]
    effect: ClassVar[Effect]
    power: ClassVar[float] = 1.0
    rare_class_counts: ClassVar[bool] = False

    @property
    def scale(self) -> str:
        """How effects and margins of this metric are stated: "relative" to the baseline, or in "points"."""
        return "points" if self.effect == "points" else "relative"

    @abstractmethod
    def score(self, truth: Array, present: Array, prediction: Array) -> float | None:
        """The score over the labelled rows, or None where it is undefined.

        Undefined means: fewer than two labelled rows, a non-finite prediction on a labelled row, or what the
        metric itself cannot answer (one class only, a constant target).
        """

    @abstractmethod
    def per_row(self, truth: Array, present: Array, prediction: Array) -> Array | None:
        """Values (n_labelled_rows,) in float64, in row order, whose mean to the power `power` is the score.

        For a plain mean they are the rows' own scores; otherwise they are jackknife pseudo-values centred on
        the score, so that their sample variance over n estimates the score's sampling variance. A row counts
        as labelled where any of its cells is present. None where the score, or its variance, is undefined.
        """

    def effect_of(self, baseline: float, candidate: float) -> float | None:
        """Theta from two scores, or None where the scale has no value (a baseline of zero)."""
        if self.effect == "points":
            return candidate - baseline if self.bigger_is_better else baseline - candidate
        if self.effect == "ratio":
            return candidate / baseline - 1.0 if baseline > 0 else None
        if baseline <= 0 or candidate <= 0:
            return None
        return float(np.log(baseline / candidate))
