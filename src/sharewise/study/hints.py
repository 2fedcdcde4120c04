"""What a table shows of how its columns belong together, for the comments of a study file that `init` writes."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from sharewise.tables import columns as col

MOST_CLASSES = 200
"""Labels of a task whose place in a hierarchy is looked for."""


def coarser(table: pa.Table, fine: str, others: Sequence[str]) -> str | None:
    """The column whose classes those of `fine` divide, None where there is none.

    Every class of `fine` lies under one class of the coarser column, and some of that has several below it; a row has a
    fine label just where its coarse class has any below it. Of several such columns, the one labelled on fewest rows.
    Cost: one pass over the pairs of columns.
    """
    labels = table.column(fine)
    if not labels.null_count and len(pc.unique(labels)) < 3:
        # Two classes everywhere divide no others.
        return None
    found = [name for name in others if name != fine and _divides(table.column(fine), table.column(name))]
    return min(found, key=lambda name: len(table) - table.column(name).null_count, default=None)


def _divides(fine: pa.ChunkedArray, coarse: pa.ChunkedArray) -> bool:
    labels, above = col.text(fine), col.text(coarse)
    pairs = pa.table({"fine": labels, "coarse": above}).group_by(["fine", "coarse"]).aggregate([]).to_pylist()
    if len(pairs) > MOST_CLASSES:
        return False
    below = [p for p in pairs if p["fine"] is not None]
    parents = {p["coarse"] for p in below}
    unlabelled = {p["coarse"] for p in pairs if p["fine"] is None}
    if None in parents or len(below) != len({p["fine"] for p in below}) or len(below) == len(parents):
        return False
    n_coarse = len(pc.unique(above.drop_null()))
    return not parents & unlabelled and (len(parents) > 1 or n_coarse > 1)
