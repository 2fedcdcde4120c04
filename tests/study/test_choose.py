"""What validation rows decide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from sharewise.records import Comparison, Phase, RunRecord, Status
from sharewise.study import choose
from sharewise.tasks import Task, TaskKind, TaskSet

TASKS = TaskSet(
    (
        Task("big", TaskKind.REGRESSION, ("big",), "rmse"),
        Task("sure", TaskKind.BINARY, ("sure",), "auroc", classes=(0, 1)),
    )
)


def record(trial: int, big: float | None, sure: float | None, status: Status = Status.DONE) -> RunRecord:
    scores = {"big": big, "sure": sure}
    names = ("big", "sure")
    return RunRecord(f"r{trial}", "together", "together", Phase.TUNE, names, 0, trial, {}, status, validation=scores)


def test_trials_are_compared_on_each_metrics_own_scale() -> None:
    """A 10 % smaller error in the hundreds does not outweigh a 30 % worse AUROC."""
    assert choose.best_trial([record(0, 500.0, 0.9), record(1, 450.0, 0.63)], TASKS) == 0
    assert choose.best_trial([record(0, 500.0, 0.8), record(1, 450.0, 0.79)], TASKS) == 1


def test_ties_and_failures_go_to_the_default() -> None:
    assert choose.best_trial([record(1, 1.0, 0.9), record(0, 1.0, 0.9)], TASKS) == 0
    assert choose.best_trial([record(0, 1.0, 0.9), record(1, 0.1, 1.0, Status.DIVERGED)], TASKS) == 0
    assert choose.best_trial([record(0, 1.0, 0.9, Status.FAILED)], TASKS) == 0
    assert choose.best_trial([record(0, 1.0, 0.9), record(1, 0.9, None)], TASKS) == 0


@pytest.mark.parametrize(("metric", "winner"), [("rmse", "linear"), ("auroc", "single")])
def test_the_best_single_arm_has_the_best_mean_score_in_the_metrics_direction(metric: str, winner: str) -> None:
    scores: dict[str, list[float | None]] = {"single": [0.9, 0.7], "lightgbm": [0.95, None], "linear": [0.6]}
    assert choose.best_single(scores, metric, ["single", "lightgbm", "linear"]) == winner


def comparison(task: str, effect: float, half: float = 0.0) -> Comparison:
    low, high = effect - half, effect + half
    return Comparison(
        task, "rmse", "relative", "single", "plan", 1.0, 1.0, effect, low, high, 0.02, 9.0, 1e-4, 0.0, 0.0, 100, 1, 1
    )


def chosen(plans: dict[str, list[Comparison]], n_tasks: int, primary: Sequence[str] = ()) -> str:
    return choose.most_promising(choose.promises(plans, n_tasks, primary), list(plans))


def test_the_plan_with_the_largest_mean_change_is_tried() -> None:
    plans = {
        "together": [comparison("a", 0.01), comparison("b", -0.05)],
        "pairs": [comparison("a", 0.01), comparison("b", 0.0)],
    }
    assert chosen(plans, 2) == "pairs"


def test_a_plan_that_shares_little_is_not_preferred_for_what_it_leaves_alone() -> None:
    few = [comparison("a", 0.02)]
    many = [comparison(task, 0.015) for task in "abcd"]
    assert chosen({"few": few, "many": many}, 4) == "many"


def test_one_small_task_cannot_carry_a_plan_and_ties_go_to_the_first() -> None:
    # Its few rows leave its 30 % open by 40 points either way; the other task's are many.
    lucky = [comparison("a", 0.3, 0.4), comparison("b", -0.06)]
    steady = [comparison("a", 0.0), comparison("b", 0.0)]
    assert chosen({"steady": steady, "lucky": lucky}, 2) == "steady"
    assert chosen({"steady": steady, "same": steady}, 2) == "steady"
    # The same changes, and the first of them known well: what is gained counts in full.
    assert chosen({"steady": steady, "sure": [comparison("a", 0.3), comparison("b", -0.06)]}, 2) == "sure"


def test_a_forecast_counts_for_half() -> None:
    plans = {"one": [comparison("a", 0.04)], "other": [comparison("a", 0.06)]}
    assert chosen(plans, 1) == "other"
    found = choose.promises(plans, 1, forecasts={"one": {"a": 6.0}, "other": {"a": 1.0}})
    # 0.04 and 0.06 are two and three margins, which one task's prior pulls only a little.
    assert found["one"] == pytest.approx((2 + 6) / 2, abs=0.1)
    assert found["other"] == pytest.approx((3 + 1) / 2, abs=0.1)
    assert choose.promises({"none": []}, 1) == {}
    assert choose.most_promising({}, ["none", "neither"]) == "none"


def test_a_primary_task_decides_alone() -> None:
    plans = {
        "for all": [comparison("main", -0.01), comparison("b", 0.05)],
        "for main": [comparison("main", 0.01), comparison("b", -0.05)],
        "without": [comparison("b", 0.06)],
    }
    assert chosen(plans, 2) == "without"
    assert chosen(plans, 2, ["main"]) == "for main"
    assert chosen({"without": plans["without"]}, 2, ["main"]) == "without"
    sure = TaskSet((TASKS.tasks[0], replace(TASKS.tasks[1], primary=True)))
    trials = [record(0, 500.0, 0.8), record(1, 400.0, 0.79)]
    assert choose.best_trial(trials, TASKS) == 1
    assert choose.best_trial(trials, sure) == 0
