"""Columns that should not be inputs: row numbers and other ids, constants, copies of a target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sharewise.errors import DataError
from sharewise.tables import columns as col
from sharewise.tables import infer
from sharewise.tables.read import Table
from sharewise.tables.schema import InputKind
from sharewise.tables.split import WORDS

Ranks = npt.NDArray[np.float64]

MIN_ROWS = 10
"""Rows on which both columns must have a value before equality says anything."""

SCREEN = 2_000
"""Labelled rows on which every input is compared with every target; only likely copies are looked at closer."""

CLOSER = 50_000
NEAR = 0.999
"""Rank correlation, or share of agreeing rows, from which a column is called a near-copy of a target."""

LIKELY = 0.98
FEW = 100
PROBE = 1_000


@dataclass(frozen=True)
class Copy:
    """An input that tells a target: `likeness` 1 for equal values or a one-to-one relabelling, less for a near-copy."""

    column: str
    target: str
    likeness: float

    def __str__(self) -> str:
        return f"it is {'a copy' if self.likeness == 1.0 else 'nearly a copy'} of the target '{self.target}'"


def reasons(table: Table, kinds: Mapping[str, InputKind | None], targets: Sequence[str]) -> dict[str, str]:
    """Why columns should not be inputs, as phrases; columns that nothing speaks against are absent."""
    found = {name: why for name, kind in kinds.items() if (why := _unfit(table.column(name), kind)) is not None}
    readable = [name for name in kinds if name not in found]
    for copy in copies(table, readable, targets):
        found.setdefault(copy.column, str(copy))
    words = [name for name in readable if kinds[name] is InputKind.TOKENS]
    return found | {tags: f"it looks like tags of the words in '{word}'" for tags, word in _tags_of(table, words)}


def _tags_of(table: Table, names: Sequence[str]) -> list[tuple[str, str]]:
    """Columns of lists with one item for each word of another column that has more different ones, and that other."""
    made: list[tuple[str, str]] = []
    sizes = {name: pc.count_distinct(pc.list_flatten(table.column(name))).as_py() for name in names}
    for word, tags in combinations(sorted(names, key=lambda name: -sizes[name]), 2):
        if infer.beside(table.column(tags), table.column(word)) and tags not in dict(made):
            made.append((tags, word))
    return made


def _unfit(column: pa.ChunkedArray, kind: InputKind | None) -> str | None:
    if kind is None:
        return f"its type {column.type} has no encoder"
    if column.null_count == len(column):
        return "it has no value at all"
    if kind in (InputKind.EMBEDDING, InputKind.TOKENS, InputKind.IMAGE):
        return None
    if is_constant(column):
        return "it is constant"
    if kind is InputKind.CATEGORICAL and is_split(column):
        return "it looks like a split (name it under split to use it)"
    if is_identifier(column, kind):
        return "it looks like an id (every row has its own value)"
    return None


def is_constant(column: pa.ChunkedArray) -> bool:
    """True where every row has the same value."""
    if column.null_count:
        return False
    ends = pc.min_max(column)
    return bool(ends["min"] == ends["max"])


def is_split(column: pa.ChunkedArray) -> bool:
    """True where every value is a word for train, validation or test."""
    if column.null_count or not col.is_text(column.type):
        return False
    head = pc.unique(column.slice(0, PROBE)).to_pylist()
    words = head if len(head) > len(WORDS) else pc.unique(column).to_pylist()
    return all(str(v).strip().lower() in WORDS for v in words)


def is_identifier(column: pa.ChunkedArray, kind: InputKind) -> bool:
    """True for text with another value in every row, and for whole numbers that rise by one step from row to row."""
    if column.null_count or len(column) < MIN_ROWS:
        return False
    head = column.slice(0, PROBE)
    if kind is InputKind.CATEGORICAL:
        return len(pc.unique(head)) == len(head) and len(pc.unique(column)) == len(column)
    if kind is InputKind.NUMERIC and pa.types.is_integer(column.type):
        return _steady(head) and _steady(column)
    return False


def _steady(column: pa.ChunkedArray) -> bool:
    steps = np.diff(column.to_numpy())
    return bool(len(steps) and steps[0] != 0 and (steps == steps[0]).all())


# --- copies of a target -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Ranked:
    """Dense ranks of some rows of a column, nan where missing; `is_text` where the order of the ranks means little."""

    ranks: Ranks
    is_text: bool

    def at(self, rows: npt.NDArray[np.bool_]) -> _Ranked:
        return _Ranked(self.ranks[rows], self.is_text)


def copies(table: Table, inputs: Sequence[str], targets: Sequence[str]) -> list[Copy]:
    """Inputs that tell a target, exactly or nearly, on the rows where both have a value.

    Every pair is screened on some 2,000 rows by the correlation of ranks (one matrix product a target; text of few
    values by the best relabelling); what passes is compared on up to 50,000 labelled rows.
    """
    names, goals = ([n for n in some if col.is_scalar(table.column(n).type)] for some in (inputs, targets))
    if not names or not goals:
        return []
    every = np.arange(0, table.n_rows, max(table.n_rows // SCREEN, 1))
    common = _rank_all(table, [*names, *goals], every)
    found: list[Copy] = []
    for target in goals:
        ranked, y = common, common[target]
        labelled = _labelled(table, target)
        if len(labelled) < MIN_ROWS:
            continue
        if np.isfinite(y.ranks).sum() < min(len(labelled), SCREEN // 4):
            # Few of the common rows carry this label: it is screened on rows of its own.
            ranked = _rank_all(table, [*names, target], labelled[:: max(len(labelled) // SCREEN, 1)])
            y = ranked[target]
        for name in _likely({n: ranked[n] for n in names}, y):
            rows = labelled[:: max(len(labelled) // CLOSER, 1)]
            closer = _rank_all(table, [name, target], rows) if name != target else {}
            close = likeness(closer[name], closer[target]) if closer else 1.0
            if close is not None and close >= NEAR:
                found.append(Copy(name, target, close))
    return found


def _labelled(table: Table, name: str) -> npt.NDArray[np.int64]:
    return np.flatnonzero(table.column(name).is_valid().combine_chunks().to_numpy(zero_copy_only=False))


def _rank_all(table: Table, names: Sequence[str], rows: npt.NDArray[np.int64]) -> dict[str, _Ranked]:
    few = table.arrow.select(list(dict.fromkeys(names))).take(pa.array(rows))
    return {name: _rank(few.column(name)) for name in few.column_names}


def _rank(column: pa.ChunkedArray) -> _Ranked:
    """Equal values share a rank, ascending from 0; numeric text is ranked as numbers."""
    present = column.is_valid().combine_chunks().to_numpy(zero_copy_only=False)
    ranks = np.full(len(column), np.nan)
    if not present.any():
        return _Ranked(ranks, False)
    seen = column.drop_null()
    is_text = col.is_text(column.type)
    if is_text and infer.share(pc.unique(seen).slice(0, PROBE), col.parses_as_number) < 1.0:
        codes = seen.combine_chunks().dictionary_encode()
        order = np.argsort(np.asarray(codes.dictionary.to_pylist(), dtype=object))
        place = np.empty(len(order))
        place[order] = np.arange(len(order))
        ranks[present] = place[codes.indices.to_numpy(zero_copy_only=False)]
        return _Ranked(ranks, True)
    try:
        values = col.floats(seen, "")
    except DataError:
        return _Ranked(ranks, is_text)
    ranks[present] = np.unique(values, return_inverse=True)[1]
    return _Ranked(ranks, False)


def _likely(inputs: Mapping[str, _Ranked], target: _Ranked) -> list[str]:
    """Inputs that may be copies of the target, from a sample."""
    rows = np.isfinite(target.ranks)
    y = target.ranks[rows]
    plain = [name for name, x in inputs.items() if not (x.is_text or target.is_text)]
    likely = []
    if plain:
        x = np.stack([inputs[name].ranks[rows] for name in plain], axis=1)
        likely = [name for name, r in zip(plain, _correlations(x, y), strict=True) if r >= LIKELY]
    for name, words in inputs.items():
        if words.is_text or target.is_text:
            close = likeness(words.at(rows), target.at(rows))
            if close is not None and close >= LIKELY:
                likely.append(name)
    return likely


def _correlations(x: Ranks, y: Ranks) -> Ranks:
    """|Pearson correlation| of every column of x (n, F) with y (n,), each over the rows where x is present."""
    y = y - y.mean()
    there = np.isfinite(x)
    filled = np.where(there, x, 0.0)
    n = np.maximum(there.sum(axis=0), 1)
    mean_x, mean_y = filled.sum(axis=0) / n, y @ there / n
    covariance = y @ filled / n - mean_x * mean_y
    variance = ((filled**2).sum(axis=0) / n - mean_x**2) * ((y**2) @ there / n - mean_y**2)
    safe = np.where((variance > 0) & (n >= MIN_ROWS), variance, np.inf)
    correlations: Ranks = np.abs(covariance) / np.sqrt(safe)
    return correlations


def likeness(a: _Ranked, b: _Ranked) -> float | None:
    """How nearly `a` tells `b`, on the rows where both have a value: 1 for equal values or a one-to-one relabelling,
    else |rank correlation| for numbers, the share of rows that the best relabelling explains for text of few values;
    None where too few rows, or constants, say nothing.
    """
    both = np.isfinite(a.ranks) & np.isfinite(b.ranks)
    if both.sum() < MIN_ROWS:
        return None
    x = np.unique(a.ranks[both], return_inverse=True)[1]
    y = np.unique(b.ranks[both], return_inverse=True)[1]
    n_x, n_y = int(x.max()) + 1, int(y.max()) + 1
    if min(n_x, n_y) < 2:
        return None
    few = n_x <= min(FEW, len(x) // 2)
    if n_x == n_y and ((few and len(np.unique(x * n_y + y)) == n_x) or (x == y).all() or (x == y.max() - y).all()):
        # Columns of all-distinct values pair off one to one whatever they hold: only their order tells.
        return 1.0
    below = float(np.nextafter(1.0, 0.0))
    if a.is_text or b.is_text:
        if n_x != n_y or n_x > FEW:
            return None
        table = np.bincount(x * n_y + y, minlength=n_x * n_y).reshape(n_x, n_y)
        return min(float(table.max(axis=1).sum()) / len(x), below)
    return min(float(_correlations(x[:, None].astype(np.float64), y.astype(np.float64))[0]), below)
