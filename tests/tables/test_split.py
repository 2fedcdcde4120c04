"""Splits: every row in one part, the same again from the same seed, every task and class in every part."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sharewise.errors import DataError
from sharewise.tables.assign import stratify
from sharewise.tables.read import Table, read
from sharewise.tables.resolve import resolve
from sharewise.tables.schema import Declaration, InputDeclaration, Schema, TaskDeclaration
from sharewise.tables.split import Split, SplitSpec, split
from sharewise.tasks import TaskKind


def _table(n: int = 600, seed: int = 0) -> Table:
    rng = np.random.default_rng(seed)
    source = np.arange(n) % 3
    number = rng.normal(size=n)
    return read(
        pa.table(
            {
                "x": rng.normal(size=n),
                "rare": pa.array([None if s != 0 else int(rng.random() < 0.1) for s in source], type=pa.int8()),
                "color": pa.array([None if s != 1 else str(rng.choice(["r", "g", "b"])) for s in source]),
                "size": pa.array([None if s != 2 else v for s, v in zip(source, number, strict=True)]),
                "who": pa.array([f"p{i // 6}" for i in range(n)]),
                "when": pa.array([datetime(2024, 1, 1) + timedelta(hours=int(h)) for h in rng.integers(0, 2000, n)]),
                "part": pa.array(["Train" if i % 4 else "test" for i in range(n)]),
            }
        )
    )


def _schema(table: Table, **roles: str) -> Schema:
    tasks = (
        TaskDeclaration("rare", TaskKind.BINARY),
        TaskDeclaration("color", TaskKind.MULTICLASS),
        TaskDeclaration("size", TaskKind.REGRESSION),
    )
    return resolve(table, Declaration(tasks, (InputDeclaration("x"),), **roles)).schema


def _whole(made: Split, n: int) -> None:
    rows = np.concatenate([made.train, made.validation, made.test])
    assert sorted(rows.tolist()) == list(range(n))
    for part in (made.train, made.validation, made.test):
        assert len(part)
        assert (np.diff(part) > 0).all()


def test_random_gives_every_task_and_class_to_every_part() -> None:
    table = _table()
    made = split(table, _schema(table), SplitSpec("random"), 0)
    _whole(made, 600)
    assert abs(len(made.test) - 120) <= 3
    assert abs(len(made.validation) - 90) <= 3
    for part, share in ((made.train, 0.65), (made.validation, 0.15), (made.test, 0.2)):
        few = table.take(part)
        rare = [v for v in few.column("rare").to_pylist() if v is not None]
        assert set(rare) == {0, 1}
        assert set(few.column("color").to_pylist()) == {None, "r", "g", "b"}
        assert few.column("size").null_count < len(few.column("size"))
        whole = [v for v in table.column("rare").to_pylist() if v is not None]
        assert abs(sum(rare) - share * sum(whole)) <= 1
        assert abs(len(rare) - share * len(whole)) <= 3


def test_same_seed_same_split() -> None:
    table = _table()
    schema = _schema(table)
    one, same, other = (split(table, schema, SplitSpec("random"), seed) for seed in (1, 1, 2))
    assert (one.test == same.test).all()
    assert one.test.tolist() != other.test.tolist()


@given(
    sizes=st.lists(st.integers(3, 60), min_size=1, max_size=6),
    n=st.integers(60, 300),
    seed=st.integers(0, 2**32 - 1),
    overlap=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_labels_are_in_every_part(sizes: list[int], n: int, seed: int, overlap: bool) -> None:
    """Disjoint labels of at least three rows reach every part; overlapping ones follow the shares where they can."""
    rng = np.random.default_rng(seed)
    shares = np.array([0.65, 0.15, 0.2])
    rows = rng.permutation(n)
    labels, at = [], 0
    for size in sizes:
        labels.append(np.sort(rng.choice(n, size, replace=False) if overlap else rows[at : at + size]))
        at += size
    labels = [part for part in labels if len(part) >= 3]
    part = stratify(labels, n, shares, rng)
    assert set(np.unique(part)) <= {0, 1, 2}
    counts = np.bincount(part, minlength=3)
    assert counts.sum() == n
    if not overlap:
        for label in labels:
            assert (np.bincount(part[label], minlength=3) > 0).all()


def test_group_keeps_entities_together() -> None:
    table = _table()
    schema = _schema(table, entity="who")
    made = split(table, schema, SplitSpec("group"), 0)
    _whole(made, 600)
    who = np.array(table.column("who").to_pylist())
    sides = [set(who[part]) for part in (made.train, made.validation, made.test)]
    assert len(sides[0] | sides[1] | sides[2]) == sum(map(len, sides))
    assert abs(len(made.test) - 120) <= 12
    for part in (made.train, made.validation, made.test):
        assert {0, 1} <= set(table.take(part).column("rare").to_pylist())
    assert "none of whose values is in two parts" in made.notes[0]


@given(seed=st.integers(0, 10_000), n=st.integers(30, 200), groups=st.integers(3, 30))
@settings(max_examples=40, deadline=None)
def test_group_property(seed: int, n: int, groups: int) -> None:
    rng = np.random.default_rng(seed)
    who = np.concatenate([np.arange(3), rng.integers(0, groups, n - 3)])
    table = read(pa.table({"x": rng.normal(size=n), "y": rng.normal(size=n), "who": who}))
    said = Declaration((TaskDeclaration("y", TaskKind.REGRESSION),), (InputDeclaration("x"),), entity="who")
    made = split(table, resolve(table, said).schema, SplitSpec("group"), seed)
    _whole(made, n)
    sides = [set(who[part]) for part in (made.train, made.validation, made.test)]
    assert len(sides[0] | sides[1] | sides[2]) == sum(map(len, sides))


def test_time_puts_the_latest_last() -> None:
    table = _table()
    made = split(table, _schema(table, time="when"), SplitSpec("auto"), 0)
    _whole(made, 600)
    when = np.array(table.column("when").to_pylist())
    assert when[made.train].max() < when[made.validation].min()
    assert when[made.validation].max() < when[made.test].min()
    assert abs(len(made.test) - 120) <= 10


def test_given_column_and_carving() -> None:
    table = _table()
    schema = _schema(table, split="part")
    made = split(table, schema, SplitSpec("auto"), 0)
    _whole(made, 600)
    assert made.test.tolist() == list(range(0, 600, 4))
    assert len(made.validation) == pytest.approx(0.15 * 450, abs=3)
    assert made.notes == (
        "Split by the column 'part'.",
        "Column 'part' has no validation rows, so validation rows were taken from train, at random, the labels of "
        "every task balanced.",
    )
    for part in (made.train, made.validation):
        assert {0, 1} <= set(table.take(part).column("rare").to_pylist())
    assert (split(table, schema, SplitSpec("auto"), 0).validation == made.validation).all()


def test_carving_follows_time_where_the_column_does() -> None:
    n = 100
    table = read(
        pa.table(
            {
                "x": np.arange(n) * 1.0,
                "y": np.sin(np.arange(n)),
                "t": np.arange(n),
                "part": ["train"] * 80 + ["test"] * 20,
            }
        )
    )
    said = Declaration((TaskDeclaration("y", TaskKind.REGRESSION),), (InputDeclaration("x"),), time="t", split="part")
    made = split(table, resolve(table, said).schema, SplitSpec(), 0)
    assert made.validation.tolist() == list(range(68, 80))
    assert "the latest rows" in made.notes[1]


def test_a_given_column_with_entities_is_carved_by_entity() -> None:
    table = _table()
    made = split(table, _schema(table, split="part", entity="who"), SplitSpec(), 0)
    who = np.array(table.column("who").to_pylist())
    assert not set(who[made.train]) & set(who[made.validation])


def _message(table: Table, schema: Schema, spec: SplitSpec) -> str:
    with pytest.raises(DataError) as caught:
        split(table, schema, spec, 0)
    return str(caught.value)


def test_what_cannot_be_split() -> None:
    table = _table(60)
    schema = _schema(table)
    assert "A split by time needs a time column; however, none is named" in _message(table, schema, SplitSpec("time"))
    assert "A split by group needs an entity or group" in _message(table, schema, SplitSpec("group"))
    assert "A split by column needs the column" in _message(table, schema, SplitSpec("column"))
    odd = read(table.arrow.append_column("s", pa.array(["train"] * 30 + ["tset"] * 30)))
    assert _message(odd, _schema(odd, split="s"), SplitSpec()) == (
        "the table, row 31, column 's': A split column holds train, validation and test; however, the value is 'tset'. "
        "Correct the column, or use another split."
    )
    hole = read(table.arrow.append_column("s", pa.array(["train"] * 30 + [None] * 30)))
    assert "row 31, column 's'" in _message(hole, _schema(hole, split="s"), SplitSpec())
    late = read(table.arrow.append_column("t", pa.array([1.0] * 59 + [None])))
    assert "The time column must have a value in every row; however, 1 of 60 rows have none" in _message(
        late, _schema(late, time="t"), SplitSpec("time")
    )
    whom = read(table.arrow.append_column("w", pa.array(["a"] * 59 + [None])))
    assert "The group column must have a value" in _message(whom, _schema(whom, entity="w"), SplitSpec("group"))
    two = read(table.arrow.append_column("w", pa.array(["a", "b"] * 30)))
    assert "needs a group for every part; however, the column has 2 values" in _message(
        two, _schema(two, entity="w"), SplitSpec("group")
    )
    same = read(table.arrow.append_column("t", pa.array([5] * 60)))
    assert "Train, validation and test must each have rows" in _message(
        same, _schema(same, time="t"), SplitSpec("time")
    )
    tests = read(table.arrow.append_column("s", pa.array(["test"] * 60)))
    assert "train and validation would have none" in _message(tests, _schema(tests, split="s"), SplitSpec())


def test_a_large_table_keeps_the_shares_of_rare_labels() -> None:
    rng = np.random.default_rng(0)
    n = 200_000
    labels = [np.flatnonzero(rng.random(n) < p) for p in (0.5, 0.1, 0.01, 0.001)]
    part = stratify(labels, n, np.array([0.65, 0.15, 0.2]), rng)
    for label in labels:
        np.testing.assert_allclose(np.bincount(part[label]) / len(label), [0.65, 0.15, 0.2], atol=0.02)
