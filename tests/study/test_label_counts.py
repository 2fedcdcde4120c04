"""What is on record, and told, of the labels of classes."""

from __future__ import annotations

import numpy as np

from sharewise.records import TaskData
from sharewise.report.labels import _values
from sharewise.study.prepare import MOST_CLASSES, _task_data
from sharewise.tasks import Task, TaskKind

PARTS = [np.arange(3), np.array([3]), np.array([4])]


def told(data: TaskData) -> dict[str, tuple[int, int, int]]:
    return {c.label: (c.rows.train, c.rows.validation, c.rows.test) for c in data.classes}


def test_tags_are_shares_of_all_tags() -> None:
    """A row has many, so that shares of rows would exceed all."""
    task = Task("t", TaskKind.TOKEN_TAGGING, ("t",), "token_accuracy", classes=("N", "O", "V"), length=4)
    values = np.array([[1, 1, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0], [2, 1, 0, 0], [1, 0, 0, 0]])
    present = np.array([[1, 1, 1, 1], [1, 1, 0, 0], [0, 0, 0, 0], [1, 1, 0, 0], [1, 0, 0, 0]], bool)
    data = _task_data(task, values, present, PARTS)
    assert told(data) == {"N": (1, 0, 0), "O": (5, 1, 1), "V": (0, 1, 0)}
    assert data.labelled.train == 2
    assert _values(data, of_tokens=True).replace("\u202f", " ") == "9 tags: O 78 %, N 11 %, V 11 %"


def test_of_many_classes_the_most_frequent_are_on_record() -> None:
    names = tuple(f"c{i:02}" for i in range(40))
    task = Task("t", TaskKind.MULTICLASS, ("t",), "accuracy", classes=names)
    values = np.concatenate([np.arange(40), [39] * 5])[:, None]
    data = _task_data(task, values, np.ones_like(values, bool), [np.arange(45), np.arange(0), np.arange(0)])
    assert (len(data.classes), data.n_classes) == (MOST_CLASSES, 40)
    assert told(data)["c39"] == (6, 0, 0)
    assert _values(data).replace("\u202f", " ").startswith("c39 13 %, c00 2.2 %")


def test_labels_of_a_multilabel_task_are_counted_each() -> None:
    task = Task("t", TaskKind.MULTILABEL, ("a", "b"), "auroc", classes=("a", "b"))
    values = np.array([[1, 0], [1, 1], [0, 1], [1, 0], [0, 1]])
    present = np.ones_like(values, bool)
    present[0, 0] = False
    assert told(_task_data(task, values, present, PARTS)) == {"a": (1, 1, 0), "b": (2, 0, 1)}
