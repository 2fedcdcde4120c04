"""Moderated variances against Smyth (2004), written out with a root finder in place of Newton's method."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.special import digamma, polygamma

from sharewise.study.moderate import Prior, fit_prior, inverse_trigamma


@given(st.floats(1e-3, 1e4))
def test_inverse_trigamma_inverts(y: float) -> None:
    assert inverse_trigamma(float(polygamma(1, y))) == pytest.approx(y, rel=1e-8)


@pytest.mark.parametrize("x", [1e-9, 1e-6, 1e7, 1e12])
def test_inverse_trigamma_at_the_asymptotes(x: float) -> None:
    assert float(polygamma(1, inverse_trigamma(x))) == pytest.approx(x, rel=1e-3)


def test_inverse_trigamma_of_pi_squared_over_six_is_one() -> None:
    assert inverse_trigamma(np.pi**2 / 6) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="positive"):
        inverse_trigamma(0.0)


def test_prior_solves_the_moment_equations() -> None:
    rng = np.random.default_rng(0)
    dfs = rng.integers(2, 9, 600).astype(float)
    variances = 0.3 * 6 / rng.chisquare(6, 600) * rng.chisquare(dfs) / dfs
    prior = fit_prior(variances, dfs)
    e = np.log(variances) - digamma(dfs / 2) + np.log(dfs / 2)
    wanted = e.var(ddof=1) - polygamma(1, dfs / 2).mean()
    d0 = 2 * brentq(lambda h: float(polygamma(1, h)) - wanted, 1e-2, 1e4)
    assert prior.df == pytest.approx(d0, rel=1e-6)
    assert np.log(prior.variance) == pytest.approx(e.mean() + digamma(d0 / 2) - np.log(d0 / 2))


def test_prior_recovers_what_was_planted() -> None:
    rng = np.random.default_rng(1)
    n, d0, s0 = 20_000, 8.0, 2.5
    dfs = np.full(n, 4.0)
    variances = s0 * d0 / rng.chisquare(d0, n) * rng.chisquare(4, n) / 4
    prior = fit_prior(variances, dfs)
    assert prior.df == pytest.approx(d0, rel=0.1)
    assert prior.variance == pytest.approx(s0, rel=0.03)


def test_variances_that_do_not_differ_share_one_value() -> None:
    prior = fit_prior(np.full(6, 2.0), np.full(6, 4.0))
    assert prior.df == np.inf
    # All equal to 2, each biased down on the log scale by log 2 - psi(2).
    assert prior.variance == pytest.approx(2.0 * np.exp(np.log(2.0) - digamma(2.0)))
    assert prior.shrink(9.0, 2.0, 12.0) == (prior.variance, 12.0)


def test_shrinking_is_the_weighted_mean_and_pooled_degrees_cap_it() -> None:
    prior = Prior(6.0, 1.0)
    assert prior.shrink(4.0, 2.0, 100.0) == (pytest.approx(14 / 8), 8.0)
    assert prior.shrink(4.0, 2.0, 5.0)[1] == 5.0
    assert prior.shrink(0.0, 0.0, 100.0) == (1.0, 6.0)


def test_zeros_do_not_carry_the_fit() -> None:
    prior = fit_prior(np.array([0.0, 1.0, 1.2, 0.8, 1.1]), np.full(5, 2.0))
    assert 0 < prior.variance < 2
    assert fit_prior(np.zeros(5), np.full(5, 2.0)).variance == 0.0
    with pytest.raises(ValueError, match="two variances"):
        fit_prior(np.ones(1), np.ones(1))
