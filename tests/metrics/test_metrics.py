"""Metrics against scikit-learn, and their per-row values against brute force and DeLong written out."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import sklearn.metrics as sk
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

from sharewise.metrics import CATALOGUE, default_metric, metric
from sharewise.metrics.base import Array
from sharewise.tasks import TaskKind

SMALL = settings(max_examples=15, deadline=None)


def everything(truth: Array) -> Array:
    return np.ones(truth.shape, dtype=bool)


@st.composite
def binary(draw: st.DrawFn, low: int = 6, high: int = 30) -> tuple[Array, Array]:
    n = draw(st.integers(low, high))
    truth = np.array(draw(st.lists(st.integers(0, 1), min_size=n, max_size=n)), dtype=float)
    truth[:4] = [0, 1, 0, 1]
    grid = draw(st.sampled_from([3, 8, 1000]))  # coarse grids make ties
    p = np.array(draw(st.lists(st.integers(0, grid), min_size=n, max_size=n))) / grid
    return truth[:, None], p[:, None].astype(np.float32)


@st.composite
def multiclass(draw: st.DrawFn) -> tuple[Array, Array]:
    seed = draw(st.integers(0, 2**31))
    rng = np.random.default_rng(seed)
    n_classes = draw(st.integers(2, 5))
    n = draw(st.integers(3 * n_classes, 40))
    truth = rng.integers(0, n_classes, n)
    truth[: 3 * n_classes] = np.tile(np.arange(n_classes), 3)
    p = rng.dirichlet(np.ones(n_classes), n) + np.eye(n_classes)[truth] * rng.uniform(0, 1)
    p = np.round(p / p.sum(1, keepdims=True), draw(st.sampled_from([1, 6]))) + 1e-3
    return truth[:, None].astype(float), (p / p.sum(1, keepdims=True)).astype(np.float32)


@st.composite
def multilabel(draw: st.DrawFn) -> tuple[Array, Array, Array]:
    seed = draw(st.integers(0, 2**31))
    rng = np.random.default_rng(seed)
    n, labels = draw(st.integers(12, 40)), draw(st.integers(2, 4))
    truth = (rng.random((n, labels)) < 0.4).astype(float)
    truth[:4] = np.array([0, 1, 0, 1])[:, None]
    present = rng.random((n, labels)) < draw(st.sampled_from([0.5, 1.0]))
    present[:4] = True
    grid = draw(st.sampled_from([4, 1000]))
    return truth, present, (np.round(rng.random((n, labels)) * grid) / grid).astype(np.float32)


@st.composite
def regression(draw: st.DrawFn, columns: int = 1) -> tuple[Array, Array]:
    seed = draw(st.integers(0, 2**31))
    rng = np.random.default_rng(seed)
    n = draw(st.integers(5, 40))
    truth = rng.normal(size=(n, columns)) * 10
    p = truth + rng.normal(size=(n, columns)) * draw(st.sampled_from([0.1, 5.0]))
    if draw(st.booleans()):
        truth, p = np.round(truth / 5), np.round(p / 5)
    truth[:4] = np.array([-7, -7, 7, 7])[:, None]
    return truth, p.astype(np.float32)


def check_rows(name: str, truth: Array, present: Array, p: Array, *, brute: bool = True) -> None:
    """Mean of the rows is the score; a non-linear metric's rows are the brute-force jackknife's."""
    m = metric(name)
    score, rows = m.score(truth, present, p), m.per_row(truth, present, p)
    if score is None or rows is None:
        return
    assert rows.mean() ** m.power == pytest.approx(score, abs=1e-10)
    if not brute:
        return
    n = len(truth)
    without = []
    for i in range(n):
        keep = np.arange(n) != i
        value = m.score(truth[keep], present[keep], p[keep])
        assert value is not None
        without.append(value ** (1 / m.power))
    loo = np.array(without)
    expected = rows.mean() + (n - 1) * (loo.mean() - loo)
    np.testing.assert_allclose(rows, expected, atol=1e-8)


# --- scores against scikit-learn --------------------------------------------------------------------------


def clipped(q: Array) -> Array:
    """Probabilities off 0 and 1 by single precision's step, as scikit-learn clips them, but summed in double."""
    step = float(np.finfo(np.float32).eps)
    made: Array = np.clip(q.astype(np.float64), step, 1 - step)
    return made


