"""Nearly equal rows, found through buckets and never by comparing all pairs.

Texts: MinHash of 5-letter shingles in bands (Broder 1997; Indyk and Motwani 1998), checked by their exact Jaccard
similarity. Numbers: projections on random directions, cut into cells (p-stable hashing, Datar and others 2004), checked
by their exact distance. A bucket links each row to the next one only, so that the work is linear in the rows.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sharewise.audit.columns import Floats, Hashes, is_list, is_number, is_text, mix, raw_bytes
from sharewise.audit.forecasts import coarse_pictures
from sharewise.audit.result import Rows
from sharewise.audit.view import AuditView
from sharewise.tables.schema import InputKind

SHINGLE = 5
BANDS, BAND_ROWS = 16, 4
"""Two texts of Jaccard similarity s share a band with probability 1 - (1 - s^4)^16: 0.9998 at 0.8, 0.64 at 0.5."""
MIN_SIMILARITY = 0.8
TABLES, DIRECTIONS = 12, 6
NEAR = 0.13
"""Nearness as a share of the median distance to the nearest neighbour (cleanlab's line for near duplicates)."""
MIN_TEXT = 30
"""Letters below which texts are alike by nature."""


def near_pairs(view: AuditView) -> npt.NDArray[np.int64]:
    """(n, 2) rows that are nearly but not exactly equal, first < second, each pair once; not all pairs of a cluster,
    but enough to connect it. Remembered in the view."""
    return view.once("near_pairs", make=lambda: _near_pairs(view))


def _near_pairs(view: AuditView) -> npt.NDArray[np.int64]:
    texts = [n for n in view.input_names if view.kind(n) in (InputKind.TEXT, InputKind.TOKENS)]
    if texts and len(texts) == len(view.input_names):
        pairs = _text_pairs(view, texts)
    else:
        pairs = _number_pairs(view)
    if not len(pairs):
        return np.empty((0, 2), dtype=np.int64)
    pairs = np.unique(np.sort(pairs, axis=1), axis=0)
    different = view.input_hash[pairs[:, 0]] != view.input_hash[pairs[:, 1]]
    near: npt.NDArray[np.int64] = pairs[different]
    return near


def _buckets(keys: Hashes, rows: Rows) -> npt.NDArray[np.int64]:
    """Pairs of rows that follow each other in a bucket."""
    order = np.argsort(keys, kind="stable")
    same = keys[order][1:] == keys[order][:-1]
    return np.stack([rows[order[:-1][same]], rows[order[1:][same]]], axis=1)


# --- texts ------------------------------------------------------------------------------------------------


def _text_pairs(view: AuditView, names: list[str]) -> npt.NDArray[np.int64]:
    column = _plain_text(view, names)
    size = pc.utf8_length(column).to_numpy()
    rows = np.flatnonzero(size >= MIN_TEXT)
    found = []
    rng = view.rng("minhash")
    factors = rng.integers(1, 1 << 62, BANDS * BAND_ROWS).astype(np.uint64) * np.uint64(2) + np.uint64(1)
    offsets = rng.integers(0, 1 << 62, BANDS * BAND_ROWS).astype(np.uint64)
    signature = np.empty((len(rows), BANDS), dtype=np.uint64)
    for start in range(0, len(rows), 1 << 13):
        block = rows[start : start + (1 << 13)]
        shingles, edges = _shingles(column.take(pa.array(block)))
        for band in range(BANDS):
            key = np.zeros(len(block), dtype=np.uint64)
            for k in range(band * BAND_ROWS, (band + 1) * BAND_ROWS):
                # The high half of a product with an odd number is as good as a random permutation here.
                least = np.minimum.reduceat((shingles * factors[k] + offsets[k]) >> np.uint64(32), edges)
                key = mix(key ^ least)
            signature[start : start + len(block), band] = key
    for band in range(BANDS):
        found.append(_buckets(signature[:, band], rows))
    pairs = np.unique(np.sort(np.concatenate(found), axis=1), axis=0) if found else np.empty((0, 2), np.int64)
    if not len(pairs):
        return pairs
    return pairs[_jaccard(column, pairs) >= MIN_SIMILARITY]


def _plain_text(view: AuditView, names: list[str]) -> pa.ChunkedArray:
    """All texts of a row in lower case, with links, names of users and blanks made alike."""
    parts = []
    for name in names:
        column = view.arrow.column(name)
        if is_list(column.type):
            column = pc.binary_join(column.cast(pa.list_(pa.string())), " ")
        parts.append(pc.fill_null(column.cast(pa.string()), ""))
    text = parts[0] if len(parts) == 1 else pc.binary_join_element_wise(*parts, " | ")
    text = pc.replace_substring_regex(pc.utf8_lower(text), r"https?://\S+|@\w+", "@")
    return pc.utf8_trim_whitespace(pc.replace_substring_regex(text, r"\s+", " "))


def _shingles(column: pa.ChunkedArray) -> tuple[Hashes, Rows]:
    """Hashes of all runs of five bytes that lie inside a row, and where each row's begin; rows have at least 30."""
    data, offsets = raw_bytes(column)
    codes = np.zeros(max(len(data) - SHINGLE + 1, 0), dtype=np.uint64)
    for i in range(SHINGLE):
        codes = (codes << np.uint64(8)) | data[i : i + len(codes)].astype(np.uint64)
    ends = np.repeat(offsets[1:], np.diff(offsets))[: len(codes)]
    inside = np.arange(len(codes)) + SHINGLE <= ends
    counts = np.maximum(np.diff(offsets) - SHINGLE + 1, 0)
    return mix(codes[inside]), np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64)


