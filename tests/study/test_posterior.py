"""Beliefs against plain Monte Carlo over the model as it is written down."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_comparisons import comparison
from scipy import stats

from sharewise.study.posterior import MEAN_SD, SPREAD_LOG_SD, SPREAD_MEDIAN, TAIL_DF, beliefs


def by_sampling(z: np.ndarray, se: np.ndarray, df: np.ndarray, draws: int) -> tuple[np.ndarray, np.ndarray]:
    """P(theta < -1) and E(theta), in margins, by importance sampling from the prior: nothing shared with the grid."""
    rng = np.random.default_rng(0)
    mu = MEAN_SD * rng.standard_normal(draws)
    tau = SPREAD_MEDIAN * np.exp(SPREAD_LOG_SD * rng.standard_normal(draws))
    theta = mu[:, None] + tau[:, None] * rng.standard_t(TAIL_DF, (draws, len(z)))
    width = stats.t.ppf(0.95, df) * se / stats.norm.ppf(0.95)
    log_weight = stats.norm.logpdf((z - theta) / width).sum(1)
    weight = np.exp(log_weight - log_weight.max())
    weight /= weight.sum()
    assert 1 / (weight**2).sum() > 1000  # else the check itself is too rough
    return weight @ (theta < -1), weight @ theta


@pytest.mark.parametrize(
    ("effects", "errors", "dfs"),
    [
        ([0.4], [0.8], [6]),
        ([-1.0], [1.5], [3]),
        ([1.0, -1.5], [0.8, 0.8], [8, 8]),
        ([0.5, 0.8, -2.0], [1, 1.2, 1], [5, 9, 7]),
    ],
)
def test_grid_agrees_with_sampling(effects: list[float], errors: list[float], dfs: list[float]) -> None:
    z, se, df = np.array(effects), np.array(errors), np.array(dfs, float)
    found = beliefs([comparison(0.02 * a, 0.02 * b, c) for a, b, c in zip(z, se, df, strict=True)])
    harm, gain = by_sampling(z, se, df, 600_000)
    assert [b.probability_harm for b in found] == pytest.approx(harm, abs=0.012)
    assert [b.expected_gain / 0.02 for b in found] == pytest.approx(gain, abs=0.05)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.floats(-5, 5), min_size=1, max_size=5), st.floats(0.2, 3.0))
def test_a_better_estimate_is_never_a_greater_risk(effects: list[float], se: float) -> None:
    base = [comparison(0.02 * e, 0.02 * se, task=f"t{i}") for i, e in enumerate(effects)]
    before = beliefs(base)[0]
    after = beliefs([replace(base[0], effect=base[0].effect + 0.02), *base[1:]])[0]
    assert after.probability_harm <= before.probability_harm + 0.01
    assert after.expected_gain >= before.expected_gain - 0.002
    assert 0 <= before.probability_harm <= 1
    assert before.sd > 0


def test_margins_set_the_unit() -> None:
    coarse = beliefs([comparison(0.01, 0.01), comparison(-0.03, 0.02)])
    fine = beliefs([comparison(0.001, 0.001, margin=0.002), comparison(-0.003, 0.002, margin=0.002)])
    assert [b.probability_harm for b in fine] == pytest.approx([b.probability_harm for b in coarse])
    assert [b.expected_gain * 10 for b in fine] == pytest.approx([b.expected_gain for b in coarse])


def test_tasks_lend_one_another_strength_and_an_odd_one_stays_odd() -> None:
    unsure = comparison(0.0, 0.02)
    alone = beliefs([unsure])[0].probability_harm
    among_good = beliefs([unsure, *(comparison(0.01, 0.004, task=f"g{i}") for i in range(9))])[0].probability_harm
    assert among_good < 0.3 * alone
    odd = comparison(-0.10, 0.01)
    crowd = [comparison(0.01, 0.004, task=f"g{i}") for i in range(9)]
    believed = beliefs([odd, *crowd])
    assert believed[0].probability_harm > 0.99
    assert believed[0].expected_gain < -0.08
    assert max(b.probability_harm for b in believed[1:]) < 0.01


def test_great_certainty_and_great_distance_are_ordinary_numbers() -> None:
    assert beliefs([]) == []
    sure = beliefs([comparison(0.05, 1e-12, df=np.inf), comparison(-5.0, 0.01, df=1.0)])
    assert sure[0].probability_harm < 1e-6
    assert sure[0].expected_gain == pytest.approx(0.05, rel=1e-3)
    assert sure[1].probability_harm > 0.99
