"""Columns that a table to answer holds in another type than the study's: without a value, or bytes of any length."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pytest

from sharewise.models.reading import encode, unread, unread_said
from sharewise.plan import Choice
from sharewise.tables.codec import Codec
from sharewise.tables.read import Table, read
from sharewise.tables.schema import Input, InputKind, Schema
from sharewise.tasks import TaskSet
from tiny_networks import tiny_vision

N = 8
K = InputKind
KINDS = {
    "n": K.NUMERIC,
    "c": K.CATEGORICAL,
    "b": K.BOOLEAN,
    "d": K.DATETIME,
    "v": K.EMBEDDING,
    "bits": K.EMBEDDING,
    "t": K.TEXT,
    "w": K.TOKENS,
    "u": K.ID,
    "raw": K.IMAGE,
    "photo": K.IMAGE,
    "view": K.IMAGE,
}


def png(value: int) -> bytes:
    image = pytest.importorskip("PIL.Image")
    stream = io.BytesIO()
    image.new("L", (9, 9), value).save(stream, "PNG")
    return stream.getvalue()


def table() -> pa.Table:
    draw = np.random.default_rng(0)
    photos = pa.array([png(20 * i) for i in range(N)])
    return pa.table(
        {
            "n": draw.normal(size=N),
            "c": [*"aabbaabb"],
            "b": [True, False] * (N // 2),
            "d": pa.array((np.datetime64("2024-01-01") + np.arange(N)).astype("datetime64[ms]")),
            "v": draw.normal(size=(N, 3)).tolist(),
            "bits": pa.array(draw.integers(0, 2, (N, 4)).tolist(), pa.list_(pa.uint8())),
            "t": ["good day", "bad day"] * (N // 2),
            "w": [["good", "day"], ["bad"]] * (N // 2),
            "u": [*"xyxyxyxy"],
            "raw": pa.array([draw.integers(0, 256, 81, dtype=np.uint8).tobytes() for _ in range(N)], pa.binary(81)),
            "photo": photos,
            "view": photos,
        }
    )


@pytest.fixture(scope="module")
def codec(tmp_path_factory: pytest.TempPathFactory) -> Codec:
    backbone = Choice("backbone", {"model": str(tiny_vision(tmp_path_factory.mktemp("vit"), "vit")), "side": 16})
    choices = {"t": Choice("ngrams", {"features": 4}), "view": backbone}
    inputs = tuple(Input(name, kind, choices.get(name)) for name, kind in KINDS.items())
    return Codec.fit(Table(table(), "t"), Schema(inputs, TaskSet(())), np.arange(N))


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("kind", [pa.null(), pa.float64()])
def test_an_input_without_a_single_value_is_missing_whatever_the_columns_type(
    codec: Codec, name: str, kind: pa.DataType
) -> None:
    whole = table()
    at = whole.column_names.index(name)
    none = encode(codec, Table(whole.set_column(at, name, pa.nulls(N, kind)), "t"))
    own = encode(codec, Table(whole.set_column(at, name, pa.nulls(N, whole.schema.types[at])), "t"))
    for block, values in own.blocks.items():
        np.testing.assert_array_equal(none[block], values, block)
    if name in [e.name for e in codec.own_blocks]:
        number = [e.name for e in codec.own_blocks].index(name)
        assert not none["present"][:, number].any()
        assert np.delete(none["present"], number, axis=1).all()


@pytest.mark.parametrize("frame", ["pandas", "polars"])
def test_pixels_of_a_frame_in_memory_are_those_of_the_file(codec: Codec, frame: str) -> None:
    library = pytest.importorskip(frame)
    made = read(table().to_pandas() if frame == "pandas" else library.from_arrow(table()))
    found, expected = encode(codec, made), encode(codec, Table(table(), "t"))
    for block in ("image:raw", "image:photo", "image:view"):
        np.testing.assert_array_equal(found[block], expected[block], block)


def test_bytes_of_one_length_that_begin_as_no_picture_are_pixels() -> None:
    def side(cells: list[bytes | None], **params: object) -> object:
        data = Table(pa.table({"p": pa.array(cells, pa.binary())}), "t")
        schema = Schema((Input("p", K.IMAGE, Choice("picture", params)),), TaskSet(()))
        return Codec.fit(data, schema, np.arange(len(cells))).encoders[0].to_json()["shape_of_arrays"]

    assert side([b"\0" * 100, None, b"\1" * 100]) == (10, 10, 1)
    assert side([b"\0" * 96, b"\1" * 96], shape=[8, 12]) == (8, 12, 1)
    assert side([png(3), png(3)]) == ()


def test_rows_whose_picture_is_skipped_are_told() -> None:
    column = pa.array([png(9), b"", None, b"nonsense", png(9)])
    schema = Schema((Input("p", K.IMAGE, Choice("picture", {"unreadable": "skip"})),), TaskSet(()))
    data = Table(pa.table({"p": column}), "t", first_row=1000)
    made = Codec.fit(data, schema, np.arange(5))
    found = unread(made, data, encode(made, data))
    assert {name: rows.tolist() for name, rows in found.items()} == {"p": [1002, 1004]}
    assert unread_said("p", found["p"]) == ("2 pictures of 'p' cannot be read and count as missing: rows 1,002, 1,004.")
    assert unread_said("p", np.arange(1, 30)).endswith(": rows 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 19 more.")
    assert unread_said("p", np.arange(7, 8)) == "1 picture of 'p' cannot be read and counts as missing: row 7."