def _jaccard(column: pa.ChunkedArray, pairs: npt.NDArray[np.int64]) -> Floats:
    rows, position = np.unique(pairs, return_inverse=True)
    shingles, edges = _shingles(column.take(pa.array(rows)))
    sets = [np.unique(s) for s in np.split(shingles, edges[1:])]
    out = np.empty(len(pairs))
    for i, (a, b) in enumerate(position.reshape(-1, 2).tolist()):
        common = len(np.intersect1d(sets[a], sets[b], assume_unique=True))
        out[i] = common / max(len(sets[a]) + len(sets[b]) - common, 1)
    return out


# --- numbers ----------------------------------------------------------------------------------------------


def _number_pairs(view: AuditView) -> npt.NDArray[np.int64]:
    matrix, key = _standardised(view)
    if matrix is None or matrix.shape[1] == 0:
        return np.empty((0, 2), dtype=np.int64)
    rows = np.flatnonzero(np.isfinite(matrix).all(1))
    if len(rows) < 50:
        return np.empty((0, 2), dtype=np.int64)
    limit = NEAR * _nearest(view, matrix, rows)
    if limit <= 0:
        return np.empty((0, 2), dtype=np.int64)
    rng = view.rng("projections")
    found = []
    for _ in range(TABLES):
        directions = rng.normal(size=(matrix.shape[1], DIRECTIONS)).astype(np.float32)
        # A cell of eight times the limit parts two near rows at one edge with probability under a tenth.
        shift = rng.uniform(0, 1, DIRECTIONS).astype(np.float32)
        bucket = key[rows].copy()
        cells = np.floor(matrix[rows] @ directions / np.float32(8 * limit) + shift).astype(np.int64)
        for k in range(DIRECTIONS):
            bucket = mix(bucket ^ mix(cells[:, k].view(np.uint64)))
        pairs = _buckets(bucket, rows)
        found.append(pairs[_distance(matrix, pairs) <= limit])
    return np.concatenate(found)


def _distance(matrix: npt.NDArray[np.float32], pairs: npt.NDArray[np.int64]) -> Floats:
    out = np.empty(len(pairs))
    for start in range(0, len(pairs), 1 << 16):
        a, b = pairs[start : start + (1 << 16)].T
        out[start : start + len(a)] = np.sqrt(((matrix[a] - matrix[b]) ** 2).sum(1))
    return out


def _standardised(view: AuditView) -> tuple[npt.NDArray[np.float32] | None, Hashes]:
    """Numbers in standard deviations side by side, and a hash of everything else, which must be equal."""
    blocks: list[npt.NDArray[np.float32]] = []
    key = np.zeros(view.n_rows, dtype=np.uint64)
    for name in view.input_names:
        kind = view.arrow.schema.field(name).type
        if name in view.numeric_inputs:
            values = view.numbers(name)
            block = values.astype(np.float32)[:, None]
            key += mix(
                np.isnan(values).astype(np.uint64) + np.full(view.n_rows, len(blocks), np.uint64)
            )  # the same cells are missing
            block = np.nan_to_num(block, nan=float(np.nanmean(values)) if (~np.isnan(values)).any() else 0.0)
        elif is_list(kind) and is_number(kind.value_type):
            block = np.nan_to_num(view.vectors(name))
        elif pa.types.is_fixed_size_binary(kind):
            blocks.append(_looks(coarse_pictures(view, name, 8)))
            continue
        elif view.kind(name) in (InputKind.TEXT, InputKind.TOKENS) and (is_text(kind) or is_list(kind)):
            continue  # beside numbers a text is told apart by them
        else:
            key += view.hashes(name)
            continue
        # In a wide block a direction that hardly moves must not count as much as the others.
        spread = np.maximum(block.std(0), 0.1 * np.median(block.std(0)))
        scaled = (block - block.mean(0)) / np.where(spread > 0, spread, 1)
        # A wide block weighs as one column, else a fingerprint would drown the numbers beside it.
        blocks.append((scaled / np.sqrt(block.shape[1])).astype(np.float32))
    return (np.concatenate(blocks, axis=1) if blocks else None), key


def _looks(pictures: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Coarse pictures without their brightness and contrast, which copies lose first; all cells share a unit, so that
    a rim that hardly changes does not count as much as what is shown. Flat pictures (under 2 of 255) are all zeros."""
    centred = pictures - pictures.mean(1, keepdims=True)
    contrast = centred.std(1, keepdims=True)
    looks = np.where(contrast >= 2, centred / np.maximum(contrast, 2), 0)
    looks -= looks.mean(0)
    spread = float(np.sqrt((looks**2).sum(1).mean()))
    made: npt.NDArray[np.float32] = (looks / (spread if spread > 0 else 1)).astype(np.float32)
    return made


def _nearest(view: AuditView, matrix: npt.NDArray[np.float32], rows: Rows) -> float:
    """Median distance of 500 rows to their nearest neighbour that is not equal, among all or 20,000 rows."""
    rng = view.rng("nearest")
    asked = rng.choice(rows, min(500, len(rows)), replace=False)
    among = rows if len(rows) <= 20_000 else rng.choice(rows, 20_000, replace=False)
    best = np.full(len(asked), np.inf, dtype=np.float64)
    squares = (matrix[asked] ** 2).sum(1)[:, None]
    for start in range(0, len(among), 2000):
        part = matrix[among[start : start + 2000]]
        distance = squares - 2 * matrix[asked] @ part.T + (part**2).sum(1)[None]
        distance[distance < 1e-5] = np.inf  # the row itself and its exact twins
        best = np.minimum(best, distance.min(1))
    known = best[np.isfinite(best)]
    return float(np.sqrt(np.median(known))) if len(known) else 0.0
