"""Solvers against closed forms and scikit-learn; weights folded back to the raw blocks."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression, Ridge

from sharewise.batch import Inputs
from sharewise.models.design import Design, Scaling
from sharewise.models.path import ALPHAS, fit_path
from sharewise.models.single import Problem
from sharewise.models.solve import DescentPath, NewtonPath, RidgePath, loss_and_slope

DRAW = np.random.default_rng(0)
DENSE = DRAW.normal(size=(150, 5))
BITS = (DRAW.random((150, 12)) < 0.15).astype(float)
X = np.hstack([DENSE, BITS])
MIXED = Design((DENSE, sparse.csr_matrix(BITS)))
NUMBER = X[:, 0] - 0.5 * X[:, 6] + 0.1 * DRAW.normal(size=150) + 3.0
YES = (NUMBER + DRAW.normal(size=150) > 3.0).astype(float)
CODE = np.digitize(NUMBER, [2.0, 4.0]).astype(float)
WEIGHT = np.where(YES > 0, 2.0, 1.0)


@pytest.mark.parametrize("alpha", [0.1, 1.0, 100.0])
class TestAgainstScikitLearn:
    def test_ridge_narrow_and_wide(self, alpha):
        for rows in (slice(None), slice(0, 10)):
            weights, intercept = RidgePath(MIXED.at(np.arange(150)[rows]), NUMBER[rows]).at(alpha)
            expected = Ridge(alpha=alpha).fit(X[rows], NUMBER[rows])
            np.testing.assert_allclose(weights[:, 0], expected.coef_, atol=1e-8)
            np.testing.assert_allclose(intercept, expected.intercept_, atol=1e-8)

    def test_ridge_by_lbfgs(self, alpha):
        path = DescentPath(MIXED, NUMBER, np.ones(150), "squared", 1)
        weights = path.at(alpha)[0]
        np.testing.assert_allclose(weights[:, 0], Ridge(alpha=alpha).fit(X, NUMBER).coef_, atol=2e-3)

    def test_logistic(self, alpha):
        expected = LogisticRegression(C=1 / alpha, tol=1e-10, max_iter=2000).fit(X, YES, WEIGHT)
        newton, intercept = NewtonPath(MIXED, YES, WEIGHT).at(alpha)
        np.testing.assert_allclose(newton[:, 0], expected.coef_[0], atol=1e-3)
        np.testing.assert_allclose(intercept, expected.intercept_, atol=1e-3)
        other = DescentPath(MIXED, YES, WEIGHT, "logistic", 1).at(alpha)[0]
        np.testing.assert_allclose(other[:, 0], expected.coef_[0], atol=2e-2)

    def test_softmax(self, alpha):
        expected = LogisticRegression(C=1 / alpha, tol=1e-10, max_iter=2000).fit(X, CODE)
        weights = DescentPath(MIXED, CODE, np.ones(150), "softmax", 3).at(alpha)[0]
        np.testing.assert_allclose(weights.T, expected.coef_, atol=3e-2)


@pytest.mark.parametrize("loss", ["squared", "logistic", "softmax"])
def test_slopes_are_derivatives(loss):
    y = {"squared": NUMBER, "logistic": YES, "softmax": CODE}[loss][:6]
    linear = DRAW.normal(size=(6, 3 if loss == "softmax" else 1))
    slope = loss_and_slope(loss, linear.copy(), y)[1]
    for s in range(linear.shape[1]):
        step = np.zeros_like(linear)
        step[:, s] = 1e-5
        up, down = (loss_and_slope(loss, linear + sign * step, y)[0] for sign in (1, -1))
        np.testing.assert_allclose((up - down) / 2e-5, slope[:, s], atol=1e-7)


@pytest.mark.parametrize("n_bins", [0, 5])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_folded_weights_answer_like_the_design(n_bins, dtype):
    numeric = np.float32(DENSE) * 40 + 1000
    numeric[:, 2] = 1e8
    inputs = Inputs(
        {
            "numeric": numeric,
            "categorical": DRAW.integers(0, 3, (150, 2)).astype(np.int32),
            "embedding": (BITS * (1 if dtype is np.uint8 else 0.3)).astype(dtype),
        }
    )
    rows = np.arange(100)
    scaling = Scaling.of(inputs, rows, n_bins, 0.5)
    design = scaling.design(inputs, np.arange(150))
    weights = DRAW.normal(size=(sum(design.widths), 2))
    folded = scaling.fold(weights, np.array([0.5, -1.0]), inputs)
    expected = design.times(weights) + np.array([0.5, -1.0])
    np.testing.assert_allclose(folded.linear(inputs), expected, atol=1e-3)
    np.testing.assert_allclose(design.gram(), design.dense().T @ design.dense(), rtol=1e-6, atol=1e-8)


def test_more_rows_than_the_path_reads_are_all_used_in_the_end():
    n = 12_000
    numeric = DRAW.normal(size=(n, 2)).astype(np.float32)
    inputs = Inputs({"numeric": numeric, "categorical": DRAW.integers(0, 80, (n, 1)).astype(np.int32)})
    y = (numeric[:, 0] + DRAW.normal(size=n) > 0).astype(float)
    rows = np.arange(n)
    problem = Problem("logistic", 0, rows[300:], y[300:], np.ones(n - 300), rows[:300], y[:300], np.ones(300))
    made = fit_path(inputs, problem, n_bins=0, embedding_scale=1.0, seed=0)
    answers = made.linear(inputs)[300:, 0]
    # The intercept is not penalised: at the optimum over all rows the mean answer is the mean label.
    assert np.mean(0.5 * (1 + np.tanh(answers / 2))) == pytest.approx(y[300:].mean(), abs=1e-3)
    assert list(ALPHAS) == sorted(ALPHAS, reverse=True)
