"""`sharewise predict` as its user meets it: exit codes, sentences, files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "bundle"))
import tiny_bundle as tiny

from sharewise.bundle import save
from sharewise.cli import answer


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("runs") / "bundle", **tiny.parts())


@pytest.fixture
def table(tmp_path: Path) -> Path:
    pq.write_table(tiny.table().arrow, tmp_path / "in.parquet")
    return tmp_path / "in.parquet"


def test_a_table_is_answered(bundle, table, tmp_path, capsys):
    out = tmp_path / "out.parquet"
    assert answer(["predict", str(bundle), str(table), "-o", str(out)]) == 0
    assert pq.read_table(out).num_rows == tiny.N
    said = capsys.readouterr()
    assert said.out == ""
    assert "120 rows, 7 tasks" in said.err


def test_the_id_column_is_kept_where_the_table_has_it_as_help_says(bundle, table, tmp_path, capsys):
    assert answer(["predict", "--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "before them the study's id column, where it has one and TABLE has it too" in said
    whole = pq.read_table(table)
    pq.write_table(whole.drop_columns(["id"]), tmp_path / "bare.parquet")
    for source in (table, tmp_path / "bare.parquet"):
        out = tmp_path / f"{source.stem}-out.parquet"
        assert answer(["predict", str(bundle), str(source), "-o", str(out), "-q", "-t", "yes"]) == 0
    with_id, without = (pq.read_table(tmp_path / name) for name in ("in-out.parquet", "bare-out.parquet"))
    assert with_id.column("id").to_pylist() == whole.column("id").to_pylist()
    assert with_id.drop_columns(["id"]).equals(without), "without ids the rows keep their order"


def test_quiet_is_quiet_and_tasks_may_have_commas(bundle, table, tmp_path, capsys):
    out = tmp_path / "out.parquet"
    assert answer(["predict", str(bundle), str(table), "-o", str(out), "-q", "-t", "yes,grade", "-t", tiny.ODD]) == 0
    names = pq.read_table(out).column_names
    assert [n for n in names if "__proba" not in n] == [
        "id",
        "yes__prediction",
        "grade__prediction",
        f"{tiny.ODD}__prediction",
    ]
    assert capsys.readouterr() == ("", "")


def test_a_file_is_overwritten_only_when_told_and_never_the_table(bundle, table, tmp_path, capsys):
    out = tmp_path / "out.csv"
    out.write_text("mine")
    assert answer(["predict", str(bundle), str(table), "-o", str(out)]) == 2
    assert out.read_text() == "mine"
    assert answer(["predict", str(bundle), str(table), "-o", str(out), "--force"]) == 0
    assert answer(["predict", str(bundle), str(table), "-o", str(table), "--force"]) == 2
    assert "must not be the table itself" in capsys.readouterr().err


def test_a_damaged_bundle_is_one_sentence_before_torch_is_imported(bundle, table, tmp_path):
    import shutil

    broken = Path(shutil.copytree(bundle, tmp_path / "broken"))
    (broken / "codec.json").write_text("{}")
    code = (
        "import sys; from sharewise.cli import answer; "
        f"code = answer(['predict', {str(broken)!r}, {str(table)!r}, '-o', {str(tmp_path / 'out.csv')!r}]); "
        "assert 'torch' not in sys.modules; sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    assert "'codec.json' is cut off" in done.stderr
    assert not (tmp_path / "out.csv").exists()
