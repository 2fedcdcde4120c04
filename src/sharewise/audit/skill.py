"""How well one column alone predicts one label: a cross-validated score from contingency tables, linear in rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from sharewise.audit.columns import Bins, Floats
from sharewise.audit.result import Rows
from sharewise.audit.view import AuditView, Labels

N_FOLDS = 4
MIN_LABELLED = 50
"""Fewer labelled rows than this give no skill worth comparing with a threshold (12 rows a fold)."""


@dataclass(frozen=True)
class Skill:
    """`value` is (score - naive) / (1 - naive), 0 for nothing learned and 1 for certainty; `n` labelled rows."""

    value: float
    n: int

    @property
    def standard_error(self) -> float:
        """Binomial approximation sqrt(v (1 - v) / n); generous for v near 0 or 1, hence one half row is added."""
        inside = min(max(self.value, 0.5 / self.n), 1 - 0.5 / self.n)
        return float(np.sqrt(inside * (1 - inside) / self.n))


def column_skill(view: AuditView, bins: Bins, labels: Labels, max_rows: int = 100_000) -> Skill | None:
    """Predictive power of a binned column for a label, in 4 grouped folds; None below 50 labelled rows.

    Classes: weighted F1 of the most frequent class of a bin against that of the overall majority class (the
    predictive power score). Numbers: 1 - MAE / MAE of the median, on the ranks of the label, so that neither a
    transform nor an outlier of the label matters. Both are computed on at most `max_rows` rows of the view's sample.
    """
    rows = view.sample[labels.present[view.sample]]
    rows = rows[:: -(-len(rows) // max_rows) or 1]
    if len(rows) < MIN_LABELLED:
        return None
    index, folds = bins.index[rows], view.folds[rows]
    if labels.is_class:
        codes = labels.values[rows].astype(np.int64)
        known = codes >= 0
        value = _class_skill(index[known], bins.n, codes[known], len(labels.classes), folds[known])
    else:
        value = _rank_skill(index, bins.n, labels.values[rows], folds)
    return None if value is None else Skill(value, len(rows))


def class_pair_skill(a: Labels, b: Labels, rows: Rows) -> tuple[float, float]:
    """Skill of b for a, and of a for b, on rows where both are present: weighted F1 as in `column_skill`, from one
    table of counts. Two label columns have too few cells to overfit, so that no folds are needed."""
    n, m = len(a.classes) + 1, len(b.classes) + 1
    cell = (a.values[rows] + 1).astype(np.int64) * m + (b.values[rows] + 1).astype(np.int64)
    counts = np.bincount(cell, minlength=n * m).reshape(n, m).astype(np.float64)
    return _table_skill(counts), _table_skill(counts.T)


def _table_skill(counts: npt.NDArray[np.float64]) -> float:
    """Skill for the row variable of the column variable."""
    prior = counts.sum(1)
    confusion = np.zeros((len(prior), len(prior)))
    np.add.at(confusion.T, counts.argmax(0), counts.T)
    naive = np.zeros_like(confusion)
    naive[:, prior.argmax()] = prior
    base = weighted_f1(naive)
    return (weighted_f1(confusion) - base) / max(1 - base, 1e-12)


def label_bins(view: AuditView, labels: Labels) -> Bins:
    """A label as a column to predict from: its classes, or 64 quantile bins; absent is a bin of its own."""
    from sharewise.audit.columns import quantile_bins

    def make() -> Bins:
        if labels.is_class:
            n = len(labels.classes)
            index = np.where(labels.present & (labels.values >= 0), labels.values, n).astype(np.int32)
            return Bins(index, n + 1)
        return quantile_bins(np.where(labels.present, labels.values, np.nan), 64)

    return view.once("label_bins", labels.task, labels.column, make=make)


def weighted_f1(confusion: npt.NDArray[np.float64]) -> float:
    """Weighted F1 of a (true, predicted) table of counts."""
    true, predicted, hit = confusion.sum(1), confusion.sum(0), np.diag(confusion)
    f1 = 2 * hit / np.maximum(true + predicted, 1)
    return float((f1 * true).sum() / max(true.sum(), 1))


def _class_skill(
    index: npt.NDArray[np.int32], n_bins: int, codes: Rows, n_classes: int, folds: npt.NDArray[np.int8]
) -> float | None:
    if len(np.unique(codes)) < 2:
        return None
    cell = (folds.astype(np.int64) * n_bins + index) * n_classes + codes
    counts = np.bincount(cell, minlength=N_FOLDS * n_bins * n_classes).reshape(N_FOLDS, n_bins, n_classes)
    total = counts.sum(0)
    confusion = np.zeros((n_classes, n_classes))
    naive = np.zeros((n_classes, n_classes))
    for fold in range(N_FOLDS):
        train = total - counts[fold]
        prior = train.sum(0)
        # A tiny share of the prior breaks ties and answers for bins that the training folds do not have.
        answer = (train + 1e-6 * prior / max(prior.sum(), 1)).argmax(1)
        np.add.at(confusion.T, answer, counts[fold])
        naive[:, prior.argmax()] += counts[fold].sum(0)
    base = weighted_f1(naive)
    return (weighted_f1(confusion) - base) / max(1 - base, 1e-12)


def _rank_skill(index: npt.NDArray[np.int32], n_bins: int, values: Floats, folds: npt.NDArray[np.int8]) -> float | None:
    if values.min() == values.max():
        return None
    ranks = rankdata(values) / len(values)
    cell = folds.astype(np.int64) * n_bins + index
    counts = np.bincount(cell, minlength=N_FOLDS * n_bins).reshape(N_FOLDS, n_bins)
    sums = np.bincount(cell, weights=ranks, minlength=N_FOLDS * n_bins).reshape(N_FOLDS, n_bins)
    train_n, train_sum = counts.sum(0) - counts, sums.sum(0) - sums
    overall = train_sum.sum(1, keepdims=True) / np.maximum(train_n.sum(1, keepdims=True), 1)
    means = np.where(train_n > 0, train_sum / np.maximum(train_n, 1), overall)
    error = np.abs(ranks - means.ravel()[cell]).mean()
    naive = np.abs(ranks - np.median(ranks)).mean()
    return float(1 - error / max(naive, 1e-12))
