"""Mend what can be mended safely: a new table and a summary of every difference; the original is never touched."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sharewise.audit.checks.category_variants import spellings
from sharewise.audit.checks.empty_rows import empty_rows
from sharewise.audit.checks.label_conflicts import contradicted
from sharewise.audit.columns import is_text, mix
from sharewise.audit.duplicates import chance_like, groups
from sharewise.audit.neighbours import near_pairs
from sharewise.audit.result import Rows
from sharewise.audit.view import PART_NAMES, AuditView
from sharewise.errors import ConfigError, DataError, Problem, nearest

MAX_IDS = 1000


@dataclass(frozen=True)
class Change:
    """What one fix did: `n_rows` rows removed or altered (the first 1,000 ids in `rows`), in `columns`, in a
    sentence."""

    fix: str
    sentence: str
    n_rows: int
    columns: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()


@dataclass
class _Work:
    """The table on its way: cells are changed in `arrow`, rows and columns leave at the end."""

    view: AuditView
    arrow: pa.Table
    keep: npt.NDArray[np.bool_]
    dropped: set[str]

    def change(self, fix: str, sentence: str, rows: Rows, columns: Sequence[str] = ()) -> Change:
        """A record of a change."""
        return Change(fix, sentence, len(rows), tuple(columns), tuple(self.view.row_ids(rows[:MAX_IDS])))

    def replace(self, name: str, column: pa.ChunkedArray | pa.Array) -> None:
        """Put a column in the place of another."""
        at = self.arrow.column_names.index(name)
        self.arrow = self.arrow.set_column(at, self.arrow.schema.field(name).with_type(column.type), column)


def mend(view: AuditView, fixes: Sequence[str]) -> tuple[pa.Table, tuple[Change, ...]]:
    """The table with the named fixes applied (in the order of `FIXES`, whatever the order given), and what changed.

    Raises ConfigError for a fix that does not exist.
    """
    for name in fixes:
        if name not in FIXES:
            raise ConfigError(Problem("A fix must be known", f"'{name}' is not", nearest(name, FIXES)))
    work = _Work(view, view.arrow, np.ones(view.n_rows, dtype=bool), set())
    changes = tuple(make(work) for name, make in FIXES.items() if name in fixes)
    table = work.arrow.select([n for n in work.arrow.column_names if n not in work.dropped])
    return table.filter(pa.array(work.keep)), changes


def write(table: pa.Table, path: Path, source: str) -> None:
    """Write a table as Parquet, CSV or Arrow by its suffix, whole or not at all; raises DataError where a file is there
    already, or for another suffix."""
    from pyarrow import csv, feather, parquet

    if path.exists():
        fact = "it is the table itself" if path.resolve() == Path(source).resolve() else "there is a file"
        raise DataError(Problem(f"'{path}' must not exist, as a fix writes a new table", fact, "Name another file"))
    temporary = path.with_name(f".{path.name}.part")
    try:
        match path.suffix.lower():
            case ".parquet" | ".pq":
                parquet.write_table(table, temporary, compression="zstd")
            case ".csv":
                csv.write_csv(table, temporary)
            case ".arrow" | ".feather":
                feather.write_feather(table, temporary)
            case suffix:
                raise DataError(
                    Problem(
                        "A mended table is .parquet, .csv or .arrow", f"'{path.name}' ends in '{suffix}'", "Rename it"
                    )
                )
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


# --- the fixes --------------------------------------------------------------------------------------------


def _merge_spellings(work: _Work) -> Change:
    """Every category gets its most frequent spelling."""
    view, altered, names = work.view, np.zeros(work.view.n_rows, dtype=bool), []
    for name in (*view.narrow_inputs, *view.label_columns):
        if not is_text(view.arrow.schema.field(name).type):
            continue
        codes, levels = view.codes(name)
        best = spellings(codes, levels)
        if not best:
            continue
        lookup = np.arange(len(levels) + 1)
        for rare, common in best.items():
            lookup[rare] = common
        altered |= np.isin(codes, list(best))
        values = pa.array([str(level) for level in levels], pa.string())
        index = pa.array(lookup[codes], mask=codes < 0, type=pa.int64())
        work.replace(name, values.take(index).cast(work.arrow.schema.field(name).type))
        names.append(name)
    rows = np.flatnonzero(altered)
    return work.change("merge-spellings", f"{len(rows):,} rows got the usual spelling of a category.", rows, names)


def _blank_conflicts(work: _Work) -> Change:
    """Labels that contradict another row's of equal inputs become missing."""
    altered, names = np.zeros(work.view.n_rows, dtype=bool), []
    for labels, rows in contradicted(work.view).items():
        blank = np.zeros(work.view.n_rows, dtype=bool)
        blank[rows] = True
        column = work.arrow.column(labels.column)
        work.replace(labels.column, pc.if_else(pa.array(blank), pa.scalar(None, column.type), column))
        altered |= blank
        names.append(labels.column)
    rows = np.flatnonzero(altered)
    return work.change("blank-conflicts", f"On {len(rows):,} rows contradicting labels were made missing.", rows, names)


