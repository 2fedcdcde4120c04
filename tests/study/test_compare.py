"""Comparisons against the two-way formulas written out cell by cell, and against planted variances."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from sharewise.metrics import metric
from sharewise.metrics.base import Array
from sharewise.records import Comparison, from_json, to_json
from sharewise.study.compare import ASSUMED_RUN_SD, Pair, Unavailable, compare, compare_all, parts
from sharewise.study.judge import p_no_harm
from sharewise.tasks import Task, TaskKind

BINARY = Task("t", TaskKind.BINARY, ("t",), "accuracy", classes=(0, 1))
REGRESSION = Task("r", TaskKind.REGRESSION, ("r",), "rmse")


def done(result: Comparison | Unavailable) -> Comparison:
    assert isinstance(result, Comparison), result
    return result


def refused(result: Comparison | Unavailable) -> Unavailable:
    assert isinstance(result, Unavailable), result
    return result


def binary_pair(n: int = 400, runs: tuple[int, int] = (3, 3), seed: int = 0, task: Task = BINARY) -> Pair:
    rng = np.random.default_rng(seed)
    truth = (rng.random((n, 1)) < 0.4).astype(float)
    truth[:4, 0] = [0, 1, 0, 1]
    base = 1.5 * (truth - 0.4) + rng.normal(size=(n, 1))

    def arm(count: int) -> list[Array]:
        return [
            (1 / (1 + np.exp(-base - 0.4 * rng.normal(size=(n, 1)) - 0.1 * rng.normal()))).astype(np.float32)
            for _ in range(count)
        ]

    return Pair(task, truth, np.ones((n, 1), bool), "single", "together", arm(runs[0]), arm(runs[1]))


def regression_pair(n: int = 300, runs: int = 3, seed: int = 0) -> Pair:
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=(n, 1)) * 5

    def arm() -> list[Array]:
        return [(truth + rng.normal(size=(n, 1)) * rng.uniform(0.9, 1.1)).astype(np.float32) for _ in range(runs)]

    return Pair(REGRESSION, truth, np.ones((n, 1), bool), "single", "together", arm(), arm())


# --- the formulas -----------------------------------------------------------------------------------------


def test_every_part_is_what_the_two_way_layout_says() -> None:
    pair = binary_pair(n=50, runs=(3, 4))
    c = done(compare(pair))
    x = {
        "b": np.array([[float((p[i, 0] > 0.5) == pair.truth[i, 0]) for i in range(50)] for p in pair.baseline]),
        "m": np.array([[float((p[i, 0] > 0.5) == pair.truth[i, 0]) for i in range(50)] for p in pair.candidate]),
    }
    b, m, n = x["b"].mean(), x["m"].mean(), 50
    assert c.effect == pytest.approx(m / b - 1)
    assert (c.baseline_score, c.candidate_score) == (pytest.approx(b), pytest.approx(m))
    y = {"b": m / b * x["b"] / b, "m": x["m"] / b}
    spread = [np.mean(y["m"][:, i]) - np.mean(y["b"][:, i]) for i in range(n)]
    assert c.var_rows == pytest.approx(np.var(spread, ddof=1) / n)
    raw, net = {}, {}
    for arm, value in y.items():
        runs = len(value)
        residual = 0.0
        for s in range(runs):
            for i in range(n):
                residual += (value[s, i] - value[s].mean() - value[:, i].mean() + value.mean()) ** 2
        interaction = residual / ((runs - 1) * (n - 1))
        raw[arm] = np.var(value.mean(1), ddof=1) / runs
        net[arm] = max(0.0, raw[arm] - interaction / (runs * n))
    assert (c.var_baseline, c.var_candidate) == (pytest.approx(net["b"]), pytest.approx(net["m"]))
    total = c.var_rows + net["b"] + net["m"]
    excess = max(stats.kurtosis(spread), 0.0)
    df_rows = 2 / (2 / (n - 1) + excess / n)
    df = total**2 / (c.var_rows**2 / df_rows + raw["b"] ** 2 / 2 + raw["m"] ** 2 / 3)
    assert c.df == pytest.approx(df)
    half = stats.t.ppf(0.95, df) * np.sqrt(total)
    assert (c.low, c.high) == (pytest.approx(c.effect - half), pytest.approx(c.effect + half))
    assert c.standard_error == pytest.approx(np.sqrt(total))


@pytest.mark.parametrize("name", ["auroc", "f1", "average_precision", "log_loss", "brier", "quadratic_kappa"])
def test_effect_is_that_of_the_mean_scores(name: str) -> None:
    pair = binary_pair(task=replace(BINARY, metric=name))
    c = done(compare(pair))
    m = metric(name)
    scores = [
        float(np.mean([m.score(pair.truth, pair.present, p) for p in runs])) for runs in (pair.baseline, pair.candidate)
    ]
    assert c.effect == pytest.approx(m.effect_of(*scores))
    assert c.scale == m.scale
    assert c.baseline_run_scores == pytest.approx([m.score(pair.truth, pair.present, p) for p in pair.baseline])


def test_rmse_is_half_the_log_ratio_of_mean_squared_errors() -> None:
    pair = regression_pair()
    c = done(compare(pair))
    mse = [np.mean([(p - pair.truth) ** 2 for p in runs]) for runs in (pair.baseline, pair.candidate)]
    assert c.effect == pytest.approx(0.5 * np.log(mse[0] / mse[1]))
    assert c.baseline_score == pytest.approx(np.sqrt(mse[0]))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.01, 100.0))
def test_exchanging_the_arms_flips_the_interval_and_units_do_not_matter(seed: int, unit: float) -> None:
    pair = regression_pair(seed=seed, n=40)
    c = done(compare(pair))
    d = done(compare(replace(pair, baseline=pair.candidate, candidate=pair.baseline)))
    assert d.effect == pytest.approx(-c.effect, abs=1e-12)
    assert d.low == pytest.approx(-c.high, abs=2e-3)  # but for the floor, which is the baseline's
    scaled = replace(
        pair,
        truth=pair.truth * unit,
        baseline=[p.astype(float) * unit for p in pair.baseline],
        candidate=[p.astype(float) * unit for p in pair.candidate],
    )
    s = done(compare(scaled))
    assert (s.effect, s.low, s.df) == (pytest.approx(c.effect), pytest.approx(c.low), pytest.approx(c.df))


def test_parts_estimate_planted_variances() -> None:
    rng = np.random.default_rng(5)
    n, runs, reps = 80, 4, 800
    kind = metric("r2")  # points: nothing is linearised
    rows_sd, run_sd, churn_sd = 1.0, 0.1, 0.5
    found = np.zeros((reps, 3))
    effects = np.zeros(reps)
    for k in range(reps):
        arms = [
            rows_sd * rng.normal(size=n) + run_sd * rng.normal(size=(runs, 1)) + churn_sd * rng.normal(size=(runs, n))
            for _ in range(2)
        ]
        p = parts(kind, arms[0], arms[1])
        assert not isinstance(p, str)
        effects[k] = p.effect
        found[k] = (
            p.var_rows,
            p.baseline.variance / runs - p.baseline.interaction,
            p.candidate.variance / runs - p.candidate.interaction,
        )
    mean = found.mean(0)
    assert mean[0] == pytest.approx(2 * (rows_sd**2 + churn_sd**2 / runs) / n, rel=0.05)
    assert mean[1] == pytest.approx(run_sd**2 / runs, rel=0.12)
    assert mean.sum() == pytest.approx(effects.var(), rel=0.1)


@pytest.mark.parametrize("runs", [3, 5])
def test_claims_at_the_boundary_are_wrong_at_most_one_time_in_twenty(runs: int) -> None:
    rng = np.random.default_rng(runs)
    reps, n, margin = 800, 150, 0.02
    wrong = np.zeros(2)
    for _ in range(reps):
        rows = rng.normal(size=n)
        base = 0.8 + 0.2 * rows + 0.08 * rng.normal(size=n) + 0.01 * rng.normal(size=(runs, 1))
        cand = 0.8 * 0.98 + 0.2 * rows + 0.08 * rng.normal(size=n) + 0.01 * rng.normal(size=(runs, 1))
        base += 0.1 * rng.normal(size=(runs, n))
        cand += 0.1 * rng.normal(size=(runs, n))
        p = parts(metric("accuracy"), base, cand)
        assert not isinstance(p, str)
        low, high = _interval(p)
        wrong += (high < -margin, low > -margin)
    assert (wrong / reps < 0.05 + 3 * np.sqrt(0.05 * 0.95 / reps)).all()


def _interval(p: object) -> tuple[float, float]:
    from sharewise.study.compare import Parts, combine, t_quantile

    assert isinstance(p, Parts)
    var_b, var_m, df = combine(p, p.baseline, p.candidate)
    half = t_quantile(0.95, df) * np.sqrt(p.var_rows + var_b + var_m)
    return p.effect - half, p.effect + half


# --- entities ---------------------------------------------------------------------------------------------


def test_rows_of_one_entity_count_once() -> None:
    pair = binary_pair(n=120)
    plain = done(compare(pair))
    each = done(compare(replace(pair, clusters=np.arange(120))))
    assert (each.low, each.df, each.n_entities) == (pytest.approx(plain.low), pytest.approx(plain.df), 120)
    copies = 4
    repeated = Pair(
        pair.task,
        np.repeat(pair.truth, copies, axis=0),
        np.repeat(pair.present, copies, axis=0),
        "single",
        "together",
        [np.repeat(p, copies, axis=0) for p in pair.baseline],
        [np.repeat(p, copies, axis=0) for p in pair.candidate],
    )
    naive = done(compare(repeated))
    honest = done(compare(replace(repeated, clusters=np.repeat(np.arange(120), copies))))
    assert honest.var_rows == pytest.approx(plain.var_rows)
    assert (honest.low, honest.high) == (pytest.approx(plain.low), pytest.approx(plain.high))
    assert naive.var_rows < 0.3 * plain.var_rows


def test_entities_of_unequal_size_leave_the_score_a_mean_over_rows() -> None:
    pair = binary_pair(n=200)
    rng = np.random.default_rng(0)
    c = done(compare(replace(pair, clusters=rng.choice(["a", "b", "c", "d", "e"], 200, p=[0.6, 0.1, 0.1, 0.1, 0.1]))))
    plain = done(compare(pair))
    assert c.effect == pytest.approx(plain.effect)
    assert c.n_entities == 5
    assert refused(compare(replace(pair, clusters=np.zeros(200)))).reason == "all test rows belong to one entity"


# --- few runs, few rows, no variance ----------------------------------------------------------------------


def test_a_deterministic_arm_has_no_run_variance() -> None:
    pair = binary_pair(runs=(1, 3))
    c = done(compare(replace(pair, baseline_deterministic=True)))
    assert c.var_baseline == 0.0
    assert c.var_candidate >= 0.0
    again = done(compare(binary_pair(runs=(1, 1))))
    assert again.var_baseline > 0


def test_one_run_borrows_the_other_arms_variance_or_is_assumed_and_wide() -> None:
    pair = binary_pair(runs=(1, 4), seed=3)
    c = done(compare(pair))
    full = done(compare(binary_pair(runs=(4, 4), seed=3)))
    assert c.var_baseline > full.var_baseline or c.var_baseline > 0
    lone = done(compare(binary_pair(runs=(1, 1))))
    assert lone.var_baseline == pytest.approx(ASSUMED_RUN_SD**2)
    assert lone.high - lone.low > 4 * ASSUMED_RUN_SD


def test_two_rows_are_enough_for_a_number_and_far_from_a_claim() -> None:
    pair = regression_pair(n=2)
    c = done(compare(pair))
    assert c.n_rows == 2
    assert c.high - c.low > 1.5
    assert refused(compare(regression_pair(n=1))).reason == "1 labelled test row is too few"


def test_arms_that_agree_everywhere_are_not_known_exactly() -> None:
    pair = binary_pair(n=100)
    same = replace(pair, candidate=pair.baseline)
    c = done(compare(same))
    assert c.effect == 0
    assert c.standard_error > 0.005


# --- what cannot be compared ------------------------------------------------------------------------------


def test_undefined_metrics_are_reasons_not_numbers() -> None:
    pair = binary_pair(task=replace(BINARY, metric="auroc"))
    one_class = replace(pair, truth=np.zeros_like(pair.truth))
    assert "AUROC, or its variance, is undefined" in refused(compare(one_class)).reason
    broken = [*pair.candidate[:-1], np.full_like(pair.candidate[0], np.nan)]
    assert "run 3 of 'together'" in refused(compare(replace(pair, candidate=broken))).reason
    assert "no finished run" in refused(compare(replace(pair, candidate=[]))).reason
    wrong = replace(binary_pair(), baseline=[1 - p for p in pair.truth[None] * 1.0])
    assert "above zero" in refused(compare(wrong)).reason
    perfect = replace(regression_pair(), candidate=[regression_pair().truth] * 2)
    assert "above zero" in refused(compare(perfect)).reason
    both = compare_all([one_class, pair])
    assert (len(both.comparisons), len(both.unavailable)) == (1, 1)


def test_absent_labels_are_left_out() -> None:
    pair = binary_pair(n=300)
    present = pair.present.copy()
    present[200:] = False
    cut = replace(
        pair,
        truth=pair.truth[:200],
        present=pair.present[:200],
        baseline=[p[:200] for p in pair.baseline],
        candidate=[p[:200] for p in pair.candidate],
    )
    assert done(compare(replace(pair, present=present))) == done(compare(cut))


# --- many tasks -------------------------------------------------------------------------------------------


def test_from_five_tasks_on_run_variances_are_moderated() -> None:
    pairs = [binary_pair(n=600, seed=k, task=replace(BINARY, name=f"t{k}")) for k in range(8)]
    alone = [done(compare(p)) for p in pairs]
    four = compare_all(pairs[:4]).comparisons
    assert [c.df for c in four] == [c.df for c in alone[:4]]
    eight = compare_all(pairs).comparisons
    runs_alone = [c.var_baseline + c.var_candidate for c in alone]
    runs_eight = [c.var_baseline + c.var_candidate for c in eight]
    assert np.std(runs_eight) < np.std(runs_alone)
    assert np.mean([c.df for c in eight]) > np.mean([c.df for c in alone])
    assert [c.effect for c in eight] == [c.effect for c in alone]
    # What a task says by its own runs stays as it is alone.
    assert [c.own_error for c in eight] == pytest.approx([c.standard_error for c in alone])
    assert [c.own_df for c in eight] == pytest.approx([c.df for c in alone])
    assert [p_no_harm(c) for c in eight] == pytest.approx([p_no_harm(c) for c in alone])
    assert {c.own_error for c in four} == {None}


def test_an_arm_of_one_run_among_many_tasks_gets_their_prior() -> None:
    pairs = [binary_pair(n=600, seed=k, task=replace(BINARY, name=f"t{k}")) for k in range(8)]
    pairs[0] = replace(pairs[0], candidate=pairs[0].candidate[:1])
    c = compare_all(pairs).comparisons[0]
    assert 0 < c.var_candidate < ASSUMED_RUN_SD**2


def test_the_rarer_class_is_counted_where_it_matters() -> None:
    pair = binary_pair()
    positives = int(pair.truth.sum())
    assert done(compare(pair)).n_rarest is None
    ranked = done(compare(replace(pair, task=replace(BINARY, metric="auroc"))))
    assert ranked.n_rarest == min(positives, 400 - positives)


def test_a_comparison_survives_json() -> None:
    c = done(compare(binary_pair()))
    assert from_json(Comparison, to_json(c)) == c
