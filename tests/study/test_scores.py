"""A score by itself: its interval against closed forms, and how often it holds the truth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from sharewise.study.compare import Pair
from sharewise.study.scores import own_scores
from sharewise.tasks import Task, TaskKind

RIGHT = Task("t", TaskKind.BINARY, ("t",), "accuracy", classes=("no", "yes"))
SIZE = Task("t", TaskKind.REGRESSION, ("t",), "rmse")


def pair(task: Task, truth: np.ndarray, runs: list[np.ndarray], **other: Any) -> Pair:
    truth = truth[:, None]
    return Pair(task, truth, np.ones_like(truth, bool), "b", "c", [r[:, None] for r in runs], [], **other)


def test_one_sure_run_has_the_interval_of_a_share() -> None:
    random = np.random.default_rng(1)
    truth = random.integers(0, 2, 500)
    answers = np.where(random.random(500) < 0.8, truth, 1 - truth).astype(float)
    (found,) = own_scores([pair(RIGHT, truth, [answers], baseline_deterministic=True)])
    share = float((answers == truth).mean())
    assert found.score == pytest.approx(share)
    assert found.high - share == pytest.approx(1.645 * (share * (1 - share) / 499) ** 0.5, rel=0.01)
    assert found.low - share == pytest.approx(share - found.high)
    assert (found.arm, found.n_rows, found.n_entities) == ("b", 500, None)


def test_ends_stay_where_a_score_can_be() -> None:
    truth = np.arange(60) % 2
    (found,) = own_scores([pair(RIGHT, truth, [np.where(np.arange(60) == 7, 1 - truth, truth)] * 2)])
    assert found.low < found.score < found.high == 1.0


@pytest.mark.parametrize("entities", [0, 60])
def test_it_holds_the_truth_as_often_as_it_says(entities: int) -> None:
    """Squared errors with run luck: what is told of the RMSE holds the root of their expectation 90 times of 100."""
    random, hits, n, studies = np.random.default_rng(5), 0, 240, 400
    clusters = np.arange(n) % entities if entities else None
    for _ in range(studies):
        luck = random.normal(0, 0.25, size=4)
        own = random.normal(size=entities)[clusters] if entities else 0.0
        runs = [own + random.normal(size=n) + bias for bias in luck]
        (found,) = own_scores([pair(SIZE, np.zeros(n), runs, clusters=clusters)])
        truth = (1 + bool(entities) + 0.25**2) ** 0.5
        hits += found.low <= truth <= found.high
    assert stats.binomtest(hits, studies, 0.9).pvalue > 0.001


def test_a_model_that_answers_every_row_alike_has_a_score_without_luck() -> None:
    task = Task("t", TaskKind.BINARY, ("t",), "auroc", classes=("no", "yes"))
    (made,) = own_scores([pair(task, np.arange(40.0) % 2, [np.full(40, 0.5)] * 3)])
    assert (made.score, made.low, made.high) == (0.5, 0.5, 0.5)


def test_without_runs_or_a_defined_score_there_is_none() -> None:
    truth = np.arange(9) % 2
    assert own_scores([pair(RIGHT, truth, [])]) == ()
    assert own_scores([pair(SIZE, truth, [np.full(9, np.nan)])]) == ()


def test_one_run_of_a_model_with_luck_has_a_wide_interval() -> None:
    random = np.random.default_rng(2)
    truth, errors = np.zeros(4000), random.normal(size=4000)
    (sure,) = own_scores([pair(SIZE, truth, [errors], baseline_deterministic=True)])
    (unsure,) = own_scores([pair(SIZE, truth, [errors])])
    assert unsure.high - unsure.low > 4 * (sure.high - sure.low)