@SMALL
@given(binary())
@example(
    (
        np.array([[0.0], [1.0], [0.0], [1.0], [1.0], [1.0]]),
        np.array([[0.0], [0.0], [2 / 3], [1 / 3], [0.0], [0.0]], dtype=np.float32),
    )
)
def test_binary_scores_are_scikit_learns(case: tuple[Array, Array]) -> None:
    truth, p = case
    y, q, c = truth[:, 0], p[:, 0].astype(float), (p[:, 0] > 0.5).astype(int)
    expected = {
        "auroc": sk.roc_auc_score(y, q),
        "average_precision": sk.average_precision_score(y, q),
        "accuracy": sk.accuracy_score(y, c),
        "balanced_accuracy": sk.balanced_accuracy_score(y, c),
        "f1": sk.f1_score(y, c),
        "f1_macro": sk.f1_score(y, c, average="macro"),
        "log_loss": sk.log_loss(y, clipped(q)),
        "brier": sk.brier_score_loss(y, q),
        "quadratic_kappa": sk.cohen_kappa_score(y, c, weights="quadratic"),
    }
    for name, value in expected.items():
        assert metric(name).score(truth, everything(truth), p) == pytest.approx(value, abs=1e-6), name


@SMALL
@given(multiclass())
def test_multiclass_scores_are_scikit_learns(case: tuple[Array, Array]) -> None:
    truth, p = case
    y, c, n_classes = truth[:, 0].astype(int), p.argmax(1), p.shape[1]
    classes = np.arange(n_classes)
    expected = {
        "accuracy": sk.accuracy_score(y, c),
        "balanced_accuracy": sk.balanced_accuracy_score(y, c),
        "f1_macro": sk.f1_score(y, c, average="macro", labels=classes),
        "f1_micro": sk.f1_score(y, c, average="micro"),
        "log_loss": sk.log_loss(y, p, labels=classes),
        "brier": 0.5 * ((p.astype(float) - np.eye(n_classes)[y]) ** 2).sum(1).mean(),
        "quadratic_kappa": sk.cohen_kappa_score(y, c, weights="quadratic", labels=classes),
        "auroc": np.mean([sk.roc_auc_score(y == k, p[:, k]) for k in classes]),
        "average_precision": np.mean([sk.average_precision_score(y == k, p[:, k]) for k in classes]),
    }
    for name, value in expected.items():
        # The reference sums in the predictions' single precision.
        made = metric(name).score(truth, everything(truth), p)
        assert made == pytest.approx(value, rel=1e-6, abs=1e-6), name


@SMALL
@given(multilabel())
def test_multilabel_scores_are_means_over_labels_of_present_cells(case: tuple[Array, Array, Array]) -> None:
    truth, present, p = case
    columns = [(truth[m, k], p[m, k].astype(float)) for k in range(truth.shape[1]) for m in [present[:, k]]]
    expected = {
        "auroc": np.mean([sk.roc_auc_score(y, q) for y, q in columns]),
        "average_precision": np.mean([sk.average_precision_score(y, q) for y, q in columns]),
        "accuracy": np.mean([sk.accuracy_score(y, q > 0.5) for y, q in columns]),
        "balanced_accuracy": np.mean([sk.balanced_accuracy_score(y, q > 0.5) for y, q in columns]),
        "f1_macro": np.mean([sk.f1_score(y, q > 0.5) for y, q in columns]),
        "f1_micro": sk.f1_score(truth[present], p[present] > 0.5),
        "log_loss": np.mean([sk.log_loss(y, clipped(q)) for y, q in columns]),
        "brier": np.mean([sk.brier_score_loss(y, q) for y, q in columns]),
    }
    for name, value in expected.items():
        assert metric(name).score(truth, present, p) == pytest.approx(value, abs=1e-6), name


@SMALL
@given(regression())
def test_regression_scores_are_scikit_learns(case: tuple[Array, Array]) -> None:
    truth, p = case
    y, q = truth[:, 0], p[:, 0].astype(float)
    expected = {
        "rmse": sk.root_mean_squared_error(y, q),
        "nrmse": sk.root_mean_squared_error(y, q) / y.std(),
        "mae": sk.mean_absolute_error(y, q),
        "r2": sk.r2_score(y, q),
    }
    if np.ptp(q) > 0:
        expected["spearman"] = stats.spearmanr(y, q).statistic
    for name, value in expected.items():
        assert metric(name).score(truth, everything(truth), p) == pytest.approx(value, rel=1e-6), name


