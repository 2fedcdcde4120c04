"""Equal rows: found by hashing, and told apart from rows that coarse inputs make equal by chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sharewise.audit.columns import Hashes, is_list, is_text
from sharewise.audit.result import Rows
from sharewise.audit.view import AuditView, Flags
from sharewise.tables.schema import InputKind

MAX_LEFT_OUT = 48
"""Columns that are left out one at a time when looking for near misses; more are sampled."""
SHORT_TEXT = 25
"""Characters below which people write the same text twice ("Thank you.", "show the movie times")."""
MAX_CHANCE = 0.05
"""Equal rows expected by chance, as a share of those found, above which they are no evidence of copying (the usual
5 % level)."""
MIN_KAPPA = 0.5
"""Agreement of twins beyond chance below which a tenth of a table in twins is coarseness, not copies."""


@dataclass(frozen=True)
class Twins:
    """Rows of one part (`rows`) with, for each, the first equal row of another part (`partners`)."""

    rows: Rows
    partners: Rows


def twins_across(keys: Hashes, part: npt.NDArray[np.int8], first: int, second: int) -> Twins:
    """Rows of `second` whose key occurs in `first`; O(N log N)."""
    known = np.flatnonzero(part == first)
    asked = np.flatnonzero(part == second)
    values, position = np.unique(keys[known], return_index=True)
    if not len(values) or not len(asked):
        return Twins(np.empty(0, np.int64), np.empty(0, np.int64))
    at = np.minimum(np.searchsorted(values, keys[asked]), len(values) - 1)
    hit = values[at] == keys[asked]
    return Twins(asked[hit], known[position[at[hit]]])


def groups(keys: Hashes) -> tuple[Rows, Rows]:
    """Rows that share their key with another, ordered by key, and the start of each group in that order (plus the
    end): rows[start[i]:start[i + 1]] is a group of at least two."""
    order = np.argsort(keys, kind="stable").astype(np.int64)
    ordered = keys[order]
    edges = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1], [True]]))
    sizes = np.diff(edges)
    keep = np.repeat(sizes > 1, sizes)
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes[sizes > 1])])
    return order[keep], starts


def chance_like(view: AuditView, rows: Rows) -> Flags:
    """(len(rows),) bool: True where an equal row may well be a coincidence. Three signs, any of which is enough:

    - near misses: a row that agrees with m others on all columns but j, whose cell j a share f of the other rows has,
    meets m f / (1 - f) equal rows by chance; it counts where the sum over the columns is at least 0.05 of its equal
    rows (one sort for each column). A copy has equal rows, but hardly a near miss in a common cell; - disagreement:
    over a tenth of all rows have a twin, no input is fine, and twins agree on their labels hardly more than any two
    rows do (kappa below 0.5), as copies would not; - short text: all inputs are texts, together under `SHORT_TEXT`
    characters, which people write twice.
    """
    if not len(rows):
        return np.zeros(0, dtype=bool)
    if is_coarse(view):
        return np.ones(len(rows), dtype=bool)
    return _near_misses(view, rows) | _short_text(view, rows)


def _near_misses(view: AuditView, rows: Rows) -> Flags:
    names = view.input_names
    if len(names) < 2:
        return np.zeros(len(rows), dtype=bool)
    if len(names) > MAX_LEFT_OUT:
        chosen = view.rng("chance").choice(len(names), MAX_LEFT_OUT, replace=False)
        names = tuple(view.input_names[i] for i in sorted(chosen.tolist()))
    whole = view.input_hash
    equal = _count(whole, whole[rows]) - 1
    expected = np.zeros(len(rows))
    for name in names:
        cells = view.hashes(name)
        rest = whole - cells
        # The row and its equals are no evidence of how common the cell is.
        share = (_count(cells, cells[rows]) - 1 - equal) / view.n_rows
        near = _count(rest, rest[rows]) - 1 - equal
        expected += np.where(share < 1, near * share / np.maximum(1 - share, 1e-12), 0)
    chance: Flags = expected >= MAX_CHANCE * np.maximum(equal, 1)
    return chance


def _short_text(view: AuditView, rows: Rows) -> Flags:
    short = np.zeros(len(rows), dtype=bool)
    length = np.zeros(len(rows), dtype=np.int64)
    for name in view.input_names:
        if view.kind(name) not in (InputKind.TEXT, InputKind.TOKENS):
            return short
        cells = view.arrow.column(name).take(pa.array(rows))
        if is_list(cells.type):
            cells = pc.binary_join(cells.cast(pa.list_(pa.string())), " ")
        if not is_text(cells.type):
            return short
        size = pc.fill_null(pc.utf8_length(cells), 0).to_numpy()
        length = np.maximum(length, size)
    return length < SHORT_TEXT


def is_coarse(view: AuditView) -> bool:
    """True where over a tenth of the rows have a twin, twins agree on labels hardly more than strangers do, and no
    input has different cells on over a tenth of the rows."""
    return view.once("coarse", make=lambda: _is_coarse(view))


def _is_coarse(view: AuditView) -> bool:
    if not view.input_names:
        return False
    rows, starts = groups(view.input_hash)
    if len(rows) < 0.1 * view.n_rows:
        return False
    sample = view.sample
    if any(len(np.unique(view.hashes(n)[sample])) > 0.1 * len(sample) for n in view.input_names):
        return False  # rows that agree on a fine column are no coincidence, whatever their labels
    same_group = np.ones(len(rows), dtype=bool)
    same_group[starts[:-1]] = False
    first, second = np.roll(rows, 1)[same_group], rows[same_group]
    agree, expected = 0.0, 0.0
    for labels in view.labels:
        both = labels.present[first] & labels.present[second]
        known = labels.values[labels.present]
        if both.any():
            counts = np.unique(known, return_counts=True)[1] / len(known)
            agree += float((labels.values[first] == labels.values[second])[both].mean())
            expected += float((counts**2).sum())
    n = max(len(view.labels), 1)
    return expected < n and (agree - expected) / (n - expected) < MIN_KAPPA


def _count(keys: Hashes, asked: Hashes) -> Rows:
    ordered = np.sort(keys)
    count: Rows = np.searchsorted(ordered, asked, "right") - np.searchsorted(ordered, asked, "left")
    return count
