"""Tags of tokens: list columns beside a column of tokens, as codes and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sharewise.batch import Inputs
from sharewise.errors import DataError, Problem, counted
from sharewise.tables import columns as col
from sharewise.tasks import OUTSIDE, Label, span_types

LONGEST = 512
"""Tokens of a sentence that are trained on and judged; those beyond are left out, with a note. Answers have all."""

MOST_NAMED = 20


def lengths(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """Tokens of each row, 0 where missing."""
    counts = pc.fill_null(pc.list_value_length(column), 0)
    return np.asarray(counts.combine_chunks().to_numpy(zero_copy_only=False), np.int64)


def flat(column: pa.ChunkedArray) -> tuple[pa.Array, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """All tokens of a column one after the other, the row of each and its place in the row."""
    whole = column.combine_chunks()
    whole = whole.chunk(0) if isinstance(whole, pa.ChunkedArray) else whole
    counts = lengths(column)
    rows = np.repeat(np.arange(len(counts)), counts)
    starts = np.cumsum(counts) - counts
    return pc.list_flatten(whole), rows, np.arange(len(rows)) - starts[rows]


def shortened(inputs: Inputs[npt.NDArray[Any]]) -> Inputs[npt.NDArray[Any]]:
    """The inputs of a study, sentences cut after what is judged of them."""
    blocks = {n: b[:, :LONGEST] if n.startswith("tokens:") else b for n, b in inputs.blocks.items()}
    return Inputs(blocks)


def classes(column: pa.ChunkedArray, name: str, given: Sequence[Label]) -> tuple[Label, ...]:
    """The tags in output order. Tags of spans (O, B-X, I-X) are O, then B-X and I-X of every type in turn, both
    always, so that a code tells its type; other tags ascend. Raises DataError where the column holds no tags."""
    if not col.is_list(column.type) or col.is_list(column.type.value_type):
        fact = f"the column is of type {column.type}"
        raise DataError(Problem("The tags of a row are a list, one for each token", fact, column=name))
    found = list(given) or col.distinct(pa.chunked_array([flat(column)[0]]))
    if not found:
        raise DataError(Problem("A tagging task needs tags", "no token has one", "Remove the task", column=name))
    types = span_types(found)
    if types is None:
        return tuple(found)
    return (OUTSIDE, *(f"{mark}-{kind}" for kind in types for mark in "BI"))


def codes(
    column: pa.ChunkedArray, tags: Sequence[Label], length: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Codes (N, `length`) of the tags and which tokens have one; a tag that is none of `tags` counts as absent."""
    values, rows, places = flat(column)
    numeric = not all(isinstance(t, str) for t in tags)
    found = col.codes(pa.chunked_array([values]), [col.canonical(t) for t in tags], numeric=numeric)
    kept = (found >= 0) & (places < length)
    out = np.zeros((len(column), length))
    present = np.zeros((len(column), length), dtype=bool)
    out[rows[kept], places[kept]] = found[kept]
    present[rows[kept], places[kept]] = True
    return out, present


def unequal(tokens: pa.ChunkedArray, column: pa.ChunkedArray, words: str, name: str, file: str) -> list[Problem]:
    """Rows whose tags are not as many as their tokens; a row without tags is not labelled and is no problem."""
    n_tokens, n_tags = lengths(tokens), lengths(column)
    tagged = column.is_valid().combine_chunks().to_numpy(zero_copy_only=False)
    odd = np.flatnonzero(tagged & (n_tokens != n_tags))
    rule = f"A row has a tag for each of its tokens in '{words}'"
    remedy = "Correct the row, or leave its tags missing"
    made = [
        Problem(
            rule,
            f"it has {counted(n_tags[r], 'tag')} and {counted(n_tokens[r], 'token')}",
            remedy,
            file,
            column=name,
            row=int(r) + 1,
        )
        for r in odd[:MOST_NAMED]
    ]
    if len(odd) > MOST_NAMED:
        made.append(Problem(rule, f"{len(odd) - MOST_NAMED} more rows have not", file=file, column=name))
    return made


def as_wide(prediction: npt.NDArray[np.float32], length: int) -> npt.NDArray[np.float32]:
    """Tag codes (N, L) of the first `length` tokens, -1 beyond those there are: as wide as the tags that judge them."""
    made = np.full((len(prediction), length), -1.0, np.float32)
    made[:, : prediction.shape[1]] = prediction[:, :length]
    return made


def answers(tags: Sequence[Label], prediction: npt.NDArray[np.float32], known: npt.NDArray[np.bool_]) -> pa.Array:
    """Per row the list of its tokens' tags, from codes (N, L) that are negative beyond the last token."""
    taken = (prediction >= 0) & known[:, None]
    values = pa.array(list(tags)).take(pa.array(np.rint(prediction[taken]).astype(np.int64)))
    return _lists(values, taken, known)


def lists(cells: npt.NDArray[np.float32], there: npt.NDArray[np.bool_], known: npt.NDArray[np.bool_]) -> pa.Array:
    """Per row the list of its tokens' numbers (N, L), None for rows that are not answered."""
    taken = there & known[:, None]
    return _lists(pa.array(cells[taken]), taken, known)


def _lists(values: pa.Array, taken: npt.NDArray[np.bool_], known: npt.NDArray[np.bool_]) -> pa.Array:
    ends = np.concatenate([[0], np.cumsum(taken.sum(axis=1))]).astype(np.int32)
    made = pa.ListArray.from_arrays(pa.array(ends), values)
    return made if known.all() else pc.if_else(pa.array(known), made, pa.scalar(None, made.type))