@SMALL
@given(regression(columns=3))
def test_reconstruction_averages_columns_free_of_units(case: tuple[Array, Array]) -> None:
    truth, p = case
    mse = ((truth - p) ** 2).mean(0)
    assert metric("nrmse").score(truth, everything(truth), p) == pytest.approx(np.sqrt((mse / truth.var(0)).mean()))
    assert metric("rmse").score(truth, everything(truth), p) == pytest.approx(np.sqrt(mse.mean()))
    scale = np.array([1.0, 1e-3, 1e4])
    scaled = metric("nrmse").score(truth * scale, everything(truth), p * scale)
    assert scaled == pytest.approx(metric("nrmse").score(truth, everything(truth), p))


# --- per-row values ---------------------------------------------------------------------------------------

NOT_JACKKNIFE = {"auroc", "nrmse"}  # DeLong's components, and variances taken as given


@SMALL
@given(binary())
def test_binary_rows_are_the_brute_force_jackknife(case: tuple[Array, Array]) -> None:
    truth, p = case
    for name in CATALOGUE:
        if TaskKind.BINARY in metric(name).kinds:
            check_rows(name, truth, everything(truth), p, brute=name not in NOT_JACKKNIFE)


@SMALL
@given(multiclass())
def test_multiclass_rows_are_the_brute_force_jackknife(case: tuple[Array, Array]) -> None:
    truth, p = case
    for name in CATALOGUE:
        if TaskKind.MULTICLASS in metric(name).kinds:
            check_rows(name, truth, everything(truth), p, brute=name not in NOT_JACKKNIFE)


@SMALL
@given(regression())
def test_regression_rows_are_the_brute_force_jackknife(case: tuple[Array, Array]) -> None:
    truth, p = case
    for name in CATALOGUE:
        if TaskKind.REGRESSION in metric(name).kinds:
            check_rows(name, truth, everything(truth), p, brute=name not in NOT_JACKKNIFE)


@SMALL
@given(multilabel())
def test_multilabel_rows_are_the_jackknife_where_every_cell_is_present(case: tuple[Array, Array, Array]) -> None:
    truth, present, p = case
    for name in CATALOGUE:
        if TaskKind.MULTILABEL in metric(name).kinds:
            check_rows(name, truth, present, p, brute=bool(present.all()) and name not in NOT_JACKKNIFE)


def test_macro_classes_of_a_single_row_leave_with_it() -> None:
    rng = np.random.default_rng(0)
    truth = np.array([0] * 6 + [1] * 5 + [2])[:, None].astype(float)
    p = rng.dirichlet(np.ones(4), 12).astype(np.float32)
    for name in ("f1_macro", "balanced_accuracy"):
        check_rows(name, truth, everything(truth), p)


def delong_variance(y: Array, p: Array) -> float:
    """DeLong 1988 written out pair by pair."""
    positive, negative = p[y == 1], p[y == 0]
    psi = (positive[:, None] > negative[None, :]) + 0.5 * (positive[:, None] == negative[None, :])
    return float(psi.mean(1).var(ddof=1) / len(positive) + psi.mean(0).var(ddof=1) / len(negative))


@SMALL
@given(binary())
def test_auroc_rows_carry_delongs_variance(case: tuple[Array, Array]) -> None:
    truth, p = case
    rows = metric("auroc").per_row(truth, everything(truth), p)
    assert rows is not None
    assert rows.var(ddof=1) / len(rows) == pytest.approx(delong_variance(truth[:, 0], p[:, 0]), abs=1e-12)


def test_a_macro_mean_keeps_each_labels_own_variance_where_cells_are_missing() -> None:
    rng = np.random.default_rng(1)
    truth = (rng.random((60, 2)) < 0.5).astype(float)
    p = rng.random((60, 2)).astype(np.float32)
    present = np.zeros((60, 2), dtype=bool)
    present[:35, 0] = present[35:, 1] = True  # disjoint labels: variances add
    rows = metric("auroc").per_row(truth, present, p)
    assert rows is not None
    parts = [delong_variance(truth[present[:, k], k], p[present[:, k], k]) for k in (0, 1)]
    assert rows.var(ddof=1) / 60 == pytest.approx(sum(parts) / 4, rel=1e-9)


# --- what is undefined ------------------------------------------------------------------------------------

BY_CLASS = sorted(
    set(CATALOGUE) - {"rmse", "nrmse", "mae", "r2", "spearman", "f1_micro", "token_accuracy", "entity_f1"}
)


