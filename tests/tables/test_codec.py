"""The codec: fitted on train only, finite whatever comes, exact back to the user's labels and units, plain JSON."""

from __future__ import annotations

import json
import math
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sharewise.errors import DataError
from sharewise.tables.codec import Codec
from sharewise.tables.encoders import smooth_clip
from sharewise.tables.read import Table, iter_batches, read
from sharewise.tables.resolve import resolve
from sharewise.tables.schema import Declaration, InputDeclaration, InputKind, Schema, TaskDeclaration
from sharewise.tables.targets import Scale
from sharewise.tasks import TaskKind

N = 120


def _tags(i: int) -> list[str]:
    return [t for t in "abc" if (i + ord(t)) % 3 == 0]


def _table(n: int = N) -> Table:
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2, (n, 8)).astype(np.uint8)
    vectors = [None if i % 20 == 7 else row.tolist() for i, row in enumerate(bits)]
    return read(
        pa.table(
            {
                "plain": rng.normal(5, 2, n),
                "holes": pa.array([None if i % 6 == 0 else float(i) for i in range(n)]),
                "flag": pa.array([None if i % 10 == 0 else i % 3 == 0 for i in range(n)]),
                "word": pa.array([None if i % 11 == 0 else f"w{i % 4}" for i in range(n)]),
                "code": pa.array([i % 5 for i in range(n)]),
                "when": pa.array([datetime(2024, 1, 1) + timedelta(hours=7 * i) for i in range(n)]),
                "bits": pa.array(vectors, pa.list_(pa.uint8(), 8)),
                "vector": pa.array(rng.normal(size=(n, 3)).tolist(), pa.list_(pa.float32(), 3)),
                "two": pa.array([None if i % 4 == 0 else ("yes" if i % 3 else "no") for i in range(n)]),
                "three": pa.array([f"c{i % 3}" for i in range(n)]),
                "grade": pa.array([i % 4 for i in range(n)]),
                "l1": pa.array([i % 2 for i in range(n)]),
                "l2": pa.array([None if i % 9 == 0 else (i // 2) % 2 for i in range(n)]),
                "tags": pa.array([None if i % 8 == 0 else _tags(i) for i in range(n)]),
                "price": pa.array([None if i % 5 == 0 else math.exp(i / 20) for i in range(n)]),
                "site": pa.array([f"s{i % 3}" for i in range(n)]),
            }
        )
    )


def _schema(table: Table, **transform: str) -> Schema:
    inputs = [("plain", None), ("holes", None), ("flag", None), ("word", None), ("code", InputKind.CATEGORICAL)]
    inputs += [("when", None), ("bits", None), ("vector", None)]
    tasks = (
        TaskDeclaration("two"),
        TaskDeclaration("three"),
        TaskDeclaration("grade", TaskKind.ORDINAL),
        TaskDeclaration("labels", TaskKind.MULTILABEL, ("l1", "l2")),
        TaskDeclaration("tags"),
        TaskDeclaration("price", transform=transform.get("price", "none")),
        TaskDeclaration("rebuilt", TaskKind.RECONSTRUCTION, ("plain", "flag", "vector")),
        TaskDeclaration("price2", columns=("price",), by="site"),
    )
    return resolve(table, Declaration(tasks, tuple(InputDeclaration(n, k) for n, k in inputs))).schema


@pytest.fixture(scope="module")
def fitted() -> tuple[Table, Codec]:
    table = _table()
    return table, Codec.fit(table, _schema(table), np.arange(80))


def test_blocks_and_shapes(fitted: tuple[Table, Codec]) -> None:
    table, codec = fitted
    inputs = codec.encode(table)
    # plain 1, holes 2, flag 2, when 1 + year, week and day waves, and the indicator of missing bits.
    assert codec.n_numeric == 1 + 2 + 2 + 1 + 2 * len(codec.encoders[5].to_json()["cycles"]) + 1
    assert inputs["numeric"].shape == (N, codec.n_numeric)
    assert inputs["numeric"].dtype == np.float32
    assert inputs["categorical"].shape == (N, 2)
    assert codec.cardinalities == (5, 6)
    assert inputs["embedding"].shape == (N, 11)
    assert codec.n_embedding == 11
    names = codec.feature_names
    assert len(names["numeric"]) == codec.n_numeric
    assert names["numeric"][:3] == ("plain", "holes", "holes is missing")
    assert names["numeric"][-1] == "bits is missing"
    assert len(names["embedding"]) == 11


def test_numeric_encoding_is_the_papers_formula(fitted: tuple[Table, Codec]) -> None:
    table, codec = fitted
    values = table.column("plain").to_numpy()
    low, centre, high = np.quantile(values[:80], [0.25, 0.5, 0.75])
    z = (values - centre) / (high - low)
    np.testing.assert_allclose(codec.encode(table)["numeric"][:, 0], z / np.sqrt(1 + (z / 3) ** 2), rtol=1e-5)


def test_missing_is_the_median_and_an_indicator(fitted: tuple[Table, Codec]) -> None:
    table, codec = fitted
    block = codec.encode(table)["numeric"]
    missing = np.arange(N) % 6 == 0
    assert (block[missing, 1] == 0).all()
    assert (block[:, 2] == missing).all()
    flag = np.array([0 if i % 10 == 0 else (1 if i % 3 == 0 else -1) for i in range(N)])
    assert (block[:, 3] == flag).all()
    assert (block[:, 4] == (flag == 0)).all()


def test_categories_and_vectors(fitted: tuple[Table, Codec]) -> None:
    table, codec = fitted
    inputs = codec.encode(table)
    word = inputs["categorical"][:, 0]
    assert (word[np.arange(N) % 11 == 0] == 0).all()
    assert set(word[np.arange(N) % 11 != 0]) == {1, 2, 3, 4}
    absent = np.arange(N) % 20 == 7
    assert (inputs["embedding"][absent, :8] == 0).all()
    assert (inputs["numeric"][:, -1] == absent).all()
    np.testing.assert_allclose(inputs["embedding"][0, 8:], np.array(table.column("vector")[0].as_py()), rtol=1e-6)


def test_bytes_stay_bytes() -> None:
    table = _table()
    said = Declaration((TaskDeclaration("three"),), (InputDeclaration("bits"),))
    codec = Codec.fit(table, resolve(table, said).schema, np.arange(60))
    inputs = codec.encode(table)
    assert inputs["embedding"].dtype == np.uint8
    assert "categorical" not in inputs


def test_only_train_rows_are_learned_from() -> None:
    table = _table()
    changed = table.arrow.set_column(
        0, "plain", pa.array(np.where(np.arange(N) < 80, table.column("plain").to_numpy(), 1e6))
    )
    schema = _schema(table)
    one = Codec.fit(table, schema, np.arange(80))
    other = Codec.fit(Table(changed, "t"), schema, np.arange(80))
    assert one == other


def test_unseen_and_rare_categories_are_code_0() -> None:
    words = ["a"] * 10 + ["b"] * 5 + ["rare"] * 2
    table = read(pa.table({"w": words, "y": np.arange(17.0)}))
    schema = resolve(table, Declaration((TaskDeclaration("y"),), (InputDeclaration("w"),))).schema
    codec = Codec.fit(table, schema, np.arange(17))
    assert codec.cardinalities == (3,)
    fresh = read(pa.table({"w": ["b", "a", "rare", "new", None]}))
    assert codec.encode(fresh)["categorical"][:, 0].tolist() == [2, 1, 0, 0, 0]


def test_targets_and_present(fitted: tuple[Table, Codec]) -> None:
    table, codec = fitted
    targets = codec.targets(table)
    tasks = codec.schema.tasks
    assert targets.values.shape == (N, sum(t.n_targets for t in tasks))
    assert [s.stop - s.start for s in targets.slices] == [t.n_targets for t in tasks]
    assert not targets.values[~targets.present].any()
    two = targets.slices[tasks.index("two")]
    assert tasks["two"].classes == ("no", "yes")
    assert targets.present[:, two].ravel().tolist() == [i % 4 != 0 for i in range(N)]
    labels = targets.slices[tasks.index("labels")]
    assert targets.present[:, labels][9].tolist() == [True, False]
    tags = targets.slices[tasks.index("tags")]
    assert tasks["tags"].classes == ("a", "b", "c")
    assert targets.present[:, tags][:, 0].tolist() == [i % 8 != 0 for i in range(N)]
    assert targets.values[1, tags].tolist() == [float((1 + ord(t)) % 3 == 0) for t in "abc"]
    price = targets.slices[tasks.index("price")]
    train = targets.values[:80, price][targets.present[:80, price]]
    assert train.mean() == pytest.approx(0, abs=1e-5)
    assert train.std() == pytest.approx(1, abs=1e-5)


def test_grouped_tasks_are_labelled_where_their_group_is(fitted: tuple[Table, Codec]) -> None:
    table, codec = fitted
    tasks = codec.schema.tasks
    family = [t for t in tasks if t.family == "price2"]
    assert [t.name for t in family] == ["price2@s0", "price2@s1", "price2@s2"]
    present = np.stack([codec.truth(table, t.name)[1][:, 0] for t in family], axis=1)
    whole = codec.truth(table, "price")[1][:, 0]
    assert (present.sum(axis=1) == whole).all()
    assert (present[:, 1] == (whole & (np.arange(N) % 3 == 1))).all()
    assert codec.scales["price2@s0"] != codec.scales["price2@s1"]


@pytest.mark.parametrize("transform", ["none", "log1p", "quantile"])
def test_regression_comes_back_in_its_unit(transform: str) -> None:
    table = _table()
    codec = Codec.fit(table, _schema(table, price=transform), np.arange(80))
    values, present = codec.truth(table, "price")
    part = codec.targets(table)
    column = part.slices[codec.schema.tasks.index("price")]
    back = codec.inverse("price", part.values[:, column])
    np.testing.assert_allclose(back[present], values[present], rtol=2e-5)


def test_reconstruction_in_original_units(fitted: tuple[Table, Codec]) -> None:
    table, codec = fitted
    task = codec.schema.tasks["rebuilt"]
    assert task.classes == ("plain", "flag", "vector[0]", "vector[1]", "vector[2]")
    values, present = codec.truth(table, "rebuilt")
    assert values.shape == (N, 5)
    part = codec.targets(table)
    column = part.slices[codec.schema.tasks.index("rebuilt")]
    back = codec.inverse("rebuilt", part.values[:, column])
    np.testing.assert_allclose(back[present], values[present], atol=1e-5)


def test_json_round_trip_is_exact(fitted: tuple[Table, Codec]) -> None:
    table, codec = fitted
    again = Codec.from_json(json.loads(json.dumps(codec.to_json(), allow_nan=False)))
    assert again == codec
    for name, block in codec.encode(table).blocks.items():
        assert (again.encode(table)[name] == block).all()
    assert (again.targets(table).values == codec.targets(table).values).all()


def test_text_of_a_csv_encodes_like_the_typed_table(tmp_path: Any) -> None:
    """What `predict` streams from a CSV as text must not differ from what the codec was fitted on."""
    table = _table()
    columns = ["plain", "holes", "flag", "word", "code", "when"]
    said = Declaration(
        (TaskDeclaration("three"),),
        tuple(InputDeclaration(c, InputKind.CATEGORICAL if c == "code" else None) for c in columns),
    )
    codec = Codec.fit(table, resolve(table, said).schema, np.arange(80))
    path = tmp_path / "t.csv"
    table.arrow.select(columns).to_pandas().to_csv(path, index=False)
    wanted = codec.encode(table)
    pieces = [codec.encode(p) for p in iter_batches(path, columns, 50)]
    for name, block in wanted.blocks.items():
        np.testing.assert_allclose(np.concatenate([p[name] for p in pieces]), block, atol=1e-6)


def test_infinite_and_absurd_inputs_are_clipped() -> None:
    values = [0.0, 1.0, 2.0, 3.0, math.inf, -math.inf, 1e300, -1e300, None, 5.0]
    table = read(pa.table({"x": values, "c": [1e300] * 10, "y": np.arange(10.0)}))
    schema = resolve(table, Declaration((TaskDeclaration("y"),), (InputDeclaration("x"), InputDeclaration("c")))).schema
    block = Codec.fit(table, schema, np.arange(10)).encode(table)["numeric"]
    assert np.isfinite(block).all()
    assert (np.abs(block) <= 3).all()
    assert block[4, 0] == pytest.approx(3)
    assert block[7, 0] == pytest.approx(-3)


def test_what_cannot_be_encoded(fitted: tuple[Table, Codec]) -> None:
    table, codec = fitted
    with pytest.raises(DataError) as caught:
        codec.encode(Table(table.arrow.drop_columns(["plain", "word"]), "new.csv"))
    assert [p.fact for p in caught.value.problems] == ["new.csv has no column 'plain'", "new.csv has no column 'word'"]
    odd = table.arrow.set_column(0, "plain", pa.array(["1.5"] * (N - 1) + ["abc"]))
    odd = odd.set_column(odd.column_names.index("when"), "when", pa.array(["2024-01-01"] * (N - 1) + ["1/2/24"]))
    with pytest.raises(DataError) as caught:
        codec.encode(Table(odd, "new.csv"))
    assert [(p.column, p.row) for p in caught.value.problems] == [("plain", N), ("when", N)]
    short = table.arrow.set_column(table.names.index("vector"), "vector", pa.array([[1.0, 2.0]] * N))
    with pytest.raises(DataError, match="one length"):
        codec.encode(Table(short, "new.csv"))


def test_messages_name_rows_of_the_whole_table(fitted: tuple[Table, Codec], tmp_path: Any) -> None:
    table, codec = fitted
    odd = table.arrow.set_column(0, "plain", pa.array(["1.5"] * 70 + ["abc"] + ["1.5"] * (N - 71)))
    pq.write_table(odd, tmp_path / "t.parquet")
    for source in (odd, tmp_path / "t.parquet"):
        pieces = iter_batches(source, None, 50)
        codec.encode(next(pieces))
        with pytest.raises(DataError, match="row 71, column 'plain'"):
            codec.encode(next(pieces))


def test_an_unknown_label_is_absent(fitted: tuple[Table, Codec]) -> None:
    table, codec = fitted
    changed = table.arrow.set_column(table.names.index("three"), "three", pa.array(["new"] + ["c1"] * (N - 1)))
    values, present = codec.truth(Table(changed, "t"), "three")
    assert not present[0, 0]
    assert values[1, 0] == 1


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, width=64), min_size=2, max_size=40))
@settings(max_examples=60, deadline=None)
def test_smooth_clip_is_bounded_and_monotone(values: list[float]) -> None:
    z = np.sort(np.array(values))
    clipped = smooth_clip(z)
    assert (np.abs(clipped) <= 3).all()
    assert (np.diff(clipped) >= 0).all()
    near = np.abs(z) < 0.01
    np.testing.assert_allclose(clipped[near], z[near], atol=1e-5)


