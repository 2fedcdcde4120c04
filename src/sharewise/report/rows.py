"""One row a task: what the records say about it, found once and shared by sentences, figures and tables."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sharewise.records import (
    Comparison,
    Decision,
    MetricFacts,
    Outcome,
    OwnScore,
    Receipt,
    SetAside,
    TaskData,
    Verdict,
)
from sharewise.report.load import StudyRecords
from sharewise.tasks import Task

MANY = 30
"""With more tasks than this, families come first and single tasks are folded away."""


class State(StrEnum):
    """A verdict as it is shown; `NONE` where the task was not compared."""

    BETTER = "better"
    SAFE = "no harm"
    WORSE = "slightly worse, within the margin"
    UNDECIDED = "not enough evidence"
    HARM = "harm"
    NONE = "not compared"


class Cure(StrEnum):
    """What would settle an open verdict most cheaply."""

    RUNS = "more runs"
    ROWS = "more test rows"
    NEITHER = "neither"


@dataclass(frozen=True)
class TaskRow:
    """What is known of one task. The `*_at` are JSON pointers ("verdicts.json#/3") to where it stands."""

    name: str
    task: Task | None
    metric: MetricFacts | None
    data: TaskData | None
    data_at: str
    verdict: Verdict | None
    verdict_at: str
    isolated: Verdict | None
    isolated_at: str
    decision: Decision | None
    decision_at: str
    own: OwnScore | None = None
    """What the task's best single-task model scores by itself."""
    own_at: str = ""

    @property
    def state(self) -> State:
        """The verdict, refined by where its interval lies."""
        return State.NONE if self.verdict is None else state_of(self.verdict)

    @property
    def family(self) -> str | None:
        """The grouped declaration that the task comes from."""
        return None if self.task is None else self.task.family

    @property
    def shares(self) -> bool:
        """True where the shared model answers the task."""
        return self.decision is not None and self.decision.shared

    @property
    def cure(self) -> Cure | None:
        """What would settle the verdict; None unless it is open."""
        if self.verdict is None or self.verdict.outcome is not Outcome.UNDECIDED:
            return None
        return cure(self.verdict.receipt)

    @property
    def metric_label(self) -> str:
        """The metric's name for a reader."""
        if self.metric is not None:
            return self.metric.label
        if self.verdict is not None:
            return self.verdict.comparison.metric
        return "" if self.task is None else self.task.metric


def cure(receipt: Receipt | None) -> Cure:
    """More runs where they can settle it, else more test rows, else neither."""
    if receipt is not None and receipt.runs_needed is not None:
        return Cure.RUNS
    if receipt is not None and receipt.rows_needed is not None:
        return Cure.ROWS
    return Cure.NEITHER


def state_of(verdict: Verdict) -> State:
    """A verdict as it is shown: its outcome, and for "no harm" the side of zero on which the interval lies."""
    if verdict.outcome is Outcome.HARM:
        return State.HARM
    if verdict.outcome is Outcome.UNDECIDED:
        return State.UNDECIDED
    if verdict.comparison.low > 0:
        return State.BETTER
    return State.WORSE if verdict.comparison.high < 0 else State.SAFE


def cautious(row: TaskRow) -> bool:
    """True where a verdict stays open although its interval is clear of the margin: too few rows to trust it."""
    if row.verdict is None or row.verdict.outcome is not Outcome.UNDECIDED:
        return False
    c = row.verdict.comparison
    return c.high < -c.margin or c.low > -c.margin


def limit(comparison: Comparison, metric: MetricFacts | None) -> float | None:
    """The score at which harm begins: the margin in the metric's own unit.

    With baseline score b and margin m: b(1 ∓ m) for a ratio, b·exp(∓m) for a log ratio, b ∓ m for points, with
    the sign that makes it worse. None where the metric's facts are not on record.
    """
    if metric is None:
        return None
    worse = -1.0 if metric.bigger_is_better else 1.0
    b, m = comparison.baseline_score, comparison.margin
    if metric.effect == "points":
        return b + worse * m
    if metric.effect == "log_ratio":
        return b * math.exp(worse * m)
    return b + worse * m * abs(b)


def task_rows(records: StudyRecords) -> tuple[TaskRow, ...]:
    """A row for every task of the study, in the study's order; tasks set aside have none."""
    verdicts = {v.task: i for i, v in enumerate(records.verdicts)}
    decisions = {d.task: i for i, d in enumerate(records.decisions)}
    data = {} if records.data is None else {t.task: i for i, t in enumerate(records.data.tasks)}
    isolated = {v.task: i for i, v in enumerate(records.isolated)}
    scores = {s.task: i for i, s in enumerate(records.scores)}
    tasks = {} if records.design is None else {task.name: task for task in records.design.tasks}
    aside = {item.task for item in set_aside(records)}
    names = dict.fromkeys([*tasks, *data, *verdicts, *decisions])
    rows = []
    for name in names:
        if name in aside:
            continue
        verdict = records.verdicts[verdicts[name]] if name in verdicts else None
        task = tasks.get(name)
        metric = task.metric if task is not None else verdict.comparison.metric if verdict else ""
        rows.append(
            TaskRow(
                name=name,
                task=task,
                metric=records.metrics.get(metric),
                data=records.data.tasks[data[name]] if records.data is not None and name in data else None,
                data_at=_at("data.json#/tasks", data.get(name)),
                verdict=verdict,
                verdict_at=_at("verdicts.json#", verdicts.get(name)),
                isolated=records.isolated[isolated[name]] if name in isolated else None,
                isolated_at=_at("isolated.json#", isolated.get(name)),
                decision=records.decisions[decisions[name]] if name in decisions else None,
                decision_at=_at("decisions.json#", decisions.get(name)),
                own=records.scores[scores[name]] if name in scores else None,
                own_at=_at("scores.json#", scores.get(name)),
            )
        )
    return tuple(rows)


def _at(base: str, index: int | None) -> str:
    return "" if index is None else f"{base}/{index}"


def set_aside(records: StudyRecords) -> tuple[SetAside, ...]:
    """Tasks that the study left out."""
    return () if records.data is None else records.data.set_aside


def of_state(rows: Iterable[TaskRow], *states: State) -> list[TaskRow]:
    """The rows whose verdict is one of `states`."""
    return [row for row in rows if row.state in states]


def shared_models(records: StudyRecords, rows: Sequence[TaskRow]) -> dict[tuple[str, str], list[TaskRow]]:
    """The shared models that ship, as (arm, group), with the tasks that each answers."""
    found: dict[tuple[str, str], list[TaskRow]] = {}
    for row in rows:
        if row.decision is not None and row.decision.shared:
            found.setdefault((row.decision.arm, row.decision.group), []).append(row)
    return found


def trained_with(records: StudyRecords, arm: str, group: str) -> tuple[str, ...]:
    """The tasks that a group's model was trained on, which may be more than it answers."""
    plans = [records.arms[arm].plan] if arm in records.arms else []
    if records.summary is not None:
        plans.append(records.summary.plan)
    for plan in plans:
        for one in plan.groups:
            if one.name == group:
                return one.tasks
    return ()
