"""Noise estimates on data whose noise is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sharewise.audit.noise import auc, confident_learning, error_floor, residual_noise, wilson


def easy(n: int, flips: float, classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels with some flipped, and the probabilities of a model that knows the truth and the flip rate."""
    rng = np.random.default_rng(seed)
    true = rng.integers(0, classes, n)
    given_ = np.where(rng.random(n) < flips, (true + rng.integers(1, classes, n)) % classes, true)
    p = np.full((n, classes), flips / (classes - 1))
    p[np.arange(n), true] = 1 - flips
    return given_, (p + 1e-3 * rng.random(p.shape)).astype(np.float32)


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("flips", [0.0, 0.05, 0.15, 0.25])
def test_confident_learning_finds_the_flip_rate(classes: int, flips: float) -> None:
    labels, p = easy(20_000, flips, classes, 0)
    found = confident_learning(labels, p)
    assert found.rate == pytest.approx(flips, abs=0.02)
    assert found.low <= found.rate <= found.high
    assert (np.diff(found.scores) >= 0).all()


@pytest.mark.parametrize("flips", [0.0, 0.1, 0.2])
def test_floor_is_the_flip_rate_on_an_easy_task(flips: float) -> None:
    labels, p = easy(20_000, flips, 2, 1)
    floor = error_floor(labels, p)
    assert floor.rate == pytest.approx(flips, abs=0.02)
    assert floor.is_plateau


def test_floor_of_a_hard_clean_task_is_low_and_no_plateau() -> None:
    rng = np.random.default_rng(2)
    p1 = rng.beta(0.8, 0.8, 20_000)
    labels = (rng.random(20_000) < p1).astype(np.int64)
    p = np.stack([1 - p1, p1], axis=1).astype(np.float32)
    floor = error_floor(labels, p)
    assert floor.rate < 0.02
    assert not floor.is_plateau
    # Confident learning calls the same clean labels noisy: the reason why the check does not rest on it.
    assert confident_learning(labels, p).rate > 0.08


@pytest.mark.parametrize("share", [0.0, 0.05, 0.15])
def test_residual_noise_counts_what_it_cannot_see(share: float) -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=20_000)
    y = x + 0.1 * rng.normal(size=len(x))
    wrong = rng.choice(len(x), int(share * len(x)), replace=False)
    y[wrong] = rng.permutation(y[wrong])
    noise, seen = residual_noise(y, x)
    assert 0.3 < seen < 1
    assert noise.rate == pytest.approx(share, abs=0.02)
    assert set(noise.suspects) <= set(wrong) or share == 0


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=2, max_size=60))
@settings(max_examples=60, deadline=None)
def test_auc_is_the_share_of_ordered_pairs(pairs: list[tuple[int, bool]]) -> None:
    score = np.array([s for s, _ in pairs], dtype=np.float64)
    positive = np.array([p for _, p in pairs])
    found = auc(score, positive)
    if positive.all() or not positive.any():
        assert found is None
        return
    gaps = score[positive][:, None] - score[~positive][None]
    assert found == pytest.approx(((gaps > 0) + 0.5 * (gaps == 0)).mean())


@given(st.floats(0, 1), st.integers(1, 10_000))
def test_wilson_holds_the_rate(rate: float, n: int) -> None:
    low, high = wilson(rate, n)
    assert 0 <= low <= rate + 1e-12
    assert rate - 1e-12 <= high <= 1
