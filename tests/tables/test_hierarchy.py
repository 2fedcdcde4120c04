"""Which class of a parent every class of its child belongs to."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from sharewise.errors import DataError
from sharewise.tables.hierarchy import among
from sharewise.tables.prepare import Prepared, prepare
from sharewise.tables.read import read
from sharewise.tables.schema import Declaration, TaskDeclaration
from sharewise.tables.split import SplitSpec
from sharewise.tasks import TaskKind

FINE = ["a1", "a2", "b1", "b2"]


def placed(fine: list[str | None], coarse: list[str | None], **said: object) -> Prepared:
    n = 40
    columns = {"x": [float(i % 7) for i in range(n * len(fine))], "coarse": coarse * n, "fine": fine * n}
    tasks = (
        TaskDeclaration("coarse", TaskKind.MULTICLASS),
        TaskDeclaration("fine", TaskKind.MULTICLASS, parent="coarse", **said),  # type: ignore[arg-type]
    )
    return prepare(read(pa.table(columns)), Declaration(tasks), SplitSpec("random"), 0)


def test_classes_are_learnt_from_rows_with_both_labels() -> None:
    made = placed(list(FINE), ["a", "a", "b", "b"])
    assert made.schema.tasks["fine"].under == (0, 0, 1, 1)
    assert any("'fine' divides 'coarse': 'a' into a1, a2; 'b' into b1, b2." in note for note in made.notes)


def test_a_class_under_two_parents_is_refused_with_counts_unless_it_is_declared() -> None:
    fine, coarse = [*FINE, "a1"], ["a", "a", "b", "b", "b"]
    with pytest.raises(DataError, match=r"'a1' stands beside 'a' in \d+ and 'b' in \d+ train rows"):
        placed(fine, coarse)
    declared = {"a1": "a", "a2": "a", "b1": "b", "b2": "b"}
    assert placed(fine, coarse, parent_classes=declared).schema.tasks["fine"].under == (0, 0, 1, 1)


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        ({"a1": "a", "a2": "a", "b1": "b", "b3": "b"}, "'b3' is no class of 'fine'"),
        ({"a1": "a", "a2": "a", "b1": "b"}, "'b2' has none"),
        ({"a1": "a", "a2": "a", "b1": "b", "b2": "c"}, "'c' is no class of 'coarse'"),
    ],
)
def test_declared_classes_must_be_classes(classes: dict[str, str], words: str) -> None:
    with pytest.raises(DataError, match=words):
        placed(list(FINE), ["a", "a", "b", "b"], parent_classes=classes)


def test_a_child_that_says_nothing_new_is_refused() -> None:
    with pytest.raises(DataError, match="has at most one of 'fine'"):
        placed(["a1", "b1", "a1", "b1"], ["a", "b", "a", "b"])


@pytest.mark.parametrize(
    ("tasks", "words"),
    [
        ((TaskDeclaration("fine", TaskKind.MULTICLASS, parent="corse"),), "'corse', is none.*coarse"),
        ((TaskDeclaration("fine", TaskKind.MULTICLASS, parent="x2"), TaskDeclaration("x2")), "'x2' is regression"),
        (
            (
                TaskDeclaration("fine", TaskKind.MULTICLASS, parent="other"),
                TaskDeclaration("other", TaskKind.MULTICLASS, parent="fine"),
            ),
            "below itself",
        ),
        (
            (
                TaskDeclaration("fine", TaskKind.MULTICLASS, parent="other"),
                TaskDeclaration("other", TaskKind.MULTICLASS, auxiliary=True),
            ),
            "auxiliary and not in the bundle",
        ),
    ],
)
def test_parents_that_cannot_be_are_refused(tasks: tuple[TaskDeclaration, ...], words: str) -> None:
    n = 40
    columns = {
        "x": [float(i) for i in range(4 * n)],
        "x2": [float(i % 13) for i in range(4 * n)],
        "coarse": ["a", "a", "b", "b"] * n,
        "other": ["p", "q", "q", "r"] * n,
        "fine": list(FINE) * n,
    }
    said = (TaskDeclaration("coarse", TaskKind.MULTICLASS), *tasks)
    with pytest.raises(DataError, match=words):
        prepare(read(pa.table(columns)), Declaration(said), SplitSpec("random"), 0)


def test_shares_among_the_classes_below_a_coarse_one() -> None:
    q = np.array([[0.1, 0.3, 0.6], [0.0, 0.0, 1.0], [0.2, 0.2, 0.6], [0.5, 0.5, 0.0]])
    found = among(q, (0, 0, 1), np.array([0, 0, 1, 2]))
    np.testing.assert_allclose(found, [[0.25, 0.75, 0], [0.5, 0.5, 0], [0, 0, 1], [0, 0, 0]])
