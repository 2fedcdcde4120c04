"""Tasks whose labels come from different periods, and labels that stop, start late or come with a delay."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sharewise.audit.association import ks_distance
from sharewise.audit.checks.base import Check
from sharewise.audit.columns import Floats
from sharewise.audit.result import CheckResult, Found
from sharewise.audit.view import AuditView
from sharewise.records import Severity

N_WINDOWS = 20


@dataclass(frozen=True)
class TaskPeriods(Check):
    """Kolmogorov-Smirnov distance between the label times of two tasks at most `max_distance` = 0.2, and in the last of
    20 windows of equal rows a label rate of at least `min_rate` = 50 % of the median window's (below it labels are
    late or have stopped). Tasks with fewer than `min_labels` = 50 labels are not judged."""

    max_distance: float = 0.2
    min_rate: float = 0.5
    min_labels: int = 50

    def run(self, view: AuditView) -> CheckResult:
        """One finding for the tasks of another period, one for those whose labels run dry; details: time histograms."""
        if view.time is None:
            return CheckResult()
        known = np.flatnonzero(~np.isnan(view.time))
        order = known[np.argsort(view.time[known], kind="stable")]
        if len(order) < N_WINDOWS * 5:
            return CheckResult(not_computable=(f"fewer than {N_WINDOWS * 5} rows have a time",))
        windows = np.array_split(order, N_WINDOWS)
        tasks = [t for t in view.schema.tasks if view.task_present(t).sum() >= self.min_labels]
        rates = {t.name: np.array([float(view.task_present(t)[w].mean()) for w in windows]) for t in tasks}
        times = {t.name: view.time[known][view.task_present(t)[known]] for t in tasks}
        details = {
            "window_start": [float(view.time[w[0]]) for w in windows],
            "window_end": [float(view.time[w[-1]]) for w in windows],
            "label_rate": {name: rate.tolist() for name, rate in rates.items()},
        }
        return CheckResult((*self._periods(times), *self._tails(rates)), details)

    def _periods(self, times: dict[str, Floats]) -> list[Found]:
        times = {name: values for name, values in times.items() if len(values)}
        names = list(times)
        odd: dict[tuple[str, str], float] = {}
        for i, a in enumerate(names):
            for b in names[:i]:
                distance = ks_distance(times[a], times[b])
                if distance > self.max_distance:
                    odd[b, a] = distance
        if not odd:
            return []
        worst = max(odd, key=lambda p: odd[p])
        return [
            Found(
                Severity.WARNING,
                f"The labels of '{worst[0]}' and '{worst[1]}' come from different periods: the distributions of their "
                f"times are {odd[worst]:.2f} apart ({len(odd)} such pairs).",
                "What looks like a conflict of tasks may be a change over time, which sharing cannot mend, and each "
                "task's gradient speaks for another season.",
                "compare the tasks on a common period, and give the models the time's calendar parts",
                measured=odd[worst],
                threshold=self.max_distance,
                tasks=tuple(dict.fromkeys(n for p in sorted(odd, key=lambda p: -odd[p]) for n in p)),
            )
        ]

    def _tails(self, rates: dict[str, Floats]) -> list[Found]:
        dry = {n: float(r[-1] / max(np.median(r[r > 0]), 1e-12)) for n, r in rates.items() if (r > 0).any()}
        late = sorted((n for n in dry if dry[n] < self.min_rate), key=lambda n: dry[n])
        if not late:
            return []
        worst = late[0]
        last = int(np.flatnonzero(rates[worst] > 0)[-1])
        when = "labels have stopped" if last < N_WINDOWS - 2 else "its labels may come with a delay"
        return [
            Found(
                Severity.WARNING,
                f"The last twentieth of the time has {dry[worst]:.0%} of the usual label rate of '{worst}': {when} "
                f"({len(late)} task{'s' * (len(late) > 1)}).",
                "Rows without labels yet are not negatives, and a task that is labelled no more is learned from old "
                "times only.",
                "leave the unripe end out of training and test, or retire the task",
                measured=dry[worst],
                threshold=self.min_rate,
                tasks=tuple(late),
            )
        ]