@pytest.mark.parametrize("name", BY_CLASS)
def test_one_class_or_one_row_is_undefined_not_a_crash(name: str) -> None:
    m = metric(name)
    p = np.linspace(0.1, 0.9, 6, dtype=np.float32)[:, None]
    one_class, mask = np.ones((6, 1)), np.ones((6, 1), dtype=bool)
    if m.name not in ("accuracy", "log_loss", "brier"):
        assert m.score(one_class, mask, p) is None
        assert m.per_row(one_class, mask, p) is None
    lonely = mask.copy()
    lonely[1:] = False
    assert m.score(one_class, lonely, p) is None
    assert m.per_row(one_class, lonely, p) is None
    assert m.score(one_class, ~mask, p) is None


@pytest.mark.parametrize("name", ["rmse", "nrmse", "mae", "r2", "spearman"])
def test_constant_target_and_overflow_are_undefined_not_a_crash(name: str) -> None:
    m = metric(name)
    truth, mask = np.full((6, 1), 3.0), np.ones((6, 1), dtype=bool)
    p = np.linspace(0, 1, 6)[:, None]
    assert (m.score(truth, mask, p) is None) == (name in ("nrmse", "r2", "spearman"))
    truth[0] = 1e300
    assert m.per_row(truth, mask, p) is None or np.isfinite(m.per_row(truth, mask, p)).all()
    p[2] = np.nan
    assert m.score(truth, mask, p) is None
    assert m.per_row(truth, mask, p) is None


def test_labels_that_are_absent_are_never_read() -> None:
    rng = np.random.default_rng(2)
    truth, p = rng.integers(0, 2, (20, 1)).astype(float), rng.random((20, 1)).astype(np.float32)
    truth[:4, 0] = [0, 1, 0, 1]
    present = np.ones((20, 1), dtype=bool)
    present[15:] = False
    for name in BY_CLASS:
        full = metric(name).score(truth[:15], present[:15], p[:15])
        holes = truth.copy()
        holes[15:] = np.nan
        predicted = p.copy()
        predicted[15:] = np.nan
        assert metric(name).score(holes, present, predicted) == full
        rows = metric(name).per_row(holes, present, predicted)
        assert rows is None or len(rows) == 15


def test_shapes_that_do_not_fit_are_named() -> None:
    with pytest.raises(ValueError, match="same rows"):
        metric("rmse").score(np.zeros((3, 1)), np.ones((3, 1), bool), np.zeros((4, 1)))
    with pytest.raises(ValueError, match="2 columns"):
        metric("auroc").score(np.zeros((3, 2)), np.ones((3, 2), bool), np.zeros((3, 3)))
    with pytest.raises(ValueError, match="2-D"):
        metric("auroc").score(np.zeros(3), np.ones(3, bool), np.zeros(3))


# --- the family -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_every_metric_declares_what_the_study_needs(name: str) -> None:
    m = metric(name)
    assert m.name == name
    assert m.title
    assert m.kinds
    assert m.effect in ("ratio", "log_ratio", "points")
    assert m.bigger_is_better == (m.effect != "log_ratio")
    better, worse = (0.8, 0.7) if m.bigger_is_better else (0.7, 0.8)
    gain = m.effect_of(worse, better)
    assert gain is not None
    assert gain > 0
    assert "margin of 0.02" in (type(m).__doc__ or "") or name in ("f1_macro",)


@pytest.mark.parametrize("kind", list(TaskKind))
def test_default_metric_answers_its_kind(kind: TaskKind) -> None:
    assert kind in metric(default_metric(kind)).kinds


def test_an_unknown_metric_offers_the_nearest_name() -> None:
    with pytest.raises(KeyError, match="auroc"):
        metric("auroccc")


def test_a_ratio_to_nothing_has_no_value() -> None:
    assert metric("accuracy").effect_of(0.0, 0.5) is None
    assert metric("rmse").effect_of(0.0, 0.5) is None


def test_choosing_a_metric_loads_neither_numpy_nor_scikit_learn() -> None:
    names = "print(sorted({'numpy', 'sklearn', 'torch'} & set(sys.modules)))"
    for code, loaded in (("m.CATALOGUE['auroc']", "[]"), ("[m.metric(n) for n in m.CATALOGUE]", "['numpy']")):
        done = subprocess.run(
            [sys.executable, "-c", f"import sys, sharewise.metrics as m; {code}; {names}"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == loaded
