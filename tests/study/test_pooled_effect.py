"""The pooled effect of many tasks against brute-force integration of the same model by other code."""

from __future__ import annotations

import numpy as np
import pytest
from made_comparisons import comparison
from scipy import stats

from sharewise.study.posterior import SPREAD_LOG_SD, SPREAD_MEDIAN, TAIL_DF, TOLD_MEAN_SD, pooled


def brute(effects: list[float], se: float, margin: float = 0.02) -> tuple[float, float, float, float]:
    """Mean, 5 % and 95 % points of mu and mean of tau on a plain grid, each likelihood by convolving the densities."""
    mu = np.linspace(-90, 90, 3601)
    tau = np.exp(np.log(SPREAD_MEDIAN) + SPREAD_LOG_SD * np.linspace(-4, 5, 61))
    z, s = np.array(effects) / margin, se / margin
    noise = np.linspace(-8, 8, 401)
    weight = stats.norm.pdf(noise) * (noise[1] - noise[0])
    log = stats.norm.logpdf(mu, 0, TOLD_MEAN_SD)[:, None] + stats.norm.logpdf(
        np.log(tau), np.log(SPREAD_MEDIAN), SPREAD_LOG_SD
    )
    for k in z:
        true = k - s * noise
        density = np.stack([stats.t.pdf((true[None, :] - mu[:, None]) / t, TAIL_DF) @ weight / t for t in tau], axis=1)
        log = log + np.log(density)
    p = np.exp(log - log.max())
    p /= p.sum()
    m = p.sum(axis=1)
    below = np.cumsum(m) - m / 2
    return float(m @ mu) * margin, *(float(np.interp(q, below, mu)) * margin for q in (0.05, 0.95)), float(
        p.sum(axis=0) @ tau
    ) * margin  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("effects", [[0.01, 0.02, 0.015], [-0.05, 0.04, 0.0, 0.01, 0.02], [0.03, 0.031, 0.029, -0.2]])
def test_it_is_the_posterior_of_the_model(effects: list[float]) -> None:
    se = 0.006
    made = [comparison(e, se, df=1e6, task=f"t{i}") for i, e in enumerate(effects)]
    (found,) = pooled(made, {})
    mean, low, high, spread = brute(effects, se)
    width = high - low
    assert found.mean == pytest.approx(mean, abs=0.02 * width)
    assert found.low == pytest.approx(low, abs=0.03 * width)
    assert found.high == pytest.approx(high, abs=0.03 * width)
    assert found.between_sd == pytest.approx(spread, rel=0.05)


def test_tasks_that_all_lose_much_are_no_outliers_around_nothing() -> None:
    made = [comparison(e, 0.02, task=f"t{i}") for i, e in enumerate([-0.03, -0.59, -0.58])]
    (found,) = pooled(made, {})
    assert found.high < 0
    assert -0.6 < found.mean < -0.3


def test_families_and_scales_are_pooled_on_their_own() -> None:
    made = [comparison(0.01 * i, task=f"t{i}") for i in range(4)]
    found = pooled(made, {"t0": "school", "t1": "school", "t2": "other"})
    assert [(p.family, p.n_tasks) for p in found] == [(None, 4), ("school", 2)]
    assert pooled(made[:1], {}) == []


def test_a_known_mean_is_covered_as_often_as_said() -> None:
    random = np.random.default_rng(11)
    hits = 0
    for _ in range(60):
        mu = random.normal(0, 0.03)
        effects = mu + 0.02 * random.standard_t(4, 8) + random.normal(0, 0.005, 8)
        (found,) = pooled([comparison(float(e), 0.005, df=1e6, task=f"t{i}") for i, e in enumerate(effects)], {})
        hits += found.low <= mu <= found.high
    assert hits >= 46  # binomial(60, 0.9): below this with probability under 0.1 %