def _group_split(work: _Work) -> Change:
    """Copies, near copies and rows of one entity go to one part: a group that lies in several parts moves as a whole,
    to a part drawn with the parts' shares."""
    view = work.view
    group = _components(view)
    order = np.argsort(group, kind="stable")
    first = np.flatnonzero(np.concatenate([[True], group[order][1:] != group[order][:-1]]))
    used = view.part >= 0
    low = np.minimum.reduceat(np.where(used, view.part, 9)[order], first)
    high = np.maximum.reduceat(view.part[order], first)
    torn = (high >= 0) & (low != high)
    shares = np.cumsum([np.mean(view.part[used] == p) for p in range(3)])
    ids = group[order][first].astype(np.uint64)
    luck = mix(ids ^ np.uint64(view.rng("group-split").integers(1 << 62))).astype(np.float64) / 2.0**64
    drawn = np.minimum(np.searchsorted(shares, luck, side="right"), 2)
    target = np.full(int(group.max(initial=0)) + 1, -1)
    target[group[order][first]] = np.where(torn, drawn, -1)
    moves = used & (target[group] >= 0) & (target[group] != view.part)
    part = np.where(moves, target[group], view.part)
    words = pa.array([*PART_NAMES, None], pa.string()).take(pa.array(np.where(part < 0, 3, part)))
    name = view.schema.split or "split"
    if name in work.arrow.column_names:
        work.replace(name, words)
    else:
        work.arrow = work.arrow.append_column(name, words)
    rows = np.flatnonzero(moves)
    sizes = ", ".join(f"{PART_NAMES[p]} {int((part == p).sum()):,}" for p in range(3))
    return work.change(
        "group-split", f"{len(rows):,} rows moved to the part of their group; now {sizes}.", rows, [name]
    )


def _components(view: AuditView) -> Rows:
    """(N,) number of the group of rows that are tied by equal inputs, nearness or entity."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    rows, starts = groups(view.input_hash) if view.input_names else (np.empty(0, np.int64), np.zeros(1, np.int64))
    tied = ~chance_like(view, rows)
    inner = np.ones(len(rows), dtype=bool)
    inner[starts[:-1]] = False
    pairs = [np.stack([np.roll(rows, 1)[inner & tied], rows[inner & tied]], axis=1), near_pairs(view)]
    entity = view.schema.entity
    if entity is not None and entity in view.arrow.column_names:
        same, begins = groups(view.hashes(entity))
        inside = np.ones(len(same), dtype=bool)
        inside[begins[:-1]] = False
        pairs.append(np.stack([np.roll(same, 1)[inside], same[inside]], axis=1))
    edges = np.concatenate(pairs)
    n = view.n_rows
    graph = coo_matrix((np.ones(len(edges), dtype=np.int8), (edges[:, 0], edges[:, 1])), shape=(n, n))
    group: Rows = connected_components(graph, directed=False)[1].astype(np.int64)
    return group


def _drop_duplicates(work: _Work) -> Change:
    """Of rows that are equal in inputs, labels and all other columns but ids and split, the first stays."""
    rows, starts = groups(work.view.row_hash)
    spare = np.ones(len(rows), dtype=bool)
    spare[starts[:-1]] = False
    spare &= ~chance_like(work.view, rows)
    gone = np.sort(rows[spare])
    work.keep[gone] = False
    return work.change("drop-duplicates", f"{len(gone):,} copies of rows were dropped.", gone)


def _drop_empty_rows(work: _Work) -> Change:
    """Rows that miss most of their inputs leave."""
    gone = empty_rows(work.view)
    work.keep[gone] = False
    return work.change("drop-empty-rows", f"{len(gone):,} rows without inputs were dropped.", gone)


def _drop_constant(work: _Work) -> Change:
    """Inputs that never change leave."""
    view = work.view
    names = [n for n in view.input_names if view.n_rows and not (view.hashes(n) != view.hashes(n)[0]).any()]
    work.dropped.update(names)
    none = np.empty(0, dtype=np.int64)
    return work.change("drop-constant", f"{len(names)} constant columns were dropped.", none, names)


FIXES: dict[str, Callable[[_Work], Change]] = {
    "merge-spellings": _merge_spellings,
    "blank-conflicts": _blank_conflicts,
    "group-split": _group_split,
    "drop-constant": _drop_constant,
    "drop-duplicates": _drop_duplicates,
    "drop-empty-rows": _drop_empty_rows,
}
"""Fixes by name, in the order in which they are applied."""
