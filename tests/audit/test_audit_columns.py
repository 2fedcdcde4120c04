"""Columns as arrays: equal cells hash alike, missing is one thing, bins keep ties together."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sharewise.audit.columns import codes, hashes, numbers, quantile_bins, vectors

CELLS = [
    st.one_of(st.none(), st.integers(-(2**40), 2**40)),
    st.one_of(st.none(), st.floats(-1e6, 1e6, width=32)),
    st.one_of(st.none(), st.text(max_size=12)),
    st.one_of(st.none(), st.booleans()),
    st.one_of(st.none(), st.lists(st.text(max_size=3), max_size=4)),
]


@pytest.mark.parametrize("cells", CELLS)
def test_hashes_are_equal_exactly_where_cells_are(cells: st.SearchStrategy[object]) -> None:
    @given(st.lists(cells, min_size=1, max_size=30))
    @settings(max_examples=40, deadline=None)
    def check(values: list[object]) -> None:
        column = (
            pa.chunked_array([pa.array(values[:3]), pa.array(values[3:], pa.array(values).type)])
            if False
            else (pa.chunked_array([pa.array(values)]))
        )
        if pa.types.is_null(column.type):
            return
        found = hashes(column)
        for i, a in enumerate(values):
            for j, b in enumerate(values):
                same = a == b or (isinstance(a, list) and a in ([], [""]) and b in ([], [""]))
                assert (found[i] == found[j]) == same

    check()


def test_nan_is_missing_and_minus_zero_is_zero() -> None:
    found = hashes(pa.chunked_array([pa.array([np.nan, None, 0.0, -0.0], from_pandas=False)]))
    assert found[0] == found[1]
    assert found[2] == found[3]
    assert found[0] != found[2]


def test_codes_are_sorted_and_missing_is_minus_one() -> None:
    found, levels = codes(pa.chunked_array([pa.array(["b", None, "a", "b"])]))
    assert found.tolist() == [1, -1, 0, 1]
    assert levels == ("a", "b")


def test_numbers_of_dates_are_seconds() -> None:
    column = pa.chunked_array([pa.array([0, 86400], pa.timestamp("s"))])
    assert numbers(column).tolist() == [0.0, 86400.0]
    assert numbers(column.cast(pa.date32())).tolist() == [0.0, 86400.0]


def test_vectors_of_a_missing_row_are_nan() -> None:
    found = vectors(pa.chunked_array([pa.array([[1.0, 2.0], None, [3.0, 4.0]], pa.list_(pa.float32()))]))
    assert found.shape == (3, 2)
    assert np.isnan(found[1]).all()
    assert found[2].tolist() == [3.0, 4.0]


@given(
    st.lists(st.one_of(st.just(float("nan")), st.integers(-5, 40).map(float)), min_size=1, max_size=200),
    st.integers(2, 20),
)
def test_bins_are_ordered_and_ties_share_one(values: list[float], n: int) -> None:
    array = np.array(values)
    bins = quantile_bins(array, n)
    assert bins.index.max() < bins.n
    assert bins.n <= n + 1
    known = ~np.isnan(array)
    assert (bins.index[~known] == bins.n - 1).all()
    order = np.argsort(array[known], kind="stable")
    assert (np.diff(bins.index[known][order]) >= 0).all()
    for value in np.unique(array[known]):
        assert len(np.unique(bins.index[array == value])) == 1
