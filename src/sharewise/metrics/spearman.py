"""Spearman's rank correlation."""

from __future__ import annotations

import numpy as np

from sharewise.metrics.base import Array, Metric
from sharewise.metrics.cells import jackknife, labelled, macro_rows, macro_score, midranks
from sharewise.tasks import TaskKind


class Spearman(Metric):
    """Pearson correlation of the midranks of truth and prediction; over several columns their mean.

    Compared in points, since it can be zero or negative: a margin of 0.02 is 2 points of correlation. A constant
    prediction ranks nothing and scores 0; a constant target is undefined. Cost: two sorts; per row
    O(n log^2 n).
    """

    name = "spearman"
    title = "Spearman correlation"
    bigger_is_better = True
    kinds = frozenset({TaskKind.REGRESSION})
    effect = "points"

    def score(self, truth: Array, present: Array, prediction: Array) -> float | None:
        """Rank correlation."""
        cells = labelled(truth, present, prediction)
        return None if cells is None else macro_score(cells, _score, _varies)

    def per_row(self, truth: Array, present: Array, prediction: Array) -> Array | None:
        """Delete-one jackknife pseudo-values, exact: a row taken away lowers the ranks of those above it by 1
        and of those tied with it by 1/2.
        """
        cells = labelled(truth, present, prediction)
        return None if cells is None else macro_rows(cells, _rows, _varies)


def _varies(truth: Array) -> bool:
    return len(truth) >= 2 and bool(truth.min() < truth.max())


def _score(truth: Array, prediction: Array) -> float | None:
    if not _varies(truth):
        return None
    middle = (len(truth) + 1) / 2
    a, b = midranks(truth) - middle, midranks(prediction) - middle
    spread = (a @ a) * (b @ b)
    return float(a @ b / np.sqrt(spread)) if spread > 0 else 0.0


def _rows(truth: Array, prediction: Array) -> Array | None:
    n = len(truth)
    score = _score(truth, prediction)
    if score is None:
        return None
    a, b = midranks(truth), midranks(prediction)
    both = a @ b - a * b - _above(a, b) - _above(b, a) + _jointly_above(a, b)
    centre = (n - 1) * (n / 2) ** 2
    spread_a = _squares_without(a) - centre
    spread_b = _squares_without(b) - centre
    if spread_a.min() <= 0.25:
        return None  # the target is constant without one of its rows
    known = spread_b > 0.25  # ranks are multiples of 1/2, so anything smaller is zero
    without = np.where(known, (both - centre) / np.sqrt(spread_a * np.where(known, spread_b, 1.0)), 0.0)
    return jackknife(score, without)


def _ties(ranks: Array) -> tuple[Array, Array, Array]:
    """Sorted order, and per row the start and end of its tie group in that order."""
    order = np.argsort(ranks, kind="stable")
    ordered = ranks[order]
    return order, np.searchsorted(ordered, ranks, "left"), np.searchsorted(ordered, ranks, "right")


def _above(ranks: Array, other: Array) -> Array:
    """Per row i: sum over j of h(ranks_j, ranks_i) other_j, h being 1 above, 1/2 tied and 0 for j = i."""
    order, start, end = _ties(ranks)
    sums = np.concatenate(([0.0], np.cumsum(other[order])))
    tied = sums[end] - sums[start] - other
    result: Array = sums[-1] - sums[end] + 0.5 * tied
    return result


def _squares_without(ranks: Array) -> Array:
    """Sum of the squared ranks of the other rows once row i is gone."""
    _, start, end = _ties(ranks)
    higher = len(ranks) - end
    tied = end - start - 1
    result: Array = ranks @ ranks - ranks**2 - 2 * _above(ranks, ranks) + higher + 0.25 * tied
    return result


def _jointly_above(a: Array, b: Array) -> Array:
    """Per row i: sum over j of h(a_j, a_i) h(b_j, b_i)."""
    n = len(a)
    order = np.lexsort((b, a))
    _, end_a, end_ab = _group_ends(a[order], b[order])
    higher_b_same_a = np.empty(n)
    higher_b_same_a[order] = end_a - end_ab
    twin = np.lexsort((a, b))
    _, end_b, end_ba = _group_ends(b[twin], a[twin])
    higher_a_same_b = np.empty(n)
    higher_a_same_b[twin] = end_b - end_ba
    start_ab, _, end_same = _group_ends(a[order], b[order])
    same = np.empty(n)
    same[order] = end_same - start_ab - 1
    result: Array = _strictly_above(a, b) + 0.5 * (higher_b_same_a + higher_a_same_b) + 0.25 * same
    return result


def _group_ends(first: Array, second: Array) -> tuple[Array, Array, Array]:
    """For lexicographically sorted pairs: start of the pair's group, end of the first's, end of the pair's."""
    n = len(first)
    new_first = first[1:] != first[:-1]
    new_pair = new_first | (second[1:] != second[:-1])
    first_ends = np.append(np.flatnonzero(new_first) + 1, n)
    pair_ends = np.append(np.flatnonzero(new_pair) + 1, n)
    pair_starts = np.concatenate(([0], pair_ends[:-1]))
    pair = np.concatenate(([0], np.cumsum(new_pair)))
    group = np.concatenate(([0], np.cumsum(new_first)))
    return pair_starts[pair], first_ends[group], pair_ends[pair]


def _strictly_above(a: Array, b: Array) -> Array:
    """Per row i: how many j have a_j > a_i and b_j > b_i; one bit of the rank a pass, log2 n passes."""
    n = len(a)
    order = np.lexsort((b, -a))  # a falling; within equal a, b rising, so that no tie is counted
    # Unique ranks of b, falling: among equal b the later one in `order` must not count the earlier.
    key = np.empty(n, dtype=np.int64)
    key[np.lexsort((-np.arange(n), -b[order]))] = np.arange(n)
    # Count, for each position, the earlier ones of smaller key (larger b).
    counts = np.zeros(n, dtype=np.int64)
    place = np.arange(n)
    bits = max(n - 1, 1).bit_length()
    for bit in range(bits - 1, -1, -1):
        block = key[place] >> (bit + 1)
        one = (key[place] >> bit) & 1
        zeros = np.concatenate(([0], np.cumsum(1 - one)))
        starts = np.searchsorted(block, block, "left")
        counts[place] += one * (zeros[:-1] - zeros[starts])
        place = place[np.argsort(key[place] >> bit, kind="stable")]
    result = np.empty(n)
    result[order] = counts
    return result
