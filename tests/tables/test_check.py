"""The whole-table check: what stops a study, what is said, which tasks are set aside. Messages are tested as text."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from sharewise.errors import DataError
from sharewise.tables.prepare import Prepared, prepare
from sharewise.tables.read import read
from sharewise.tables.schema import Declaration, InputDeclaration, TaskDeclaration
from sharewise.tables.split import SplitSpec
from sharewise.tasks import TaskKind

N = 200


def _columns() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=N)
    return {
        "id": [f"r{i}" for i in range(N)],
        "x": x,
        "z": rng.normal(size=N),
        "y": x + rng.normal(size=N),
        "b": [("no", "yes")[int(v > 0)] for v in x + rng.normal(size=N)],
    }


def _prepare(columns: dict[str, Any], *tasks: str | TaskDeclaration, **said: Any) -> Prepared:
    declared = tuple(TaskDeclaration(t) if isinstance(t, str) else t for t in tasks or ("y", "b"))
    inputs = said.pop("inputs", (InputDeclaration("x"), InputDeclaration("z")))
    by = said.pop("by", "auto")
    table = read(pa.table(columns))
    return prepare(table, Declaration(declared, inputs, **said), SplitSpec(by), 0)


def _problems(columns: dict[str, Any], *tasks: str | TaskDeclaration, **said: Any) -> list[str]:
    with pytest.raises(DataError) as caught:
        _prepare(columns, *tasks, **said)
    return [str(p) for p in caught.value.problems]


def test_a_sound_table_has_no_problem() -> None:
    made = _prepare(_columns(), row_id="id")
    assert made.set_aside == {}
    assert (
        "200 of 200 rows have at least one label, and every one of them is used; 200 have labels for both tasks."
        in made.notes
    )


def test_every_row_with_a_label_is_used() -> None:
    columns = _columns()
    columns["y"] = [None if i % 2 else v for i, v in enumerate(columns["y"])]
    columns["b"] = [None if i % 3 else v for i, v in enumerate(columns["b"])]
    made = _prepare(columns)
    n_any = sum(1 for i in range(N) if not (i % 2 and i % 3))
    n_all = sum(1 for i in range(N) if not (i % 2 or i % 3))
    note = f"{n_any} of 200 rows have at least one label, and every one of them is used; {n_all} have labels for"
    assert f"{note} both tasks." in made.notes


def test_duplicate_and_missing_row_ids() -> None:
    columns = _columns()
    columns["id"][17] = columns["id"][150] = "r3"
    assert _problems(columns, row_id="id") == [
        "the table, row 18, column 'id': Row ids must be unique; however, 'r3' is also the id of row 4 "
        "(2 rows repeat an earlier id). Remove the duplicates, or name another id column."
    ]
    columns["id"][17] = columns["id"][150] = None
    assert _problems(columns, row_id="id") == [
        "the table, row 18, column 'id': The row id column must have a value in every row; however, 2 of 200 rows "
        "have none. Fill or remove these rows, or name another column."
    ]


@pytest.mark.parametrize(
    ("role", "by"), [("time", "time"), ("entity", "group"), ("group", "group"), ("time", "random")]
)
def test_holes_in_a_time_or_group_column(role: str, by: str) -> None:
    columns = _columns() | {"r": [None if i == 5 else i // 2 for i in range(N)]}
    problems = _problems(columns, by=by, **{role: "r"})
    assert problems == [
        f"the table, row 6, column 'r': The {role} column must have a value in every row; however, 1 of 200 rows "
        "have none. Fill or remove these rows, or name another column."
    ]


def test_copies_of_a_target() -> None:
    columns = _columns()
    columns["copy"] = [2 * v - 7 for v in columns["y"]]
    columns["word"] = [{"no": "healthy", "yes": "ill"}[v] for v in columns["b"]]
    inputs = tuple(InputDeclaration(n) for n in ("x", "copy", "word"))
    assert _problems(columns, inputs=inputs) == [
        "the table, column 'copy': An input may not be a copy of a target; however, it tells the target 'y' in every "
        "row. Remove it from inputs, or predict something else.",
        "the table, column 'word': An input may not be a copy of a target; however, it tells the target 'b' in every "
        "row. Remove it from inputs, or predict something else.",
    ]


def test_copies_show_where_labels_are_rare_and_inputs_have_holes() -> None:
    rng = np.random.default_rng(1)
    n = 30_000
    y = rng.normal(size=n)
    labelled = rng.random(n) < 0.002
    holes = rng.random(n) < 0.2
    columns = {
        "x": rng.normal(size=n),
        "leak": pa.array([None if h else v for h, v in zip(holes, y, strict=True)]),
        "y": pa.array([v if k else None for k, v in zip(labelled, y, strict=True)]),
    }
    problems = _problems(columns, "y", inputs=(InputDeclaration("x"), InputDeclaration("leak")))
    assert len(problems) == 1
    assert "column 'leak'" in problems[0]


def test_near_copies_are_only_said() -> None:
    columns = _columns()
    columns["near"] = np.array(columns["y"]) + np.random.default_rng(0).normal(size=N) * 1e-3
    made = _prepare(columns, inputs=(InputDeclaration("x"), InputDeclaration("near")))
    assert any(n.startswith("Input 'near' is nearly a copy of the target 'y' (") for n in made.notes)


def test_infinite_and_absurd_targets() -> None:
    columns = _columns()
    columns["y"][4] = math.inf
    columns["y"][9] = 1e300
    assert _problems(columns) == [
        "the table, row 5, column 'y': A regression target must be finite and within ±1e+30; however, the value is "
        "inf (2 such rows in all). Correct the value, or leave it empty."
    ]


def test_infinite_and_absurd_inputs_are_said_and_clipped() -> None:
    columns = _columns()
    columns["x"][4] = math.inf
    columns["x"][9] = -1e300
    made = _prepare(columns)
    assert "Input 'x' has 2 infinite or absurdly large values (beyond 1e+30); they are clipped." in made.notes


def test_degenerate_tasks_are_set_aside() -> None:
    columns = _columns()
    columns["none"] = pa.nulls(N, pa.string())
    columns["one"] = ["a"] * N
    columns["flat"] = [3.5] * N
    columns["three"] = [i * 1.5 if i < 3 else None for i in range(N)]
    columns["part"] = ["train"] * 120 + ["validation"] * 30 + ["test"] * 50
    columns["early"] = [("a", "b")[i % 2] if i < 150 else None for i in range(N)]
    columns["late"] = [("a", "b")[i % 2] if i >= 120 else None for i in range(N)]
    columns["onesided"] = [("a", "b")[i % 2 if i < 150 else 0] for i in range(N)]
    columns["void"] = [[] for _ in range(N)]
    kinds = {"none": TaskKind.BINARY, "one": TaskKind.BINARY, "flat": TaskKind.REGRESSION}
    names = ("y", "none", "one", "flat", "three", "early", "late", "onesided")
    made = _prepare(columns, *(TaskDeclaration(n, kinds.get(n)) for n in names), split="part")
    assert made.schema.tasks.names == ("y",)
    assert made.set_aside == {
        "none": "has no labels at all",
        "one": "has one class only, 'a', in its 200 labelled rows",
        "flat": "has one value only, 3.5, in its 200 labelled rows",
        "three": "has 3 labelled rows, of them 3 in train (at least 10 needed) and none in validation (at least 3 "
        "needed) and none in test (at least 3 needed)",
        "early": "has 150 labelled rows, of them none in test (at least 3 needed)",
        "late": "has 80 labelled rows, of them none in train (at least 10 needed)",
        "onesided": "has one class only, 'a', in its 50 labelled test rows",
    }


def test_no_task_left_is_a_problem() -> None:
    columns = _columns() | {"one": ["a"] * N, "flat": [1.0] * N}
    assert _problems(
        columns, TaskDeclaration("one", TaskKind.BINARY), TaskDeclaration("flat", TaskKind.REGRESSION)
    ) == [
        "A study needs a task that can be learned and judged; however, task 'one' has one class only, 'a', in its 200 "
        "labelled rows. Label more rows, or predict something else.",
        "A study needs a task that can be learned and judged; however, task 'flat' has one value only, 1, in its 200 "
        "labelled rows. Label more rows, or predict something else.",
    ]


def test_three_labelled_rows() -> None:
    columns = _columns()
    columns["y"] = [v if i in (3, 70, 150) else None for i, v in enumerate(columns["y"])]
    assert "task 'y' has 3 labelled rows, of them " in _problems(columns, "y")[0]
    tiny = {k: v[:3] for k, v in _columns().items()}
    assert _problems(tiny, "y")[0].startswith("Train, validation and test must each have rows; however, ")


def test_classes_that_train_lacks_are_said() -> None:
    columns = _columns() | {"part": ["train"] * 120 + ["validation"] * 30 + ["test"] * 50}
    columns["c"] = [("a", "b")[i % 2] if i < 190 else "new" for i in range(N)]
    made = _prepare(columns, "c", split="part")
    assert "Task 'c' has no train row of 'new', which validation or test rows carry." in made.notes


def test_mixed_types_in_a_column() -> None:
    columns = _columns()
    columns["mixed"] = [str(i) for i in range(N)]
    columns["mixed"][41] = "n.a."
    columns["date"] = [f"20{i % 25:02d}-01-05" for i in range(N)]
    columns["date"][7] = "05/01/2024"
    inputs = tuple(InputDeclaration(n) for n in ("x", "mixed", "date"))
    assert _problems(columns, inputs=inputs) == [
        "the table, row 42, column 'mixed': A numeric column must hold numbers; however, the value is 'n.a.'. Correct "
        "the cell, leave it empty, or declare the column categorical.",
        "the table, row 8, column 'date': A datetime column must hold ISO 8601 dates such as 2024-05-31, all with a "
        "time zone or all without; however, the value is '05/01/2024'. Write every date in this one form, or declare "
        "the column categorical.",
    ]
    target = _columns()
    target["y"] = [str(v) for v in target["y"]]
    target["y"][3] = "abc"
    assert "the table, row 4, column 'y': A numeric column must hold numbers" in _problems(target, "y")[0]


def test_all_problems_are_told_at_once() -> None:
    columns = _columns() | {"t": [None if i == 5 else i for i in range(N)]}
    columns["id"][9] = "r3"
    columns["y"][4] = math.inf
    columns["copy"] = [("ill" if v == "yes" else "well") for v in columns["b"]]
    problems = _problems(columns, row_id="id", time="t", inputs=(InputDeclaration("x"), InputDeclaration("copy")))
    assert len(problems) == 4
