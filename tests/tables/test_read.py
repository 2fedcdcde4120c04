"""Reading: every format gives the same table; every failure is a sentence with its place."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from sharewise.errors import DataError
from sharewise.tables.read import Table, iter_batches, read

N = 57


@pytest.fixture
def frame() -> pa.Table:
    rng = np.random.default_rng(0)
    return pa.table(
        {
            "x": rng.normal(size=N),
            "n": pa.array([None if i % 7 == 0 else i for i in range(N)], type=pa.int64()),
            "word": pa.array([None if i % 5 == 0 else f"w{i % 3}" for i in range(N)]),
            "flag": pa.array([i % 2 == 0 for i in range(N)]),
        }
    )


def _csv(table: pa.Table, path: Path) -> Path:
    table.to_pandas().to_csv(path, index=False)
    return path


def _tsv(table: pa.Table, path: Path) -> Path:
    table.to_pandas().to_csv(path, index=False, sep="\t")
    return path


def _gz(table: pa.Table, path: Path) -> Path:
    table.to_pandas().to_csv(path, index=False)
    return path


def _parquet(table: pa.Table, path: Path) -> Path:
    pq.write_table(table, path, row_group_size=13)
    return path


def _jsonl(table: pa.Table, path: Path) -> Path:
    table.to_pandas().to_json(path, orient="records", lines=True, double_precision=15)
    return path


def _arrow(table: pa.Table, path: Path) -> Path:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=9)
    return path


def _stream(table: pa.Table, path: Path) -> Path:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=9)
    return path


def _feather(table: pa.Table, path: Path) -> Path:
    feather.write_feather(table, str(path))
    return path


WRITERS: dict[str, Callable[[pa.Table, Path], Path]] = {
    "t.csv": _csv,
    "t.tsv": _tsv,
    "t.csv.gz": _gz,
    "t.parquet": _parquet,
    "t.jsonl": _jsonl,
    "t.arrow": _arrow,
    "s.arrow": _stream,
    "t.feather": _feather,
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_table(name: str, frame: pa.Table, tmp_path: Path) -> None:
    table = read(WRITERS[name](frame, tmp_path / name))
    assert table.names == ("x", "n", "word", "flag")
    assert table.n_rows == N
    for column in ("n", "word", "flag"):
        assert table.column(column).to_pylist() == frame.column(column).to_pylist()
    np.testing.assert_allclose(table.column("x").to_numpy(), frame.column("x").to_numpy(), rtol=1e-12)


@pytest.mark.parametrize("name", WRITERS)
def test_batches_are_the_table_in_pieces(name: str, frame: pa.Table, tmp_path: Path) -> None:
    pieces = list(iter_batches(WRITERS[name](frame, tmp_path / name), ["word", "x", "absent"], 10))
    assert [p.n_rows for p in pieces] == [10] * 5 + [7]
    assert set(pieces[0].names) == {"word", "x"}
    assert [v for p in pieces for v in p.column("word").to_pylist()] == frame.column("word").to_pylist()


@pytest.mark.parametrize("convert", [lambda t: t, lambda t: t.to_pandas(), lambda t: pl.from_arrow(t)])
def test_tables_in_memory(convert: Callable[[pa.Table], object], frame: pa.Table) -> None:
    table = read(convert(frame))
    assert table.column("word").to_pylist() == frame.column("word").to_pylist()
    pieces = list(iter_batches(convert(frame), None, 20))
    assert [p.n_rows for p in pieces] == [20, 20, 17]


def test_folder_and_glob_are_one_table(frame: pa.Table, tmp_path: Path) -> None:
    for i in range(3):
        pq.write_table(frame.slice(i * 19, 19), tmp_path / f"part-{i}.parquet")
    (tmp_path / "_SUCCESS").write_text("")
    assert read(tmp_path).column("n").to_pylist() == frame.column("n").to_pylist()
    assert read(str(tmp_path / "part-[01].parquet")).n_rows == 38
    assert [p.n_rows for p in iter_batches(tmp_path, None, 19)] == [19, 19, 19]


def test_files_of_a_folder_may_lack_a_column(frame: pa.Table, tmp_path: Path) -> None:
    pq.write_table(frame, tmp_path / "a.parquet")
    pq.write_table(frame.drop_columns(["n"]), tmp_path / "b.parquet")
    assert read(tmp_path).column("n").null_count == frame.column("n").null_count + N


def test_partition_folders_are_columns(frame: pa.Table, tmp_path: Path) -> None:
    for year in ("2023", "2024"):
        (tmp_path / f"year={year}").mkdir()
        pq.write_table(frame, tmp_path / f"year={year}" / "p.parquet")
    table = read(tmp_path)
    assert table.column("year").to_pylist() == ["2023"] * N + ["2024"] * N
    assert {v for p in iter_batches(tmp_path, ["year"], 50) for v in p.column("year").to_pylist()} == {"2023", "2024"}


def test_one_form_of_missing_and_plain_types() -> None:
    import decimal

    table = read(
        pa.table(
            {
                "float": [1.0, float("nan"), None],
                "text": ["a", "", None],
                "category": pa.array(["a", None, "b"]).dictionary_encode(),
                "decimal": pa.array([decimal.Decimal("1.5"), None, None]),
                "view": pa.array(["a", "", "b"], type=pa.string_view()),
            }
        )
    )
    assert table.column("float").null_count == 2
    assert table.column("text").null_count == 2
    assert table.column("category").to_pylist() == ["a", None, "b"]
    assert table.column("decimal").to_pylist() == [1.5, None, None]
    assert table.column("view").to_pylist() == ["a", None, "b"]


def test_csv_dialects(tmp_path: Path) -> None:
    (tmp_path / "semicolon.csv").write_text('a;b\n1;"x;y"\n2;NA\n')
    assert read(tmp_path / "semicolon.csv").column("b").to_pylist() == ["x;y", None]
    (tmp_path / "bom.csv").write_bytes(b"\xef\xbb\xbfa,b\n1,2\n")
    assert read(tmp_path / "bom.csv").names == ("a", "b")
    assert next(iter_batches(tmp_path / "bom.csv", ["a"], 5)).names == ("a",)
    (tmp_path / "lines.csv").write_text('a,b\n1,"two\nlines"\n')
    assert read(tmp_path / "lines.csv").column("b").to_pylist() == ["two\nlines"]


def test_metadata_of_the_file(tmp_path: Path) -> None:
    table = pa.table({"a": [1]}).replace_schema_metadata({"mtl": '{"name": "t"}'})
    pq.write_table(table, tmp_path / "t.parquet")
    assert read(tmp_path / "t.parquet").described == {"name": "t"}
    assert read(pa.table({"a": [1]})).described == {}


def test_take_and_slice(frame: pa.Table) -> None:
    table = Table(frame, "t")
    assert table.take(np.array([3, 1])).column("n").to_pylist() == [3, 1]
    assert table.slice(1, 2).column("n").to_pylist() == [1, 2]


# --- what cannot be read -----------------------------------------------------------------------------------


def _message(source: object) -> str:
    with pytest.raises(DataError) as caught:
        read(source)
    return str(caught.value)


def test_missing_file_offers_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "patients.csv").write_text("a\n1\n")
    assert _message(tmp_path / "patient.csv") == (
        f"A table must exist; however, there is no file '{tmp_path / 'patient.csv'}'. Did you mean 'patients.csv'?"
    )
    assert "there is no file" in _message(tmp_path / "no" / "x.csv")
    assert "matches no file" in _message(str(tmp_path / "*.parquet"))


def test_damaged_parquet(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"a": list(range(10_000))}), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert _message(path).startswith(f"{path}: A Parquet file must be whole and readable; however, reading it failed")
    path.write_bytes(whole[:300] + bytes(600) + whole[900:])
    assert "A Parquet file must be whole" in _message(path)
    with pytest.raises(DataError, match="whole and readable"):
        list(iter_batches(path, None, 100))
    path.write_bytes(b"")
    assert "A Parquet file must be whole" in _message(path)
    path.write_text("a,b\n1,2\n")
    assert "A Parquet file must be whole" in _message(path)


def test_ragged_rows_name_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('a,b\n1,2\n3\n"x\ny",4\n5,6,7\n')
    with pytest.raises(DataError) as caught:
        read(path)
    assert [p.line for p in caught.value.problems] == [3, 6]
    assert str(caught.value).splitlines()[0] == (
        f"{path}:3: Every row of a CSV must have as many cells as its header; however, the header has 2 and this "
        "row has 1. Quote cells that contain the delimiter, or correct the row."
    )
    with pytest.raises(DataError) as caught:
        list(iter_batches(path, None, 10))
    assert [p.line for p in caught.value.problems] == [3, 6]


def test_many_ragged_rows_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b\n" + "1\n" * 40)
    assert "(40 such rows in all)" in _message(path)
    assert len(_message(path).splitlines()) == 5


def test_other_damage(tmp_path: Path) -> None:
    latin = tmp_path / "t.csv"
    latin.write_bytes("name\nAndré\n".encode("latin-1"))
    assert _message(latin) == (
        f"{latin}:2, column 'name': A CSV must be encoded in UTF-8; however, this line is not, from its byte 5 on "
        "(0xe9). Save the file again as UTF-8."
    )
    with pytest.raises(DataError, match=r"t\.csv:2: A CSV must be encoded in UTF-8; however, this line is not"):
        list(iter_batches(latin, None, 10))
    empty = tmp_path / "e.csv"
    empty.write_text("")
    assert "A table must have a header and rows; however, the file is empty" in _message(empty)
    empty.write_text("a,b\n")
    assert "A table must have rows; however" in _message(empty)
    twice = tmp_path / "d.csv"
    twice.write_text("a,a\n1,2\n")
    assert "Column names must be unique; however, 'a' occurs 2 times" in _message(twice)
    odd = tmp_path / "t.xlsx"
    odd.write_text("x")
    assert "A table's format is known by its suffix" in _message(odd)
    broken = tmp_path / "t.arrow"
    broken.write_bytes(b"nonsense")
    assert "An Arrow file" in _message(broken)
    gz = tmp_path / "t.csv.gz"
    gz.write_bytes(gzip.compress(b"a,b\n1,2\n" * 5000)[:40])
    assert "whole and readable" in _message(gz)


def test_json_lines_name_the_line(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"a": 1}\n\n{"a": "x"}\n')
    assert _message(path) == (
        f"{path}:3, column 'a': A column must hold one type of value; however, 'x' is a text, while line 1 holds a "
        "number. Write the column with one type."
    )
    path.write_text('{"a": 1}\n{"a": \n')
    assert f"{path}:2: A line must be one JSON object" in _message(path)
    path.write_text('{"a": 1}\n[1]\n')
    assert f"{path}:2: A line must be one JSON object; however, it is a list" in _message(path)
    path.write_text("")
    assert "A JSON Lines file must be whole" in _message(path)


def test_half_a_character_is_named(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"a": "\\ud83d\\ude00"}\n{"a": "b \\ud800"}\n')
    told = rf"{path}:2: Text is whole Unicode characters; however, this line holds half of one (\ud800)."
    assert _message(path).startswith(told)
    with pytest.raises(DataError, match="holds half of one"):
        list(iter_batches(path, None, 10))
    frame = pd.DataFrame({"n": [1], "t": pd.Series(["a\udfff"], dtype=object)})
    assert _message(frame).startswith("column 't': Text is whole Unicode characters; however, one holds half of one")


def test_frames_in_memory_that_cannot_be_read() -> None:
    assert "A table is a path or a pandas, polars or pyarrow table; however, a dict was given" in _message({"a": [1]})
    mixed = pd.DataFrame({"ok": [1, 2], "a b": pd.Series([1, "x"], dtype=object)})
    assert _message(mixed).startswith("column 'a b': A column must hold one type of value; however, its values are")
    assert "A table must have rows" in _message(pd.DataFrame({"a": []}))


def test_columns_that_are_asked_for(frame: pa.Table) -> None:
    assert read(frame, ["n", "x"]).names == ("n", "x")
    with pytest.raises(DataError, match="the table has no column 'wrod'"):
        read(frame, ["wrod"])
