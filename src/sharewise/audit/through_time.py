"""The labels of every task window by window of the declared time: what the report's small plots are drawn from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from sharewise.audit.result import Rows
from sharewise.audit.view import PART_NAMES, AuditView, Labels

N_WINDOWS = 12
MIN_LABELS = 10
"""Labels below which a window says nothing about their distribution."""
MAX_CLASSES = 4
MAX_LABELS = 60
"""Label columns that are told: the first of those given."""


def through_time(view: AuditView, labels: Sequence[Labels]) -> dict[str, Any]:
    """`windows` of equal numbers of rows (start and end in seconds or in the time's own numbers, `is_date`, rows of
    each part), and for each label column in `labels` either `shares`, the share of its most frequent classes in each
    window, or `quartiles` of its numbers; None where a window has fewer than 10 labels. Empty without a time.
    """
    if view.time is None:
        return {}
    known = np.flatnonzero(~np.isnan(view.time))
    if len(known) < N_WINDOWS * MIN_LABELS:
        return {}
    windows = np.array_split(known[np.argsort(view.time[known], kind="stable")], N_WINDOWS)
    name = view.schema.time or ""
    return {
        "is_date": pa.types.is_temporal(view.arrow.schema.field(name).type) or not view.is_numeric(name),
        "windows": [_window(view, rows) for rows in windows],
        "labels": {k.key: _told(k, windows) for k in labels[:MAX_LABELS]},
    }


def _window(view: AuditView, rows: Rows) -> dict[str, Any]:
    assert view.time is not None
    parts = {name: int((view.part[rows] == number).sum()) for number, name in enumerate(PART_NAMES)}
    return {"start": float(view.time[rows[0]]), "end": float(view.time[rows[-1]]), **parts}


def _told(labels: Labels, windows: Sequence[Rows]) -> dict[str, Any]:
    values = [labels.values[rows[labels.present[rows]]] for rows in windows]
    if not labels.is_class:
        quartiles = [np.quantile(v, [0.25, 0.5, 0.75]).tolist() if len(v) >= MIN_LABELS else None for v in values]
        return {"task": labels.task, "quartiles": quartiles}
    counts = np.stack([np.bincount(v[v >= 0].astype(np.int64), minlength=len(labels.classes)) for v in values])
    shown = np.argsort(-counts.sum(0), kind="stable")[:MAX_CLASSES]
    if len(labels.classes) == 2:
        shown = np.array([1])  # one line says it all
    totals = counts.sum(1)
    shares = [
        [float(c) for c in row[shown] / n] if n >= MIN_LABELS else None for row, n in zip(counts, totals, strict=True)
    ]
    return {"task": labels.task, "classes": [str(labels.classes[int(c)]) for c in shown], "shares": shares}
