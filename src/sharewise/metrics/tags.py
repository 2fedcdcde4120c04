"""Tags of tokens: share of right tokens, and F1 of exact spans.

Truth (N, L) holds tag codes of a sentence's tokens and `present` which of them are tagged; predictions (N, L) are the
codes that decoding chose, anything where there is no token. A row is a sentence: rows count, not tokens, when the
uncertainty of a score is told, because tokens of one sentence stand or fall together.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sharewise.metrics.base import Array, Metric
from sharewise.metrics.cells import jackknife
from sharewise.tasks import TaskKind

OUTSIDE = 0
"""Code of the tag O; type k begins with 2 k + 1 and goes on with 2 k + 2."""


class Sentences(NamedTuple):
    """The labelled rows: truth, present cells and predicted codes, each (n, L)."""

    truth: Array
    present: Array
    prediction: Array


class TokenAccuracy(Metric):
    """Right tokens over tagged tokens, all sentences together.

    Compared as a ratio: at 0.95 a margin of 0.02 is 1.9 points. Cost: linear.
    """

    name = "token_accuracy"
    title = "token accuracy"
    bigger_is_better = True
    kinds = frozenset({TaskKind.TOKEN_TAGGING})
    effect = "ratio"

    def score(self, truth: Array, present: Array, prediction: Array) -> float | None:
        """sum_i r_i / sum_i t_i, r_i right tokens of t_i in sentence i."""
        found = _labelled(truth, present, prediction)
        if found is None:
            return None
        right = (found.truth == found.prediction) & found.present
        return float(right.sum() / found.present.sum())

    def per_row(self, truth: Array, present: Array, prediction: Array) -> Array | None:
        """Delete-one jackknife pseudo-values of the ratio, exact: a sentence leaves with all its tokens."""
        found = _labelled(truth, present, prediction)
        if found is None:
            return None
        right = ((found.truth == found.prediction) & found.present).sum(axis=1).astype(np.float64)
        total = found.present.sum(axis=1).astype(np.float64)
        without = (right.sum() - right) / (total.sum() - total)
        return jackknife(float(right.sum() / total.sum()), without)


class EntityF1(Metric):
    """F1 of spans: a span is right where its first token, its last token and its type are.

    Spans are read as conlleval does (Tjong Kim Sang and Buchholz 2000; the default of seqeval): a span begins at a B,
    and at an I that goes on from no span of its type. Tokens that are not tagged are read as O on both sides.
    Compared in points, since it can be zero: a margin of 0.02 is 2 points. Undefined without a span in the truth.
    Cost: linear.
    """

    name = "entity_f1"
    title = "entity F1"
    bigger_is_better = True
    kinds = frozenset({TaskKind.TOKEN_TAGGING})
    effect = "points"
    rare_class_counts = True

    def score(self, truth: Array, present: Array, prediction: Array) -> float | None:
        """2 hits / (spans of the truth + spans predicted)."""
        counts = _span_counts(truth, present, prediction)
        if counts is None or counts[1].sum() == 0:
            return None
        hits, there, called = counts
        return float(2 * hits.sum() / (there + called).sum())

    def per_row(self, truth: Array, present: Array, prediction: Array) -> Array | None:
        """Delete-one jackknife pseudo-values, exact; None where one sentence has all spans."""
        counts = _span_counts(truth, present, prediction)
        if counts is None:
            return None
        hits, there, called = counts
        if there.sum() == 0 or (there.sum() - there).min() <= 0:
            return None
        both = there + called
        score = float(2 * hits.sum() / both.sum())
        return jackknife(score, 2 * (hits.sum() - hits) / (both.sum() - both))


def _labelled(truth: Array, present: Array, prediction: Array) -> Sentences | None:
    """Rows with any tag; None with fewer than two. Raises ValueError where the shapes differ."""
    if not truth.shape == present.shape == prediction.shape or truth.ndim != 2:
        raise ValueError(
            "Truth, present and prediction of tags must be (rows, tokens) alike; however, their shapes are "
            f"{truth.shape}, {present.shape} and {prediction.shape}."
        )
    mask = present.astype(bool)
    rows = mask.any(axis=1)
    if np.count_nonzero(rows) < 2 or not np.isfinite(prediction[rows]).all():
        return None
    return Sentences(truth[rows].astype(np.int64), mask[rows], np.rint(prediction[rows]).astype(np.int64))


def _span_counts(truth: Array, present: Array, prediction: Array) -> tuple[Array, Array, Array] | None:
    """Per row the spans found with both borders and type right, the spans of the truth, and those predicted."""
    found = _labelled(truth, present, prediction)
    if found is None:
        return None
    n, width = found.truth.shape
    there = spans(np.where(found.present, found.truth, OUTSIDE))
    called = spans(np.where(found.present, np.maximum(found.prediction, OUTSIDE), OUTSIDE))
    made = []
    # A span as one number: row, first token, last token and type.
    top = 1 + max(there.kind.max(initial=0), called.kind.max(initial=0))
    keys = [((s.row * width + s.first) * width + s.last) * top + s.kind for s in (there, called)]
    for rows in (there.row[np.isin(keys[0], keys[1])], there.row, called.row):
        made.append(np.bincount(rows, minlength=n).astype(np.float64))
    return made[0], made[1], made[2]


class Spans(NamedTuple):
    """Spans of many sentences: row, first token, last token and type, each (K,)."""

    row: Array
    first: Array
    last: Array
    kind: Array


def spans(codes: Array) -> Spans:
    """The spans of tag codes (N, L), in order of row and token."""
    edge = np.zeros((len(codes), 1), np.int64)
    inside = codes != OUTSIDE
    kind = (codes - 1) // 2
    before = np.concatenate([edge, codes[:, :-1]], axis=1)
    after = np.concatenate([codes[:, 1:], edge], axis=1)
    begins = inside & ((codes % 2 == 1) | (before == OUTSIDE) | ((before - 1) // 2 != kind))
    ends = inside & ((after == OUTSIDE) | (after % 2 == 1) | ((after - 1) // 2 != kind))
    row, first = np.nonzero(begins)
    # Every span begins and ends once, so that the k-th beginning belongs to the k-th end.
    return Spans(row, first, np.nonzero(ends)[1], kind[row, first])
