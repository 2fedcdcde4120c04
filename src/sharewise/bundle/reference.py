"""What drift will be measured against: the inputs of the train rows, as quantiles and counts, never as rows."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sharewise.tables import columns as col
from sharewise.tables.read import Table
from sharewise.tables.schema import InputKind, Schema

N_QUANTILES = 101
MOST_CATEGORIES = 200

Rows = NDArray[np.int64]


def drift_reference(table: Table, schema: Schema, rows: Rows) -> dict[str, bytes]:
    """`inputs.json`: per input the share of missing cells, and percentiles (numbers, dates in seconds since 1970),
    counts of the most frequent values (categories), means of the cells (vectors), the lengths of texts in characters
    and words, or the share of ids that occur once."""
    made: dict[str, Any] = {}
    for said in schema.inputs:
        column = table.column(said.name).take(pa.array(rows))
        made[said.name] = {
            "kind": said.kind.value,
            "rows": len(rows),
            "missing": column.null_count / max(len(rows), 1),
            **_described(said.name, said.kind, column),
        }
    return {"inputs.json": (json.dumps(made, indent=1, ensure_ascii=False) + "\n").encode()}


def _described(name: str, kind: InputKind, column: pa.ChunkedArray) -> dict[str, Any]:
    match kind:
        case InputKind.NUMERIC | InputKind.BOOLEAN:
            return _quantiles(col.floats(column, name))
        case InputKind.DATETIME:
            return _quantiles(col.dates(column, name))
        case InputKind.CATEGORICAL:
            counts = pc.value_counts(col.text(column).drop_null()).to_pylist()
            ranked = sorted(((c["counts"], str(c["values"])) for c in counts), key=lambda c: (-c[0], c[1]))
            kept = {value: count for count, value in ranked[:MOST_CATEGORIES]}
            return {"counts": kept, "other": sum(count for count, _ in ranked[MOST_CATEGORIES:])}
        case InputKind.EMBEDDING:
            values, present = col.vectors(column, name, col.list_width(column) or 0)
            finite = np.nan_to_num(values[present].astype(np.float64))
            return {"means": finite.mean(axis=0).tolist() if len(finite) else []}
        case InputKind.TEXT:
            words = pc.count_substring_regex(col.text(column).fill_null(""), r"\S+")
            characters = pc.utf8_length(col.text(column).drop_null())
            empty = pc.mean(pc.equal(words, 0)).as_py()
            return {
                "empty": float(empty or 0.0),
                "characters": _quantiles(characters.cast(pa.float64()).to_numpy())["quantiles"],
                "words": _quantiles(words.cast(pa.float64()).to_numpy())["quantiles"],
            }
        case InputKind.ID:
            counts = pc.value_counts(col.text(column).drop_null()).field("counts").to_numpy()
            return {"distinct": len(counts), "once": float(np.mean(counts == 1)) if len(counts) else 0.0}
        case _:
            return {}


def _quantiles(values: col.Floats) -> dict[str, Any]:
    seen = values[np.isfinite(values)]
    if not len(seen):
        return {"quantiles": []}
    return {"quantiles": np.quantile(seen, np.linspace(0, 1, N_QUANTILES)).tolist()}
