"""One column as arrays: numbers, codes, 64-bit hashes and bins, always with missing marked the same way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sharewise.tasks import Label

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int32]
Hashes = npt.NDArray[np.uint64]

_MISSING = np.uint64(0x9E3779B97F4A7C15)
_BLOCK = 1 << 16


def is_number(kind: pa.DataType) -> bool:
    """True for a type whose values are numbers, booleans or points in time."""
    return bool(
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_temporal(kind)
        or pa.types.is_decimal(kind)
    )


def is_list(kind: pa.DataType) -> bool:
    """True for lists of any kind."""
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def is_text(kind: pa.DataType) -> bool:
    """True for strings, also where they are dictionary-encoded."""
    if pa.types.is_dictionary(kind):
        return is_text(kind.value_type)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def numbers(column: pa.ChunkedArray) -> Floats:
    """(N,) float64 with nan for missing; times in seconds since 1970, booleans as 0 and 1; all nan for text."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_temporal(column.type):
        if pa.types.is_date(column.type):
            column = column.cast(pa.timestamp("s"))
        if not pa.types.is_timestamp(column.type):
            return np.full(len(column), np.nan)
        unit = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}[column.type.unit]
        whole: Floats = column.cast(pa.int64()).cast(pa.float64(), safe=False).to_numpy() / unit
        return whole
    if not is_number(column.type):
        return np.full(len(column), np.nan)
    out: Floats = np.array(column.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)
    out[~np.isfinite(out)] = np.nan
    return out


def codes(column: pa.ChunkedArray) -> tuple[Codes, tuple[Label, ...]]:
    """(N,) int32 position in the sorted distinct values, -1 for missing, and those values."""
    flat = column.combine_chunks()
    if isinstance(flat, pa.ChunkedArray):
        flat = pa.concat_arrays(flat.chunks) if flat.num_chunks else pa.array([], column.type)
    if pa.types.is_dictionary(flat.type):
        flat = flat.cast(flat.type.value_type)
    if is_list(flat.type) or pa.types.is_binary(flat.type) or pa.types.is_fixed_size_binary(flat.type):
        distinct, inverse = np.unique(hashes(column), return_inverse=True)
        return inverse.astype(np.int32), tuple(int(d) for d in distinct)
    encoded = flat.dictionary_encode()
    levels = encoded.dictionary.to_pylist()
    order = sorted(range(len(levels)), key=lambda i: (str(type(levels[i])), levels[i]))
    rank = np.empty(len(levels) + 1, dtype=np.int32)
    rank[order] = np.arange(len(levels), dtype=np.int32)
    rank[-1] = -1
    index = encoded.indices.fill_null(len(levels)).to_numpy(zero_copy_only=False)
    return rank[index], tuple(levels[i] for i in order)


def vectors(column: pa.ChunkedArray) -> npt.NDArray[np.float32]:
    """(N, D) float32 of a fixed-width list column; a missing or short row is all nan."""
    flat = column.combine_chunks()
    if pa.types.is_fixed_size_list(flat.type):
        width = flat.type.list_size
    else:
        lengths = pc.list_value_length(flat).to_numpy(zero_copy_only=False)
        known = lengths[np.isfinite(lengths.astype(np.float64))]
        width = int(known.max()) if len(known) else 0
    out = np.full((len(flat), width), np.nan, dtype=np.float32)
    usable = pc.fill_null(pc.equal(pc.list_value_length(flat), width), False).to_numpy(zero_copy_only=False)
    rows = np.flatnonzero(usable)
    inner = pc.list_flatten(flat.take(pa.array(rows)))
    out[rows] = inner.cast(pa.float32(), safe=False).to_numpy(zero_copy_only=False).reshape(len(rows), width)
    return out


