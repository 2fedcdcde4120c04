"""Tables of any size and format through a bundle, whole or not at all."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest
import tiny_bundle as tiny

from sharewise.bundle import Bundle, save, stream
from sharewise.bundle.stream import predict_file
from sharewise.errors import DataError
from sharewise.tables.read import read


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return Bundle.load(save(tmp_path_factory.mktemp("runs") / "bundle", **tiny.parts()))


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "PIECE", 50)


ARROW = tiny.table().arrow


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "in.parquet"
    pq.write_table(ARROW, path)
    return path


def only_output(folder: Path, *names: str) -> bool:
    return sorted(p.name for p in folder.iterdir()) == sorted(names)


class TestFormats:
    @pytest.mark.parametrize("suffix", [".parquet", ".csv", ".tsv", ".jsonl", ".arrow", ".csv.gz", ".jsonl.gz"])
    def test_every_output_holds_the_same_answers(self, bundle, source, tmp_path, suffix):
        assert predict_file(bundle, str(source), tmp_path / f"out{suffix}") == tiny.N
        found = read(tmp_path / f"out{suffix}").arrow
        expected = bundle.predict(ARROW)
        assert set(expected.column_names) < set(found.column_names)
        for name in expected.column_names:
            want = expected[name].to_pylist()
            got = found[name].to_pylist()
            if name.startswith("tags"):
                got = [json.loads(v) if isinstance(v, str) else v for v in got]
            if isinstance(want[0], float):
                np.testing.assert_allclose(
                    [np.nan if v is None else v for v in got], [np.nan if v is None else v for v in want], rtol=1e-5
                )
            else:
                assert got == want
        assert only_output(tmp_path, "in.parquet", f"out{suffix}")

    @pytest.mark.parametrize("kind", ["arrow", "jsonl", "csv", "folder"])
    def test_every_input_gives_the_same_answers(self, bundle, source, tmp_path, kind):
        given = tmp_path / f"again.{kind}"
        flat = ARROW.drop_columns(["bits"]) if kind == "csv" else ARROW
        if kind == "arrow":
            with pa.ipc.new_file(given, ARROW.schema) as writer:
                writer.write_table(ARROW, max_chunksize=7)
        elif kind == "jsonl":
            rows = [json.dumps(row, default=str) for row in ARROW.to_pylist()]
            given.write_text("\n".join(rows) + "\n")
        elif kind == "csv":
            pc.write_csv(flat, given)
        else:
            given.mkdir()
            for i in range(3):
                pq.write_table(ARROW.slice(i * 40, 40), given / f"part-{i}.parquet")
        if kind == "csv":
            with pytest.raises(DataError, match="lacks column 'bits'"):
                predict_file(bundle, str(given), tmp_path / "out.parquet")
            return
        predict_file(bundle, str(given), tmp_path / "out.parquet")
        predict_file(bundle, str(source), tmp_path / "expected.parquet")
        assert pq.read_table(tmp_path / "out.parquet").equals(pq.read_table(tmp_path / "expected.parquet"))

    def test_columns_are_the_answer_then_its_probabilities(self, bundle, tmp_path):
        path = tmp_path / "in.parquet"
        pq.write_table(ARROW.drop_columns(["kind"]), path)
        predict_file(bundle, str(path), tmp_path / "out.csv", ["kind", "yes"])
        header = (tmp_path / "out.csv").read_text().splitlines()[0]
        assert header.replace('"', "") == (
            "id,kind,kind__proba_high,kind__proba_low,kind__proba_mid,yes__prediction,yes__proba_no,yes__proba_yes"
        )

    def test_gzip_is_gzip(self, bundle, source, tmp_path):
        predict_file(bundle, str(source), tmp_path / "out.csv.gz", ["yes"])
        assert gzip.decompress((tmp_path / "out.csv.gz").read_bytes()).startswith(b'"id"')


class TestBadInput:
    def test_everything_wrong_is_said_at_once(self, bundle, tmp_path):
        path = tmp_path / "in.parquet"
        pq.write_table(ARROW.drop_columns(["x", "colour"]), path)
        with pytest.raises(DataError) as caught:
            predict_file(bundle, str(path), tmp_path / "nowhere" / "out.xlsx", ["gradee"])
        text = str(caught.value)
        assert "known by its suffix" in text
        assert "there is no" in text
        assert "Did you mean 'grade'?" in text
        assert "'x', 'colour'" in text
        assert len(caught.value.problems) == 4
        assert only_output(tmp_path, "in.parquet")

    def test_a_wrong_value_is_named_by_file_column_and_row(self, bundle, tmp_path):
        values = [str(v) for v in ARROW["x"].to_pylist()]
        values[77] = "much"
        rows = [json.dumps({**row, "x": v}, default=str) for row, v in zip(ARROW.to_pylist(), values, strict=True)]
        path = tmp_path / "in.jsonl"
        path.write_text("\n".join(rows) + "\n")
        with pytest.raises(DataError, match=r"in\.jsonl, row 78, column 'x'.*'much'"):
            predict_file(bundle, str(path), tmp_path / "out.csv")
        assert only_output(tmp_path, "in.jsonl")

    def test_a_file_that_is_cut_off(self, bundle, source, tmp_path):
        source.write_bytes(source.read_bytes()[:-100])
        with pytest.raises(DataError, match="whole and readable"):
            predict_file(bundle, str(source), tmp_path / "out.csv")
        assert only_output(tmp_path, "in.parquet")

    def test_no_rows(self, bundle, tmp_path):
        pq.write_table(ARROW.slice(0, 0), tmp_path / "in.parquet")
        (tmp_path / "in.csv").write_text(",".join(ARROW.column_names) + "\n")
        for name in ("in.parquet", "in.csv"):
            with pytest.raises(DataError, match="must have rows"):
                predict_file(bundle, str(tmp_path / name), tmp_path / "out.csv")
        assert only_output(tmp_path, "in.parquet", "in.csv")

    def test_no_table(self, bundle, tmp_path):
        with pytest.raises(DataError, match="A table must exist"):
            predict_file(bundle, str(tmp_path / "in.parquet"), tmp_path / "out.csv")

    def test_a_full_disk_leaves_nothing(self, bundle, source, tmp_path, monkeypatch):
        class Full:
            def __init__(self, inner):
                self.inner, self.left = inner, 3000

            def write(self, data):
                self.left -= len(data)
                if self.left < 0:
                    raise OSError(28, "No space left on device")
                return self.inner.write(data)

            def __getattr__(self, name):
                return getattr(self.inner, name)

        inner = stream._writer
        monkeypatch.setattr(stream, "_writer", lambda sink, *rest: inner(Full(sink), *rest))
        for name in ("out.parquet", "out.csv", "out.jsonl", "out.arrow"):
            with pytest.raises(DataError, match="No space left on device"):
                predict_file(bundle, str(source), tmp_path / name)
        assert only_output(tmp_path, "in.parquet")

    def test_interrupted_nothing_is_left(self, bundle, source, tmp_path):
        def interrupt(n: int) -> None:
            raise KeyboardInterrupt

        (tmp_path / "out.csv").write_text("the old one")
        with pytest.raises(KeyboardInterrupt):
            predict_file(bundle, str(source), tmp_path / "out.csv", advance=interrupt)
        assert (tmp_path / "out.csv").read_text() == "the old one"
        assert only_output(tmp_path, "in.parquet", "out.csv")
