"""Tokens, tags, labels and vectors in the text columns of a CSV."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sharewise.errors import DataError
from sharewise.study.template import template
from sharewise.tables.codec import Codec
from sharewise.tables.lists import listed, settled, spaced
from sharewise.tables.prepare import prepare
from sharewise.tables.read import Table, iter_batches, read
from sharewise.tables.schema import Declaration, InputDeclaration, InputKind, TaskDeclaration
from sharewise.tables.split import SplitSpec
from sharewise.tasks import TaskKind

WORDS = [["the", "cat"], ["it's", 'a "dog"', "."], ["[", "laughs", "]"], ["Über"]]
TAGS = [["D", "N"], ["P", "N", "."], [".", "V", "."], ["N"]]
TAGGED = Declaration((TaskDeclaration("t", TaskKind.TOKEN_TAGGING),), (InputDeclaration("w", InputKind.TOKENS),))
UNSAID = Declaration(())

FORMS = {
    "json": lambda row: json.dumps(row, ensure_ascii=False),
    "python": str,
    "space": lambda row: " ".join(word.replace(" ", "_") for word in row),
}


def text(*cells: str | None) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(cells, pa.string())])


def written(tmp_path: Path, form: str, n: int = 1, **more: list[str]) -> Table:
    """A CSV of words and tags in one of the forms, `n` times over."""
    make = FORMS[form]
    columns = {"w": [make(r) for r in WORDS] * n, "t": [make(r) for r in TAGS] * n, **more}
    path = tmp_path / f"{form}.csv"
    pacsv.write_csv(pa.table(columns), path)
    return read(path)


@pytest.mark.parametrize("form", FORMS)
def test_tokens_and_tags_of_a_csv(tmp_path: Path, form: str) -> None:
    found = listed(written(tmp_path, form), TAGGED)
    words = [[w.replace(" ", "_") for w in r] for r in WORDS] if form == "space" else WORDS
    assert found.table.column("w").to_pylist() == words
    assert found.table.column("t").to_pylist() == TAGS
    assert found.declaration.inputs is not None
    assert found.declaration.inputs[0].separated is (form == "space")
    assert len(found.notes) == (form == "space")


@pytest.mark.parametrize("form", FORMS)
def test_a_study_of_a_csv_answers_a_csv(tmp_path: Path, form: str) -> None:
    """The schema is that of lists, and pieces of text become the codes that lists become."""
    table = written(tmp_path, form, 30)
    made = prepare(table, TAGGED, SplitSpec(), 0)
    assert [t.kind for t in made.schema.tasks] == [TaskKind.TOKEN_TAGGING]
    codec = Codec.fit(made.table, made.schema, np.arange(60))
    codec = Codec.from_json(json.loads(json.dumps(codec.to_json())))
    expected = codec.encode(made.table)["tokens:w"]
    pieces = list(iter_batches(str(tmp_path / f"{form}.csv"), ["w"], 50))
    found = np.concatenate([codec.encode(piece)["tokens:w"] for piece in pieces])
    assert found.shape == expected.shape
    assert (found == expected).all()
    if form == "space":
        # A table of lists is answered too, and a single cell that only looks like a list is words.
        assert codec.readable(Table(pa.table({"w": ['["the", "cat"]']}), "t")).column("w").to_pylist() == [
            ["the", "cat"]
        ]
        assert codec.readable(Table(pa.table({"w": ["[ laughs ]"]}), "t")).column("w").to_pylist() == [WORDS[2]]
    else:
        with pytest.raises(DataError, match=r"row 1002, column 'w'.*`\[1, 2` is no JSON list"):
            codec.encode(Table(pa.table({"w": ["[]", "[1, 2"]}), "t", first_row=1000))
        with pytest.raises(DataError, match="holds text, and the study's table held lists"):
            codec.encode(Table(pa.table({"w": ["the cat"]}), "t"))


def test_cells_that_are_no_lists_are_named_by_row() -> None:
    cells = [
        '["a", "b"]',
        '["a", "b"',
        "['a' 'b']",
        '{"a": 1}',
        '[["a"]]',
        "[true]",
        '["\\ud800"]',
        None,
        "[]",
        "['a']",
    ]
    with pytest.raises(DataError) as caught:
        listed(Table(pa.table({"w": cells, "t": ['["D"]'] * 10}), "f.csv"), TAGGED)
    problems = caught.value.problems
    assert [p.row for p in problems] == [2, 3, 4, 5, 6, 7]
    assert {(p.file, p.column) for p in problems} == {("f.csv", "w")}
    assert "no JSON list: Expecting ',' delimiter, character 10" in str(problems[0])
    assert "half a Unicode character" in str(problems[-1])


def test_numbers_and_labels() -> None:
    table = Table(
        pa.table({"v": ["[1, 2.5]", "[3, null]"], "l": ['["a", 1]', "[2]"], "n": ["[1, 2]", "[]"], "x": ["[", "]"]}),
        "t",
    )
    found = listed(table, UNSAID).table
    assert found.column("v").type == pa.list_(pa.float64())
    assert found.column("l").to_pylist() == [["a", "1"], ["2"]]
    assert found.column("n").to_pylist() == [[1, 2], []]
    assert found.column("x").equals(table.column("x"))
    # What is declared to be of another kind stays as it is.
    kept = listed(
        table, Declaration((TaskDeclaration("l", TaskKind.MULTICLASS),), (InputDeclaration("v", InputKind.TEXT),))
    )
    assert kept.table.arrow.equals(table.arrow)


def test_nearly_lists_stay_text_with_a_note() -> None:
    found = listed(Table(pa.table({"w": ["[1]"] * 9 + ["[1;]"]}), "t"), UNSAID)
    assert pa.types.is_string(found.table.column("w").type)
    assert found.notes == (
        "Column 'w' looks like lists but is read as text: row 10 is none (`[1;]` is no JSON list: Expecting ',' "
        "delimiter, character 3).",
    )


@pytest.mark.parametrize("form", FORMS)
def test_init_recognises_them(tmp_path: Path, form: str) -> None:
    also = [FORMS[form](["A"] * len(row)) for row in TAGS] * 10
    made = template(written(tmp_path, form, 10, also=also), ["t"], tmp_path)
    assert "  w: tokens                       # about 2 words in a row\n" in made.text
    assert "  # also: tokens                  # left out: it looks like tags of the words in 'w'\n" in made.text
    assert "  - name: t\n    kind: token_tagging           # 5 classes\n    metric: token_accuracy\n" in made.text


def test_prose_is_not_taken_apart() -> None:
    table = Table(pa.table({"w": ["a b", "c d e"], "y": ["a b c", "d e"]}), "t")
    assert spaced(table, ["y"]) is table


def test_words_of_a_piece_that_are_all_numbers_are_words() -> None:
    assert settled(text("[2024, 5]", None, "[]"), "w", words=True).to_pylist() == [["2024", "5"], None, []]
    assert settled(text("[2024, 5]", None), "w", words=False).to_pylist() == [[2024, 5], None]


@settings(max_examples=40)
@given(st.lists(st.text(max_size=8), max_size=6))
def test_what_json_and_python_write_comes_back(row: list[str]) -> None:
    cells = [json.dumps(row), json.dumps(row, ensure_ascii=False), str(row)]
    assert settled(text(*cells), "w", words=True).to_pylist() == [row] * 3
