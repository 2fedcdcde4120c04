"""Calibration against scikit-learn, closed forms and answers of known calibration."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import log_loss

from sharewise.study.calibration import calibration, calibration_error
from sharewise.tasks import Task, TaskKind

N = 4000
BINARY = Task("sick", TaskKind.BINARY, ("sick",), "auroc", classes=("no", "yes"))
GRADE = Task("grade", TaskKind.MULTICLASS, ("grade",), "accuracy", classes=("a", "b", "c"))
PRICE = Task("price", TaskKind.REGRESSION, ("price",), "rmse")


def labelled(truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    column = truth.reshape(len(truth), -1).astype(np.float64)
    return column, np.ones(column.shape, bool)


def test_the_error_is_the_binned_gap_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    p = random.random(N)
    hit = random.random(N) < p**2
    share, stated = calibration_curve(hit, p, n_bins=10, strategy="quantile")
    assert calibration_error(p, hit) == pytest.approx(np.abs(share - stated).mean(), abs=2e-3)


def test_stated_truthfully_it_is_what_chance_makes_of_it_and_log_loss_is_scikit_learns() -> None:
    random = np.random.default_rng(1)
    p = random.beta(2, 3, (N, 1))
    truth = labelled(random.random(N) < p[:, 0])
    found = calibration(BINARY, "arm", True, truth, [p, p], truth, [p, p])
    assert found is not None
    assert (found.n_runs, found.n_rows) == (2, N)
    assert found.ece is not None
    assert found.ece_chance is not None
    assert found.ece < 1.6 * found.ece_chance
    assert found.nll == pytest.approx(log_loss(truth[0][:, 0], p[:, 0]), rel=1e-6)


def test_overstated_it_is_far_above_chance() -> None:
    random = np.random.default_rng(2)
    p = random.beta(2, 2, (N, 1))
    truth = labelled(random.random(N) < p[:, 0])
    sure = p**3 / (p**3 + (1 - p) ** 3)
    found = calibration(BINARY, "arm", True, truth, [sure], truth, [sure])
    assert found is not None
    assert found.ece == pytest.approx(float(np.abs(sure - p).mean()), abs=0.02)
    assert found.ece_chance is not None
    assert found.ece > 4 * found.ece_chance


def test_more_than_two_classes_are_judged_by_the_most_probable_one() -> None:
    random = np.random.default_rng(3)
    p = random.dirichlet((1, 2, 3), N)
    truth = labelled(np.array([random.choice(3, p=row) for row in p]))
    found = calibration(GRADE, "arm", False, truth, [p], truth, [p])
    assert found is not None
    assert found.nll == pytest.approx(log_loss(truth[0][:, 0], p), rel=1e-6)
    assert found.ece == pytest.approx(calibration_error(p.max(1), p.argmax(1) == truth[0][:, 0]), abs=1e-6)
    assert not found.answers


def test_the_interval_of_a_number_holds_nine_of_ten_and_bias_is_in_its_unit() -> None:
    random = np.random.default_rng(4)
    truth, before = random.normal(50, 10, N), random.normal(50, 10, N)
    noise = [random.normal(2, 3, N) for _ in range(2)]
    found = calibration(
        PRICE, "arm", True, labelled(truth), [(truth + noise[0])[:, None]], labelled(before),
        [(before + noise[1])[:, None]],
    )  # fmt: skip
    assert found is not None
    assert found.coverage == pytest.approx(0.9, abs=0.025)
    assert found.bias == pytest.approx(2, abs=0.2)
    assert found.bias_sd == pytest.approx(0.2, abs=0.03)
    assert found.half_width == pytest.approx(np.quantile(np.abs(noise[1]), 0.9), rel=0.01)


def test_too_few_rows_and_other_kinds_say_nothing() -> None:
    few = labelled(np.zeros(5))
    assert calibration(BINARY, "arm", True, few, [np.full((5, 1), 0.5)], few, [np.full((5, 1), 0.5)]) is None
    many = labelled(np.zeros(50))
    rebuilt = Task("again", TaskKind.RECONSTRUCTION, ("x",), "nrmse")
    assert calibration(rebuilt, "arm", True, many, [many[0]], many, [many[0]]) is None
