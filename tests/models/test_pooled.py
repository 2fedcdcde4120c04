"""One model for all groups of a grouped declaration: against a known function, and against another library."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import log_loss

from sharewise.batch import Inputs
from sharewise.models.alternative import GroupData
from sharewise.models.alternatives import CATALOGUE
from sharewise.models.boosted import Boosted
from sharewise.models.grouped import Pooled
from sharewise.tasks import Task, TaskKind, TaskSet

GROUPS, ROWS = 30, 24


def family(kind: TaskKind = TaskKind.REGRESSION, **changes: object) -> TaskSet:
    classes = ("no", "yes") if kind is TaskKind.BINARY else ()
    base = Task("mark", kind, ("mark",), "rmse", classes=classes)
    return TaskSet(
        tuple(
            replace(base, name=f"mark[school={g}]", family="mark", where=("school", str(g)), **changes)  # type: ignore[arg-type]
            for g in range(GROUPS)
        )
    )


def data(tasks: TaskSet, kind: TaskKind = TaskKind.REGRESSION) -> tuple[GroupData, np.ndarray, np.ndarray, np.ndarray]:
    """y = 40 + 5 sin(2 x) + 3 z + offset of the group + noise of SD 1; the third part of the rows is for test."""
    draw = np.random.default_rng(0)
    n = GROUPS * ROWS
    group = np.repeat(np.arange(GROUPS), ROWS)
    x = draw.normal(size=(n, 2)).astype(np.float32)
    clean = 40 + 5 * np.sin(2 * x[:, 0]) + 3 * x[:, 1] + draw.normal(0, 2, GROUPS)[group]
    y = clean + draw.normal(size=n)
    if kind is TaskKind.BINARY:
        y = (draw.random(n) < 1 / (1 + np.exp(-(clean - 40)))).astype(float)
    part = np.tile(np.arange(ROWS) % 3, GROUPS)
    values, present, units = {}, {}, {}
    for g, task in enumerate(tasks):
        mine = group == g
        a, b = (float(y[mine].std()), float(y[mine].mean())) if kind is TaskKind.REGRESSION else (1.0, 0.0)
        values[task.name] = np.where(mine, (y - b) / a, 0.0)[:, None]
        present[task.name] = mine[:, None]
        units[task.name] = (a, b) if kind is TaskKind.REGRESSION else None
    rows = np.flatnonzero(part == 0), np.flatnonzero(part == 1)
    return GroupData(Inputs({"numeric": x}), values, present, units, *rows), y, group, np.flatnonzero(part == 2)


def answers(model: Pooled, given: GroupData, tasks: TaskSet, group: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Predictions of the test rows in the original unit, each as its own task answers it."""
    found = np.zeros(len(group))
    for g, task in enumerate(tasks):
        rows = test[group[test] == g]
        unit = given.units[task.name] or (1.0, 0.0)
        found[rows] = model.predict_task(given.inputs.at(rows), task.name)[:, 0] * unit[0] + unit[1]
    return found[test]


def test_it_learns_what_no_group_alone_could() -> None:
    tasks = family()
    given, y, group, test = data(tasks)
    model = Pooled.fit_group(tasks.tasks, given, Boosted.search_space(0, 0), 1)
    pooled = np.sqrt(np.mean((answers(model, given, tasks, group, test) - y[test]) ** 2))
    alone = []
    for task in tasks:
        rows = np.flatnonzero(given.present[task.name][:, 0])
        rows = rows[np.isin(rows, test)]
        own = Boosted.fit_group([task], given, Boosted.search_space(0, 0), 1).predict_task(
            given.inputs.at(rows), task.name
        )
        a, b = given.units[task.name] or (1.0, 0.0)
        alone.append((own[:, 0] * a + b - y[rows]) ** 2)
    single = np.sqrt(np.mean(np.concatenate(alone)))
    assert pooled < 0.75 * single
    other = HistGradientBoostingRegressor(categorical_features=[2], random_state=0, learning_rate=0.05)
    x = np.column_stack([given.inputs["numeric"], group])
    other.fit(x[given.train], y[given.train])
    reference = np.sqrt(np.mean((other.predict(x[test]) - y[test]) ** 2))
    assert pooled < 1.08 * reference


def test_classes_are_pooled_as_probabilities() -> None:
    tasks = family(TaskKind.BINARY)
    given, y, group, test = data(tasks, TaskKind.BINARY)
    model = Pooled.fit_group(tasks.tasks, given, Boosted.search_space(0, 0), 1)
    p = answers(model, given, tasks, group, test)
    assert 0 < p.min() < p.max() < 1
    other = HistGradientBoostingClassifier(categorical_features=[2], random_state=0, learning_rate=0.05)
    x = np.column_stack([given.inputs["numeric"], group])
    reference = other.fit(x[given.train], y[given.train]).predict_proba(x[test])[:, 1]
    assert log_loss(y[test], p) < log_loss(y[test], reference)


def test_files_bring_the_same_answers_back() -> None:
    tasks = family()
    given, _, group, test = data(tasks)
    model = Pooled.fit_group(tasks.tasks, given, Boosted.search_space(0, 0), 1)
    again = Pooled.from_files(model.to_files())
    np.testing.assert_array_equal(answers(model, given, tasks, group, test), answers(again, given, tasks, group, test))
    with pytest.raises(ValueError, match="lacks"):
        Pooled.from_files({"model.json": b"{}"})


def test_it_is_made_for_grouped_declarations_only() -> None:
    tasks = family()
    assert Pooled.groups(tasks) == [("pooled:mark", tasks.names)]
    plain = Task("y", TaskKind.REGRESSION, ("y",), "rmse")
    assert Pooled.groups(TaskSet((plain,))) == []
    assert Pooled.groups(family(transform="quantile")) == []  # a unit of its own for each group
    assert Pooled.groups(TaskSet(tasks.tasks[:1])) == []


# A chain is of yes-or-no tasks that share their rows, a tagger of tags: their own files hold them to the same.
@pytest.mark.parametrize("name", [name for name in CATALOGUE if name not in ("chain", "tagger")])
def test_every_alternative_is_what_a_study_needs(name: str) -> None:
    kind = CATALOGUE.load(name)
    assert kind.name == name
    assert kind.title
    assert kind.seconds(1000, 10, 1) < kind.seconds(100_000, 10, 1)
    assert kind.search_space(0, 0) == kind.search_space(0, 1)
    assert kind.search_space(3, 0) == kind.search_space(3, 0)
    given, *_ = data(family())
    tasks = family()
    groups = kind.groups(tasks)
    assert {t for _, members in groups for t in members} == set(tasks.names)
    model = kind.fit_group([tasks[t] for t in groups[0][1]], given, kind.search_space(0, 0), 0)
    made = model.predict_task(given.inputs, groups[0][1][0])
    again = kind.from_files(model.to_files()).predict_task(given.inputs, groups[0][1][0])
    np.testing.assert_array_equal(made, again)