@given(
    values=st.lists(st.floats(-0.9, 1e6), min_size=3, max_size=60),
    transform=st.sampled_from(["none", "log1p", "quantile"]),
    probe=st.floats(-0.9, 2e6),
)
@settings(max_examples=80, deadline=None)
def test_scale_is_inverted(values: list[float], transform: str, probe: float) -> None:
    column = np.array(values)[:, None]
    scale = Scale.fit(transform, column, np.ones_like(column, dtype=bool))
    asked = np.array([*values, probe])[:, None]
    there = scale.forward(asked)
    assert np.isfinite(there).all()
    span = max(float(np.ptp(asked)), 1.0)
    if not (transform == "log1p" and there.max() > 80):
        np.testing.assert_allclose(scale.inverse(there), asked, rtol=1e-6, atol=1e-6 * span)
    order = np.argsort(asked[:, 0], kind="stable")
    assert (np.diff(there[order, 0]) >= -1e-9).all()


def test_codes_that_look_like_numbers_keep_their_zeros() -> None:
    zips = [("01", "1", "07")[i % 3] for i in range(30)]
    table = read(pa.table({"zip": zips, "site": zips, "y": np.arange(30.0)}))
    said = Declaration((TaskDeclaration("y", by="site"),), (InputDeclaration("zip", InputKind.CATEGORICAL),))
    codec = Codec.fit(table, resolve(table, said).schema, np.arange(30))
    assert codec.cardinalities == (4,)
    assert codec.schema.tasks.names == ("y@01", "y@07", "y@1")
    present = np.concatenate([codec.truth(table, name)[1] for name in codec.schema.tasks.names], axis=1)
    assert present.sum(axis=0).tolist() == [10, 10, 10]
    assert (present.sum(axis=1) == 1).all()


def test_dates_with_and_without_a_time_zone() -> None:
    from sharewise.tables import columns as col

    def seconds(values: list[str | None]) -> list[float]:
        return list(col.dates(pa.chunked_array([pa.array(values)]), "d"))

    assert seconds(["1970-01-01T01:00:00", "1970-01-02"]) == [3600.0, 86400.0]
    assert seconds(["1970-01-01T01:00:00Z", "1970-01-01T01:00:00+01:00"]) == [3600.0, 0.0]
    with pytest.raises(DataError, match="row 3, column 'd': A datetime column must hold ISO 8601"):
        seconds(["1970-01-01", None, "1970-01-01T01:00:00Z"])
    typed = pa.chunked_array([pa.array([datetime(1970, 1, 2)], pa.timestamp("ns", tz="UTC"))])
    assert col.dates(typed, "d")[0] == 86400.0
