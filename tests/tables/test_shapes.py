"""Columns of every type where another was meant: answered, or refused in a sentence that names the column."""

from __future__ import annotations

import datetime as dt
import decimal
import io
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from sharewise.errors import DataError
from sharewise.plan import Choice
from sharewise.tables.codec import Codec
from sharewise.tables.prepare import prepare
from sharewise.tables.read import read
from sharewise.tables.schema import Declaration, Input, InputDeclaration, InputKind, Schema, TaskDeclaration
from sharewise.tables.split import SplitSpec
from sharewise.tasks import Task, TaskKind, TaskSet

N = 60
T = TypeVar("T")


def png(value: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.full((8, 8), value, np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def column(cell: Any, kind: pa.DataType | None = None) -> pa.Array:
    return pa.array([cell] * N, kind)


MEANT: dict[InputKind, pa.Array] = {
    InputKind.NUMERIC: pa.array(np.arange(N) * 1.5),
    InputKind.BOOLEAN: pa.array([True, False] * (N // 2)),
    InputKind.CATEGORICAL: pa.array(["a", "b", "c"] * (N // 3)),
    InputKind.DATETIME: pa.array([dt.datetime(2020, 1 + i % 12, 1) for i in range(N)]),
    InputKind.EMBEDDING: pa.array([[float(i), 1.0, 2.0] for i in range(N)]),
    InputKind.TEXT: pa.array([f"word {i % 5} here" for i in range(N)]),
    InputKind.TOKENS: pa.array([["a", "b"], ["c"]] * (N // 2)),
    InputKind.IMAGE: pa.array([png(i) for i in range(N)]),
    InputKind.ID: pa.array([f"u{i % 4}" for i in range(N)]),
}
GIVEN: dict[str, pa.Array] = {
    "float": column(1.5),
    "infinite": pa.array([float("inf"), float("nan")] * (N // 2)),
    "whole": column(1),
    "beyond int64": column(2**63 + 5, pa.uint64()),
    "boolean": column(True),
    "text": column("hello"),
    "date": column(dt.date(2020, 1, 1)),
    "time": column(dt.time(1, 2)),
    "duration": column(dt.timedelta(1)),
    "decimal": column(decimal.Decimal("1.5")),
    "bytes": column(b"\xff\x00"),
    "text as bytes": column(b"abc"),
    "four bytes": column(b"abcd", pa.binary(4)),
    "words": column(["a"]),
    "numbers": column([1.0, 2.0, 3.0]),
    "ragged": pa.array([[1.0], [1.0, 2.0]] * (N // 2)),
    "lists of lists": column([["a"]]),
    "records": column({"a": 1}),
    "lists of records": column([{"a": 1}]),
    "maps": column([("a", 1)], pa.map_(pa.string(), pa.int64())),
    "nothing": pa.nulls(N),
    "lists of nothing": column([None]),
}


@pytest.fixture(scope="module")
def codec() -> Codec:
    choices = {InputKind.TEXT: Choice("ngrams", {"features": 4}), InputKind.IMAGE: Choice("picture", {"side": 8})}
    inputs = tuple(Input(kind.value, kind, choices.get(kind)) for kind in MEANT)
    tasks = TaskSet((Task("y", TaskKind.REGRESSION, ("y",), "rmse"),))
    return Codec.fit(read(meant()), Schema(inputs, tasks), np.arange(N))


def meant() -> pa.Table:
    return pa.table({**{kind.value: cells for kind, cells in MEANT.items()}, "y": np.arange(N) * 1.0})


@pytest.mark.parametrize("given", GIVEN)
def test_a_table_to_answer_is_read_or_refused_in_a_sentence(codec: Codec, given: str) -> None:
    for i, kind in enumerate(MEANT):
        table = meant().set_column(i, kind.value, GIVEN[given])
        refusal, blocks = told(lambda table=table: codec.encode(read(table)).blocks)
        assert refusal is None or f"column '{kind.value}'" in refusal
        assert blocks is None or all(np.isfinite(b).all() for b in blocks.values() if b.dtype.kind == "f")


@pytest.mark.parametrize("given", GIVEN)
@pytest.mark.parametrize("role", ["input", "target"])
def test_a_study_is_checked_in_a_sentence(given: str, role: str) -> None:
    table = pa.table({"x": np.random.default_rng(0).normal(size=N), "y": np.random.default_rng(1).normal(size=N)})
    table = table.append_column("c", GIVEN[given])
    y, x = TaskDeclaration("y", TaskKind.REGRESSION), InputDeclaration("x")
    kinds = [None, *(MEANT if role == "input" else TaskKind)]
    for kind in kinds:
        said = Declaration((y,), (x, InputDeclaration("c", kind, encoder=_small(kind))))
        if role == "target":
            said = Declaration((y, TaskDeclaration("c", kind)), (x,))
        refusal, _ = told(lambda said=said: checked_and_encoded(table, said))
        assert refusal is None or "'c'" in refusal or "needs one input of kind tokens" in refusal


def checked_and_encoded(table: pa.Table, said: Declaration) -> None:
    checked = prepare(read(table), said, SplitSpec(), 0)
    fitted = Codec.fit(checked.table, checked.schema, checked.split.train)
    fitted.encode(checked.table)
    fitted.targets(checked.table)


def told(call: Callable[[], T]) -> tuple[str | None, T | None]:
    """The sentences of a refusal, or what came of the call; any other error is let through."""
    try:
        return None, call()
    except DataError as error:
        return str(error), None


def _small(kind: object) -> Choice | None:
    return Choice("ngrams", {"features": 4}) if kind is InputKind.TEXT else None
