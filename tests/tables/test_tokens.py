"""Tokens and tags read from list columns, and what is said where they do not match."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from sharewise.errors import DataError
from sharewise.tables import tags
from sharewise.tables.codec import Codec
from sharewise.tables.read import Table
from sharewise.tables.resolve import resolve
from sharewise.tables.schema import Declaration, InputDeclaration, InputKind, TaskDeclaration
from sharewise.tables.tokens import BUCKETS, N_FORMS, UNSEEN, TokensEncoder, forms, shape_of
from sharewise.tasks import TaskKind

WORDS = [["Anna", "flew", "to", "Rome"], ["to", "to"], None, [], ["Über", "🙂", "שלום", ""], ["x"] * 600]
TAGS = [["B-p", "O", "O", "B-c"], ["O", None], None, None, ["O"] * 4, ["O"] * 600]
POS = [["N", "V", "P", "N"], ["P", "P"], None, [], None, ["X"] * 600]


def table(**columns: object) -> Table:
    return Table(pa.table({"w": WORDS, "ner": TAGS, "pos": POS, **columns}), "the table")


def declared(*tasks: TaskDeclaration) -> Declaration:
    return Declaration(tasks, (InputDeclaration("w", InputKind.TOKENS),))


NER = TaskDeclaration("ner", TaskKind.TOKEN_TAGGING)
POS_TASK = TaskDeclaration("pos", TaskKind.TOKEN_TAGGING)


def test_tags_become_codes_and_codes_tags() -> None:
    schema = resolve(table(), declared(NER, POS_TASK)).schema
    ner, pos = schema.tasks
    assert ner.classes == ("O", "B-c", "I-c", "B-p", "I-p")
    assert (ner.metric, pos.metric) == ("entity_f1", "token_accuracy")
    assert ner.has_spans
    assert not pos.has_spans
    assert ner.length == ner.n_targets == tags.LONGEST
    codec = Codec.fit(table(), schema, np.arange(6))
    targets = codec.targets(table())
    assert targets.values[0, :4].tolist() == [3, 0, 0, 1]
    assert targets.present[1, :3].tolist() == [True, False, False]  # a tag that is missing is absent
    assert not targets.present[2].any()
    assert targets.present[5, : tags.LONGEST].all()
    made = np.where(targets.present, targets.values, -1)[:, : tags.LONGEST].astype(np.float32)
    known = np.array([True, True, False, True, True, True])
    found = tags.answers(ner.classes, made, known).to_pylist()
    assert found[:4] == [["B-p", "O", "O", "B-c"], ["O"], None, []]


def test_tokens_become_codes() -> None:
    schema = resolve(table(), declared(NER)).schema
    codec = Codec.fit(table(), schema, np.arange(2))
    inputs = codec.encode(table())
    block = inputs["tokens:w"]
    assert block.shape == (6, 600, 1 + N_FORMS)
    assert inputs["present"][:, 0].tolist() == [1, 1, 0, 0, 1, 1]
    assert ((block[..., 0] != 0).sum(1) == [4, 2, 0, 0, 4, 600]).all()
    # "to" occurs three times in the fitted rows, every other word once.
    assert block[0, :4, 0].tolist() == [UNSEEN, UNSEEN, 2, UNSEEN]
    assert (block[block[..., 0] != 0] > 0).all()
    assert block.max() < BUCKETS
    again = Codec.from_json(json.loads(json.dumps(codec.to_json())))
    assert again == codec
    assert tags.shortened(inputs)["tokens:w"].shape[1] == tags.LONGEST


def test_words_of_other_rows_are_not_learnt() -> None:
    column = pa.chunked_array([[["a", "a"], ["b", "b"]]])
    assert TokensEncoder.fit("w", column, np.array([0])).levels == ("a",)


def test_forms_tell_affixes_and_shape() -> None:
    assert len(forms("Walking", "walking")) == N_FORMS
    a, b = forms("walking", "walking"), forms("talking", "talking")
    assert [x == y for x, y in zip(a, b, strict=True)] == [False, False, False, True, True, True, True]
    assert shape_of("McDonald's-2024") == "XxXxx'x-dd"


@pytest.mark.parametrize(
    ("columns", "tasks", "message"),
    [
        ({"ner": [["O"], *TAGS[1:]]}, (NER,), "row 1, column 'ner': A row has a tag for each of its tokens"),
        ({"ner": [1, 2, 3, 4, 5, 6]}, (NER,), "The tags of a row are a list"),
        ({"ner": [None, [], None, [], None, None]}, (NER,), "A tagging task needs tags; however, no token has one"),
        ({"w": [[0.5], [2], [3], [4], [5], [6]]}, (NER,), "hold numbers that need not be whole"),
        ({}, (replace(POS_TASK, metric="entity_f1"),), "Entity F1 is for tags of spans"),
        ({}, (replace(POS_TASK, metric="accuracy"),), "A metric must fit the task's kind"),
    ],
)
def test_what_does_not_match_is_said(
    columns: dict[str, object], tasks: tuple[TaskDeclaration, ...], message: str
) -> None:
    with pytest.raises(DataError) as caught:
        resolve(table(**columns), declared(*tasks))
    assert message in str(caught.value)


def test_many_unequal_rows_are_counted() -> None:
    many = Table(pa.table({"w": [["a", "b"]] * 50, "ner": [["O"]] * 50}), "the table")
    with pytest.raises(DataError, match="30 more rows have not"):
        resolve(many, declared(NER))


def test_unequal_rows_are_rows_of_the_table() -> None:
    said = replace(declared(NER), file="study.yaml")
    with pytest.raises(DataError) as caught:
        resolve(table(ner=[["O"], *TAGS[1:]]), said)
    assert str(caught.value).startswith("the table, row 1, column 'ner': A row has a tag")


def test_sentences_beyond_what_is_judged_are_noted() -> None:
    long = Table(pa.table({"w": [["a"] * 600, ["b"]], "ner": [["O"] * 600, ["O"]]}), "the table")
    notes = resolve(long, declared(NER)).notes
    assert "Task 'ner' is trained and judged by 512 tokens a row; 1 row has more." in notes


def test_tags_need_tokens() -> None:
    said = Declaration((NER,), (InputDeclaration("x", InputKind.NUMERIC),))
    with pytest.raises(DataError, match="needs one input of kind tokens; however, there is none"):
        resolve(table(x=[1.0] * 6), said)


def test_numbers_of_tokens_become_lists() -> None:
    cells = np.array([[0.5, 0.25, 0.0], [1.0, 0.0, 0.0], [0.75, 0.0, 0.0]], np.float32)
    there = np.array([[1, 1, 0], [0, 0, 0], [1, 0, 0]], bool)
    made = tags.lists(cells, there, np.array([True, True, False]))
    assert made.to_pylist() == [[0.5, 0.25], [], None]


@pytest.mark.parametrize("rows", [[None, None], [[], []], [[], None]])
def test_a_table_to_answer_may_hold_no_word(rows: list[object]) -> None:
    reader = TokensEncoder("w", ("w",), ("a",), 4)
    column = pa.chunked_array([pa.array(rows)])
    out = reader.room([column])
    reader.read([column], out)
    assert (out.shape[:2], int(out.sum()), reader.present([column]).tolist()) == ((2, 1), 0, [False, False])


def test_a_text_is_no_list_of_words() -> None:
    reader = TokensEncoder("w", ("w",), ("a",), 4)
    with pytest.raises(DataError, match="is a list of words, or of whole numbers, in every row; however, the column"):
        reader.room([pa.chunked_array([pa.array(["book music"])])])


def test_whole_numbers_are_words() -> None:
    column = pa.chunked_array([pa.array([[7, 12, 7], [12], None])])
    reader = TokensEncoder.fit("w", column, np.arange(3))
    assert reader.levels == ("12", "7")
    as_text = pa.chunked_array([pa.array([["7", "12", "7"], ["12"], None])])
    read = []
    for cells in (column, as_text):
        out = reader.room([cells])
        reader.read([cells], out)
        read.append(out)
    assert (read[0] == read[1]).all()
    assert read[0][0, :, 0].tolist() == [3, 2, 3]
    assert reader.present([column]).tolist() == [True, True, False]


def test_numbers_that_are_no_words_are_told_once_with_what_to_do() -> None:
    with pytest.raises(DataError) as told:
        resolve(table(w=[[0.5, 1.0], [2.0]] * 3, ner=[["O", "O"], ["O"]] * 3), declared(NER))
    assert [str(p) for p in told.value.problems] == [
        "the table, column 'w': A tokens input is a list of words, or of whole numbers, in every row; however, its "
        "lists hold numbers that need not be whole (list<item: double>). Write them as text or as whole numbers; lists "
        "of one length may be of kind embedding."
    ]