def mix(values: Hashes) -> Hashes:
    """Finaliser of splitmix64: spreads every input bit over all output bits (Steele, Lea and Flood 2014)."""
    out = values + np.uint64(0x9E3779B97F4A7C15)
    out = (out ^ (out >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    out = (out ^ (out >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: Hashes = out ^ (out >> np.uint64(31))
    return mixed


def hashes(column: pa.ChunkedArray) -> Hashes:
    """(N,) uint64, equal where the cells are equal: nan equals missing, floats to float32 precision (1e-7)."""
    if is_number(column.type):
        values = numbers(column) + 0.0  # adding zero makes -0.0 and 0.0 one value
        if pa.types.is_floating(column.type):
            with np.errstate(over="ignore"):
                bits = values.astype(np.float32).view(np.uint32).astype(np.uint64)
        else:
            bits = values.view(np.uint64)
        return np.where(np.isnan(values), _MISSING, mix(bits))
    if is_list(column.type) and is_number(column.type.value_type):
        return _vector_hashes(column)
    if is_list(column.type):
        column = pc.binary_join(column.cast(pa.list_(pa.string())), "\x1f")
    return _byte_hashes(column)


def _vector_hashes(column: pa.ChunkedArray) -> Hashes:
    out = np.empty(len(column), dtype=np.uint64)
    for start in range(0, len(column), _BLOCK):
        block = vectors(column.slice(start, _BLOCK)) + np.float32(0)
        weights = mix(np.arange(block.shape[1], dtype=np.uint64)) | np.uint64(1)
        bits = np.where(np.isnan(block), np.float32(-7.5e33), block).view(np.uint32).astype(np.uint64)
        out[start : start + len(block)] = mix((mix(bits) * weights).sum(axis=1, dtype=np.uint64))
    return out


def _byte_hashes(column: pa.ChunkedArray) -> Hashes:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_fixed_size_binary(column.type) and column.type.byte_width % 8 == 0:
        return _word_hashes(column)
    out = np.empty(len(column), dtype=np.uint64)
    for start in range(0, len(column), _BLOCK):
        data, offsets = raw_bytes(column.slice(start, _BLOCK))
        missing = column.slice(start, _BLOCK).is_null().to_numpy()
        out[start : start + len(missing)] = np.where(missing, _MISSING, _polynomial(data, offsets))
    return out


def _word_hashes(column: pa.ChunkedArray) -> Hashes:
    """Hashes of pictures and the like, eight bytes at a time."""
    out = np.empty(len(column), dtype=np.uint64)
    width = column.type.byte_width // 8
    weights = mix(np.arange(width, dtype=np.uint64)) | np.uint64(1)
    step = max(_BLOCK // max(width, 1), 1)
    for start in range(0, len(column), step):
        part = column.slice(start, step)
        missing = part.is_null().to_numpy()
        data, _ = raw_bytes(part.drop_null())
        words = np.frombuffer(data.tobytes(), dtype=np.uint64).reshape(-1, width)
        block = np.full(len(missing), _MISSING, dtype=np.uint64)
        block[~missing] = mix((mix(words) * weights).sum(axis=1, dtype=np.uint64))
        out[start : start + len(block)] = block
    return out


def raw_bytes(column: pa.ChunkedArray) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """All bytes of a text or binary column in one array, and the N + 1 offsets of its rows; missing rows are empty."""
    flat = column.cast(pa.large_binary()).fill_null(b"").combine_chunks()
    if isinstance(flat, pa.ChunkedArray):
        flat = pa.concat_arrays(flat.chunks) if flat.num_chunks else pa.array([], pa.large_binary())
    _, offset_buffer, data_buffer = flat.buffers()
    if offset_buffer is None:
        return np.empty(0, np.uint8), np.zeros(1, np.int64)
    offsets = np.frombuffer(offset_buffer, dtype=np.int64)[flat.offset : flat.offset + len(flat) + 1]
    data = np.empty(0, np.uint8) if data_buffer is None else np.frombuffer(data_buffer, dtype=np.uint8)
    return data[offsets[0] : offsets[-1]], offsets - offsets[0]


def _polynomial(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> Hashes:
    """Sum of (random number of the byte) x (odd power of the position), mixed with the length."""
    lengths = np.diff(offsets)
    if not len(data):
        return mix(lengths.astype(np.uint64))
    table = mix(np.arange(256, dtype=np.uint64) + np.uint64(977))
    powers = mix(np.arange(int(lengths.max()), dtype=np.uint64)) | np.uint64(1)
    position = np.arange(len(data)) - np.repeat(offsets[:-1], lengths)
    terms = table[data] * powers[position]
    running = np.concatenate([np.zeros(1, np.uint64), np.cumsum(terms, dtype=np.uint64)])
    sums = running[offsets[1:]] - running[offsets[:-1]]
    return mix(sums + lengths.astype(np.uint64))


@dataclass(frozen=True)
class Bins:
    """A column cut into few bins: `index` (N,) int32 in 0 .. `n` - 1; the last bin holds the missing cells."""

    index: Codes
    n: int


def quantile_bins(values: Floats, n_bins: int) -> Bins:
    """Bins of nearly equal count; ties never straddle a bin; few distinct values get a bin each."""
    known = values[~np.isnan(values)]
    distinct = np.unique(known)
    if len(distinct) > n_bins:
        edges = np.unique(np.quantile(known, np.linspace(0, 1, n_bins + 1)[1:-1], method="inverted_cdf"))
    else:
        edges = distinct[:-1]
    index = np.searchsorted(edges, values, side="left").astype(np.int32)
    n = len(edges) + 1
    index[np.isnan(values)] = n
    return Bins(index, n + 1)


def code_bins(values: Codes, n_bins: int) -> Bins:
    """A bin for each of the most frequent codes, one for the rest and one for missing."""
    counts = np.bincount(values[values >= 0], minlength=1)
    order = np.argsort(-counts, kind="stable")[:n_bins]
    lookup = np.full(len(counts) + 1, len(order), dtype=np.int32)
    lookup[order] = np.arange(len(order), dtype=np.int32)
    lookup[-1] = len(order) + 1
    return Bins(lookup[values], len(order) + 2)
