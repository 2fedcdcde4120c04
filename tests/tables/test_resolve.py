"""From a declaration to a schema: kinds inferred, classes in order, grouped tasks expanded, roles from metadata."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from sharewise.errors import DataError
from sharewise.tables import described, infer
from sharewise.tables.read import Table, read
from sharewise.tables.resolve import Resolution, resolve
from sharewise.tables.schema import Declaration, InputDeclaration, InputKind, TaskDeclaration
from sharewise.tasks import TaskKind

N = 240
WORDS = ["the", "quick", "brown", "fox", "jumps", "over", "the", "lazy", "dog", "again"]


def _kind(values: Any, kind: pa.DataType | None = None) -> InputKind | None:
    return infer.input_kind(read(pa.table({"c": pa.array(values, kind)})).column("c"))


def test_input_kinds() -> None:
    rng = np.random.default_rng(0)
    assert _kind([1.5, 2.0, None]) is InputKind.NUMERIC
    assert _kind([1, 2, 3]) is InputKind.NUMERIC
    assert _kind([True, None, False]) is InputKind.BOOLEAN
    assert _kind(["a", "b", None]) is InputKind.CATEGORICAL
    assert _kind(["1", "2.5", " 3"]) is InputKind.NUMERIC
    assert _kind([date(2024, 1, 1), None]) is InputKind.DATETIME
    assert _kind(["2024-01-31", "2023-05-06T10:00:00"]) is InputKind.DATETIME
    assert _kind([[1.0, 2.0], None, [3.0, 4.0]]) is InputKind.EMBEDDING
    assert _kind([[1.0, 2.0], [3.0]]) is None
    assert _kind([["a"], ["b", "c"]]) is InputKind.TOKENS
    assert _kind([bytes(48), bytes(48)], pa.binary(48)) is InputKind.IMAGE  # 4 x 4 x 3
    assert _kind([b"ab", b"cd"], pa.binary(2)) is None
    assert _kind([b"\x89PNG", None], pa.binary()) is InputKind.IMAGE
    assert _kind([b"words", b"\x89PNG"], pa.binary()) is None
    assert _kind(["a/1.png", "b/2.JPG"]) is InputKind.IMAGE
    assert _kind([{"a": 1}]) is None
    assert _kind([" ".join(rng.choice(WORDS, 9)) for _ in range(N)]) is InputKind.TEXT
    assert _kind([f"id {i}" for i in range(N)]) is InputKind.CATEGORICAL


def test_task_kinds() -> None:
    def kind(values: Any) -> TaskKind:
        return infer.task_kind(read(pa.table({"c": pa.array(values)})).column("c"))

    assert kind(["yes", "no", None]) is TaskKind.BINARY
    assert kind([0, 1, 1]) is TaskKind.BINARY
    assert kind([0.0, 1.0, None]) is TaskKind.BINARY
    assert kind([True, False]) is TaskKind.BINARY
    assert kind(["a", "b", "c"]) is TaskKind.MULTICLASS
    assert kind([0, 1, 2, 1]) is TaskKind.MULTICLASS
    assert kind([3, 5, 17]) is TaskKind.REGRESSION
    assert kind([0.5, 1.5, 2.5]) is TaskKind.REGRESSION
    assert kind(list(range(50))) is TaskKind.REGRESSION
    assert kind([str(i / 7) for i in range(50)]) is TaskKind.REGRESSION
    assert kind([["a"], ["b"]]) is TaskKind.MULTILABEL
    assert kind([None, None]) is TaskKind.REGRESSION


def _table() -> Table:
    rng = np.random.default_rng(0)
    target = rng.normal(size=N)
    return read(
        pa.table(
            {
                "row": np.arange(N),
                "name": [f"patient {i}" for i in range(N)],
                "same": ["x"] * N,
                "void": pa.nulls(N, pa.float64()),
                "leak": np.round(target * 2 + 1, 12),
                "near": target + rng.normal(size=N) * 1e-4,
                "notes": [" ".join(rng.choice(WORDS, 9)) for _ in range(N)],
                "age": rng.normal(size=N),
                "site": [f"s{i % 4}" for i in range(N)],
                "y": target,
                "sick": [("yes", "no")[i % 2] for i in range(N)],
                "sign": [("+", "-")[i % 2] for i in range(N)],
            }
        )
    )


def _resolve(*tasks: TaskDeclaration, **said: Any) -> Resolution:
    return resolve(_table(), Declaration(tasks, **said))


def test_inferred_inputs_leave_out_what_is_suspicious() -> None:
    made = _resolve(TaskDeclaration("y"), TaskDeclaration("sick"))
    assert [(i.name, i.kind.value) for i in made.schema.inputs] == [
        ("notes", "text"),
        ("age", "numeric"),
        ("site", "categorical"),
    ]
    assert {n for n in made.notes if "left out" in n} == {
        "Column 'row' is left out of the inputs: it looks like an id (every row has its own value).",
        "Column 'name' is left out of the inputs: it looks like an id (every row has its own value).",
        "Column 'same' is left out of the inputs: it is constant.",
        "Column 'void' is left out of the inputs: it has no value at all.",
        "Column 'leak' is left out of the inputs: it is a copy of the target 'y'.",
        "Column 'near' is left out of the inputs: it is nearly a copy of the target 'y'.",
        "Column 'sign' is left out of the inputs: it is a copy of the target 'sick'.",
    }


def test_tasks_are_settled() -> None:
    made = _resolve(
        TaskDeclaration("y", transform="quantile"),
        TaskDeclaration("sick", class_weights="balanced"),
        TaskDeclaration("flipped", columns=("sick",), positive="no", class_weights={"yes": 3.0}),
        TaskDeclaration("where", columns=("site",)),
        inputs=(InputDeclaration("age"),),
    )
    tasks = made.schema.tasks
    assert tasks["y"].kind is TaskKind.REGRESSION
    assert tasks["y"].metric == "rmse"
    assert tasks["sick"].classes == ("no", "yes")
    assert tasks["sick"].class_weights == (1.0, 1.0)
    assert tasks["flipped"].classes == ("yes", "no")
    assert tasks["flipped"].class_weights == (3.0, 1.0)
    assert tasks["where"].classes == ("s0", "s1", "s2", "s3")
    assert tasks["where"].metric == "accuracy"
    assert "Task 'sick' is taken to be binary." in made.notes
    assert made.schema.without(["y"]).tasks.names == ("sick", "flipped", "where")
    assert made.schema.columns == ("age", "y", "sick", "site")


def test_binary_labels_without_a_known_negative_are_said() -> None:
    made = _resolve(TaskDeclaration("sign", TaskKind.BINARY), inputs=(InputDeclaration("age"),))
    assert made.schema.tasks["sign"].classes == ("+", "-")
    assert "Task 'sign' predicts the probability of '-' (set positive to change it)." in made.notes


def test_balanced_weights_do_not_look_at_a_declared_test_part() -> None:
    table = read(pa.table({"x": np.arange(8.0), "y": list("aaabbbbb"), "s": ["train"] * 4 + ["test"] * 4}))
    said = Declaration((TaskDeclaration("y", class_weights="balanced"),), (InputDeclaration("x"),), split="s")
    assert resolve(table, said).schema.tasks["y"].class_weights == (4 / (2 * 3), 4 / (2 * 1))


def test_grouped_tasks() -> None:
    made = _resolve(TaskDeclaration("y", by="site", margin=0.05), inputs=(InputDeclaration("age"),))
    assert made.schema.tasks.names == ("y@s0", "y@s1", "y@s2", "y@s3")
    assert made.schema.tasks["y@s2"].where == ("site", "s2")
    assert made.schema.tasks["y@s2"].family == "y"
    assert made.schema.tasks["y@s2"].margin == 0.05
    assert "site" in made.schema.columns


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (TaskDeclaration("site", TaskKind.BINARY), "A binary task has two classes; however, task 'site' has 4: 's0',"),
        (TaskDeclaration("y", TaskKind.BINARY), "task 'y' has 240"),
        (
            TaskDeclaration("y", TaskKind.MULTICLASS),
            "has a few classes, each with many rows; however, task 'y' has 240",
        ),
        (TaskDeclaration("name", TaskKind.MULTICLASS), "Merge rare classes"),
        (
            TaskDeclaration("site", TaskKind.REGRESSION),
            "A numeric column must hold numbers; however, the value is 's0'",
        ),
        (TaskDeclaration("site", TaskKind.ORDINAL), "Write classes: [s0, s1, s2, s3] in ascending order"),
        (TaskDeclaration("y", TaskKind.MULTILABEL), "A multilabel task has several 0/1 columns or one column of lists"),
        (TaskDeclaration("m", TaskKind.MULTILABEL, ("sick", "row")), "The columns of a multilabel task hold 0 and 1"),
        (
            TaskDeclaration("y", TaskKind.TOKEN_TAGGING),
            "The tags of a row are a list, one for each token; however, the column is of type double",
        ),
        (TaskDeclaration("y", TaskKind.REGRESSION, transform="log1p"), "A target under log1p must be above -1"),
        (
            TaskDeclaration("m", TaskKind.BINARY, ("sick", "sign")),
            "A binary task has one target column; however, task 'm'",
        ),
        (TaskDeclaration("sikc"), "the table has no column 'sikc'. Did you mean 'sick'?"),
        (TaskDeclaration("y", by="siet"), "the table has no column 'siet'. Did you mean 'site'?"),
        (TaskDeclaration("y", by="void"), "The column that a grouped task is split by must have a value in every row"),
        (TaskDeclaration("sick", positive="yess"), "'yess' is not. Did you mean 'yes'?"),
        (TaskDeclaration("sick", classes=("no", "maybe")), "Every label of task 'sick' must be among its classes"),
        (TaskDeclaration("sick", class_weights={"yse": 1.0}), "'yse' is none. Did you mean 'yes'?"),
        (TaskDeclaration("y", class_weights="balanced"), "Class weights are for binary, multiclass and ordinal tasks"),
        (
            TaskDeclaration("y", metric="auroc"),
            "A metric must fit the task's kind; however, 'auroc' of task 'y' is not",
        ),
        (TaskDeclaration("r", TaskKind.RECONSTRUCTION, ("site",)), "rebuilds numeric, boolean or embedding inputs"),
    ],
)
def test_contradictions(task: TaskDeclaration, message: str) -> None:
    with pytest.raises(DataError) as caught:
        _resolve(
            task,
            inputs=(InputDeclaration("age"), InputDeclaration("site"))
            if task.name == "r"
            else (InputDeclaration("age"),),
        )
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("aeg", None, "the table has no column 'aeg'. Did you mean 'age'?"),
        ("y", None, "A target may not be an input; however, it is an input and the target of task 'y'"),
        (
            "age",
            InputKind.IMAGE,
            "A picture is a file's path, encoded bytes, or uint8 pixels of one number in every row",
        ),
        ("age", InputKind.EMBEDDING, "An embedding is a list of numbers, of one length in every row"),
        ("site", InputKind.NUMERIC, "column 'site': A numeric column must hold numbers; however, the value is 's0'"),
        ("site", InputKind.DATETIME, "A datetime column must hold ISO 8601 dates such as 2024-05-31"),
    ],
)
def test_inputs_that_cannot_be(name: str, kind: InputKind | None, message: str) -> None:
    with pytest.raises(DataError) as caught:
        _resolve(
            TaskDeclaration("y"),
            inputs=(InputDeclaration("age"), InputDeclaration(name, kind))
            if name != "age"
            else (InputDeclaration(name, kind),),
        )
    assert message in str(caught.value)


def test_all_problems_come_together() -> None:
    with pytest.raises(DataError) as caught:
        _resolve(
            TaskDeclaration("site", TaskKind.BINARY),
            TaskDeclaration("nope"),
            inputs=(InputDeclaration("notes", InputKind.EMBEDDING), InputDeclaration("aeg")),
            time="wehn",
        )
    assert len(caught.value.problems) == 5


METADATA = {
    "row_id": "id",
    "split": "part",
    "time": None,
    "group": "field",
    "inputs": [{"name": "a", "kind": "numeric"}, {"name": "p", "kind": "image:uint8:4x4"}],
    "tasks": [
        {"name": "b", "kind": "binary", "metric": "macro F1", "positive": "OFF"},
        {"name": "o", "kind": "multiclass", "metric": "accuracy / ordinal MAE", "classes": ["l", "h"], "ordered": True},
        {"name": "m", "kind": "multilabel", "metric": "Hamming loss, micro/macro F1"},
        {"name": "c", "kind": "regression", "metric": "RMSLE, R2", "count": True},
        {"name": "g", "kind": "binary", "metric": "ROC-AUC, averaged over fields", "per_group": "field"},
        {"name": "s", "kind": "token-tagging", "metric": "span F1 (BIO)", "tokens": "tokens"},
        {"name": "u", "kind": "regression", "metric": "something new"},
        {"name": "e", "kind": "binary", "metric": "prequential accuracy"},
    ],
}


def test_metadata_of_a_file_in_our_words() -> None:
    said = described.declaration(METADATA, ["id", "part", "field", *"apbomcgsue"])
    assert (said.row_id, said.split, said.time, said.group) == ("id", "part", None, "field")
    assert said.inputs == (InputDeclaration("a", InputKind.NUMERIC), InputDeclaration("p", InputKind.IMAGE))
    kinds = {t.name: (t.kind, t.metric) for t in said.tasks}
    assert kinds == {
        "b": (TaskKind.BINARY, "f1_macro"),
        "o": (TaskKind.ORDINAL, "accuracy"),
        "m": (TaskKind.BINARY, None),
        "c": (TaskKind.REGRESSION, "rmse"),
        "g": (TaskKind.BINARY, "auroc"),
        "s": (TaskKind.TOKEN_TAGGING, "entity_f1"),
        "u": (TaskKind.REGRESSION, None),
        "e": (TaskKind.BINARY, "accuracy"),
    }
    by_name = {t.name: t for t in said.tasks}
    assert by_name["b"].positive == "OFF"
    assert by_name["o"].classes == ("l", "h")
    assert by_name["c"].transform == "log1p"
    assert by_name["g"].by == "field"


def test_metadata_of_columns_that_are_gone_counts_for_nothing() -> None:
    said = described.declaration(METADATA, ["id", "a", "b", "u"])
    assert (said.row_id, said.split, said.group) == ("id", None, None)
    assert said.inputs == (InputDeclaration("a", InputKind.NUMERIC),)
    assert [t.name for t in said.tasks] == ["b", "u"]
