"""Wrong labels of each task, by models that did not see them; and tasks that are much noisier than the others."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from sharewise.audit.checks.base import Check
from sharewise.audit.columns import Floats
from sharewise.audit.forecasts import Forecast, forecast
from sharewise.audit.noise import auc, confident_learning, error_floor, residual_noise
from sharewise.audit.result import CheckResult, Found, Listed, Rows, no_rows
from sharewise.audit.view import AuditView, Labels
from sharewise.records import Severity

N_WORST = 12
"""Suspects of a label column that the details name; all of them are among the audit's rows."""


@dataclass(frozen=True)
class Estimate:
    """Noise of one label column: share of wrong labels with its interval, and the suspicious rows, worst first."""

    rate: float
    low: float
    high: float
    plateau: bool
    suspects: Rows = field(default_factory=no_rows)


@dataclass(frozen=True)
class LabelNoise(Check):
    """At most `warning_rate` = 5 % of a task's labels are wrong; error from `error_rate` = 15 % (both for the lower
    end of the 90 % interval).

    Classes: the errors of an out-of-fold model where it is surest (`noise.error_floor`), as confident learning alone
    takes hardness for noise; where these errors grow with doubt (no plateau) the task is hard, and nothing is said.
    Suspects come from confident learning. Numbers: residuals over 5 robust deviations, corrected for the wrong labels
    that this cannot see. Needs `min_rows` = 20 labels in two classes and a model with ROC-AUC at least `min_auc` = 0.7
    (for more than two classes also right on `min_skill` = 40 % of the rows that the majority class gets wrong), or,
    for numbers, one with R2 at least `min_r2` = 0.3 that would see at least `min_seen` = 15 % of random labels; else
    not computable. Numbers whose skewness is over `max_skewness` = 2 either way are judged on a scale that tames their
    tail (`tamed`), else every honest large number would look wrong. Regimes: the message says so where a task's rate is
    over `max_ratio` = 3 times the median task's.
    """

    quick: ClassVar[bool] = False
    warning_rate: float = 0.05
    error_rate: float = 0.15
    min_rows: int = 20
    min_auc: float = 0.7
    min_skill: float = 0.4
    min_r2: float = 0.3
    min_seen: float = 0.15
    max_ratio: float = 3.0
    max_skewness: float = 2.0

    def run(self, view: AuditView) -> CheckResult:
        """One finding for each noisy label column; details: rate, interval, number of suspects and ids of the worst
        of each; suspects of the other label columns are listed without a finding."""
        estimates: dict[Labels, Estimate] = {}
        silent: list[str] = []
        for labels in view.labels:
            if view.schema.tasks[labels.task].where is not None:
                continue  # the groups of one task are small and alike: their common task is judged, where declared
            judged = tamed(labels, self.max_skewness)
            said = forecast(view, judged)
            reason = "fewer than 50 labels, one class, or no usable input"
            made: Estimate | str = reason if said is None else self._estimate(judged, said)
            if isinstance(made, str):
                silent.append(f"{labels.title}: {made}")
            else:
                estimates[labels] = made
        median = float(np.median([e.rate for e in estimates.values()])) if estimates else 0.0
        noisy = [k for k, e in estimates.items() if e.low > self.warning_rate and e.plateau]
        found = [self._found(k, estimates[k], median) for k in noisy]
        details: dict[str, Any] = {
            k.key: {
                "rate": e.rate,
                "low": e.low,
                "high": e.high,
                "plateau": e.plateau,
                "suspects": len(e.suspects),
                "worst": view.row_ids(e.suspects[:N_WORST]),
            }
            for k, e in estimates.items()
        }
        limits = {"warning": self.warning_rate, "error": self.error_rate}
        # Rows that the models doubt are worth a look where their share is no finding, too.
        listed = tuple(Listed((k.task,), e.suspects) for k, e in estimates.items() if k not in noisy)
        return CheckResult(tuple(found), {"noise": details, "limits": limits}, tuple(silent), listed)

    def _estimate(self, labels: Labels, said: Forecast) -> Estimate | str:
        values = labels.values[said.rows]
        if not labels.is_class:
            guess = said.values[:, 0].astype(np.float64)
            explained = 1 - float(((values - guess) ** 2).mean() / max(values.var(), 1e-300))
            if explained < self.min_r2:
                return f"its model is too weak (R2 {explained:.2f}) to tell noise from hardness"
            noise, seen = residual_noise(values, guess)
            if seen < self.min_seen:
                return f"its model is too weak to see wrong labels ({seen:.0%} of random ones)"
            plateau = self._stays(values, guess, noise.rate)
            return Estimate(noise.rate, noise.low, noise.high, plateau, said.rows[noise.suspects])
        given = values.astype(np.int64)
        counts = np.bincount(given, minlength=len(labels.classes))
        kept = np.flatnonzero(counts >= self.min_rows)
        if len(kept) < 2:
            return f"fewer than two classes have {self.min_rows} labels"
        areas = [auc(said.values[:, c].astype(np.float64), given == c) for c in kept]
        skill = float(np.average([a or 0.5 for a in areas], weights=counts[kept]))
        if skill < self.min_auc:
            return f"its model is too weak (ROC-AUC {skill:.2f}) to tell noise from hardness"
        right = float((said.values.argmax(1) == given).mean())
        most = counts.max() / counts.sum()
        if len(kept) > 2 and (right - most) / (1 - most) < self.min_skill:
            return f"its model is too weak (right on {right:.0%} of the rows) to tell noise from hardness"
        floor = error_floor(given, said.values)
        learned = confident_learning(given, said.values)
        return Estimate(floor.rate, floor.low, floor.high, floor.is_plateau, said.rows[learned.suspects])

    def _stays(self, values: Floats, guess: Floats, rate: float) -> bool:
        """Whether residuals twice as far out tell the same share of wrong labels, as labels taken at random would; the
        tail of an honest task grows thin there. True where too few (under 3) are expected to tell."""
        far, seen = residual_noise(values, guess, limit=10.0)
        return rate * seen * len(values) < 3 or far.rate >= 0.5 * rate

    def _found(self, labels: Labels, estimate: Estimate, median: float) -> Found:
        # Heavy tails of honest numbers look like wrong ones, so that numbers get a warning at most.
        severe = estimate.low > self.error_rate and labels.is_class
        beside = ""
        if estimate.rate > self.max_ratio * max(median, 1e-12):
            beside = f", against {median:.1%} for the median task"
        return Found(
            Severity.ERROR if severe else Severity.WARNING,
            f"About {estimate.rate:.0%} of the labels of {labels.title} look wrong ({estimate.low:.0%} to "
            f"{estimate.high:.0%}){beside}; {len(estimate.suspects):,} rows are listed.",
            "A noisy task's gradient is large and points nowhere in particular: it poisons the trunk that cleaner "
            "tasks share.",
            "look at the listed rows, the first ones first; weigh the task down or leave it out of sharing until then",
            measured=estimate.low,
            threshold=self.error_rate if severe else self.warning_rate,
            tasks=(labels.task,),
            columns=(labels.column,),
            rows=estimate.suspects,
        )


def tamed(labels: Labels, max_skewness: float) -> Labels:
    """The labels as they are, or asinh((y - median) / (1.4826 MAD)) of numbers of larger skewness (Burbidge, Magee and
    Robb 1988): linear in the middle, logarithmic in both tails."""
    known = labels.values[labels.present]
    if labels.is_class or len(known) < 3 or known.std() == 0:
        return labels
    skewness = float((((known - known.mean()) / known.std()) ** 3).mean())
    middle = float(np.median(known))
    spread = 1.4826 * float(np.median(np.abs(known - middle))) or float(known.std())
    if abs(skewness) <= max_skewness:
        return labels
    values = np.where(labels.present, np.arcsinh((labels.values - middle) / spread), 0.0)
    return replace(labels, column=f"{labels.column} (tamed)", values=values)
