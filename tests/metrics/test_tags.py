"""Token accuracy and entity F1 against seqeval, scikit-learn and leaving rows out by hand."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score

from sharewise.metrics.tags import EntityF1, TokenAccuracy, spans

seqeval = pytest.importorskip("seqeval.metrics")

NAMES = ("O", "B-LOC", "I-LOC", "B-ORG", "I-ORG", "B-PER", "I-PER")
METRICS = (TokenAccuracy(), EntityF1())


def drawn(seed: int, n: int = 40, length: int = 9) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Random tags, legal or not, sentences of 1 to `length` tokens, predictions right two times in three."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(len(NAMES), (n, length), p=[0.4, *[0.1] * 6])
    prediction = np.where(rng.random(truth.shape) < 0.67, truth, rng.integers(0, len(NAMES), truth.shape))
    present = np.arange(length) < rng.integers(1, length + 1, n)[:, None]
    return truth.astype(float), present, np.where(present, prediction, -1).astype(float)


def words(codes: np.ndarray, present: np.ndarray) -> list[list[str]]:
    return [[NAMES[int(c)] for c in row[mask]] for row, mask in zip(codes, present, strict=True)]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_entity_f1_is_seqevals(seed: int) -> None:
    truth, present, prediction = drawn(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = seqeval.f1_score(words(truth, present), words(prediction, present))
    assert EntityF1().score(truth, present, prediction) == pytest.approx(expected)


def test_spans_are_seqevals() -> None:
    truth, present, _ = drawn(3, n=200)
    found = spans(np.where(present, truth, 0).astype(int))
    kinds = ("LOC", "ORG", "PER")
    mine = {(int(r), kinds[k], int(a), int(b)) for r, a, b, k in zip(*found, strict=True)}
    from seqeval.metrics.sequence_labeling import get_entities

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = {(i, kind, a, b) for i, row in enumerate(words(truth, present)) for kind, a, b in get_entities(row)}
    assert mine == expected


def test_token_accuracy_is_scikit_learns() -> None:
    truth, present, prediction = drawn(1)
    assert TokenAccuracy().score(truth, present, prediction) == accuracy_score(truth[present], prediction[present])


@pytest.mark.parametrize("metric", METRICS, ids=lambda m: m.name)
def test_rows_are_jackknife_values_of_sentences(metric: TokenAccuracy | EntityF1) -> None:
    truth, present, prediction = drawn(2, n=25)
    present[4] = False
    found = metric.per_row(truth, present, prediction)
    score = metric.score(truth, present, prediction)
    assert found is not None
    assert score is not None
    rows = np.flatnonzero(present.any(axis=1))
    left = [metric.score(*(a[np.setdiff1d(rows, [i])] for a in (truth, present, prediction))) for i in rows]
    expected = score + (len(rows) - 1) * (np.mean(left) - np.array(left))
    np.testing.assert_allclose(found, expected)
    assert found.mean() == pytest.approx(score)


@pytest.mark.parametrize("metric", METRICS, ids=lambda m: m.name)
def test_the_jackknife_variance_is_that_of_fresh_sentences(metric: TokenAccuracy | EntityF1) -> None:
    n, scores, variances = 150, [], []
    for seed in range(120):
        data = drawn(1000 + seed, n=n)
        scores.append(metric.score(*data))
        values = metric.per_row(*data)
        assert values is not None
        variances.append(values.var(ddof=1) / n)
    assert np.mean(variances) == pytest.approx(np.var(scores, ddof=1), rel=0.35)


def test_tokens_without_a_tag_count_on_no_side() -> None:
    truth = np.array([[1.0, 2, 0, 1], [5, 6, 0, 0]])
    present = np.array([[True, True, True, False], [True, True, True, True]])
    prediction = np.array([[1.0, 2, 0, 3], [5, 6, 0, 0]])
    assert EntityF1().score(truth, present, prediction) == 1.0
    assert TokenAccuracy().score(truth, present, prediction) == 1.0


def test_undefined() -> None:
    truth, present = np.zeros((3, 4)), np.ones((3, 4), bool)
    assert EntityF1().score(truth, present, np.zeros((3, 4))) is None
    assert TokenAccuracy().score(truth[:1], present[:1], truth[:1]) is None
    assert TokenAccuracy().score(truth, present, np.full((3, 4), np.nan)) is None
    one = truth.copy()
    one[0, 0] = 1
    assert EntityF1().score(one, present, one) == 1.0
    assert EntityF1().per_row(one, present, one) is None
    with pytest.raises(ValueError, match="alike"):
        EntityF1().score(truth, present, truth[:, :2])
