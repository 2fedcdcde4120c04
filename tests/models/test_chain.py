"""Classifier chains against scikit-learn's, link by link, and on labels of which many are missing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import PredefinedSplit
from sklearn.multioutput import ClassifierChain

from sharewise.batch import Inputs
from sharewise.models.alternative import GroupData
from sharewise.models.alternatives import CATALOGUE, DEFAULT
from sharewise.models.chain import Chain, folds_of
from sharewise.models.linear import Linear
from sharewise.tasks import Task, TaskKind, TaskSet

N, D = 900, 6
TRAIN, VALIDATION, TEST = np.arange(400), np.arange(400, 600), np.arange(600, N)
PARAMS = {"bins": 0, "embedding_scale": 1.0, "order": 0}
TASKS = TaskSet(tuple(Task(name, TaskKind.BINARY, (name,), "auroc", classes=(0, 1)) for name in ("a", "b", "c")))


def labels(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """b leans on a, and c on both at once, which a linear model of the inputs alone cannot say."""
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(N, D)).astype(np.float32)
    a = x[:, 0] + 0.3 * draw.normal(size=N) > 0
    b = x[:, 1] + 0.5 * a + 0.3 * draw.normal(size=N) > 0.3
    c = x[:, 2] + 1.5 * (a & b) + 0.3 * draw.normal(size=N) > 0.8
    return x, np.stack([a, b, c], axis=1).astype(np.float64)


def given(x: np.ndarray, y: np.ndarray, present: np.ndarray | None = None) -> GroupData:
    there = np.ones_like(y, bool) if present is None else present
    names = TASKS.names
    return GroupData(
        Inputs({"numeric": x}),
        {name: y[:, i : i + 1] for i, name in enumerate(names)},
        {name: there[:, i : i + 1] for i, name in enumerate(names)},
        dict.fromkeys(names),
        TRAIN,
        VALIDATION,
    )


class OurLinear(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Our regularised linear model as scikit-learn sees one; it takes its strength from the same validation rows, whose
    inputs it is handed through `valid`, by how many columns it is fitted to."""

    def __init__(self, valid: Any = None) -> None:
        self.valid = valid

    def fit(self, x: np.ndarray, y: np.ndarray) -> OurLinear:
        extra, truth = self.valid(x.shape[1])
        values = np.concatenate([y, truth])[:, None]
        rows = np.concatenate([x, extra]).astype(np.float32)
        n = np.arange(len(values))
        self.classes_ = np.array([0.0, 1.0])
        settings = {key: value for key, value in PARAMS.items() if key != "order"}
        self.model_ = Linear.fit(
            TASKS["a"],
            Inputs({"numeric": rows}),
            values,
            np.ones_like(values, bool),
            n[: len(y)],
            n[len(y) :],
            settings,
            0,
        )
        return self

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        p = self.model_.predict(Inputs({"numeric": x.astype(np.float32)}))[:, 0].astype(np.float64)
        return np.stack([1 - p, p], axis=1)

    def predict(self, x: np.ndarray) -> np.ndarray:
        return (self.predict_proba(x)[:, 1] > 0.5).astype(float)


def test_it_is_scikit_learns_chain_of_the_same_model() -> None:
    """With out-of-fold probabilities of the same folds, each link reads and says what `ClassifierChain`'s does."""
    x, y = labels()
    ours = Chain.fit_group(TASKS.tasks, given(x, y), PARAMS, 0)
    assert ours.tasks == ("a", "b", "c")

    def validation(width: int) -> tuple[np.ndarray, np.ndarray]:
        """Validation rows as the link reads them: with what the links before it say there."""
        rows, link = x[VALIDATION], width - D
        for i in range(link):
            rows = np.column_stack([rows, ours.links[i].predict(Inputs({"numeric": rows.astype(np.float32)}))])
        return rows, y[VALIDATION, link]

    theirs = ClassifierChain(
        OurLinear(valid=validation), order=[0, 1, 2], cv=PredefinedSplit(folds_of(TRAIN)), chain_method="predict_proba"
    )
    theirs.fit(x[TRAIN], y[TRAIN])
    expected = theirs.predict_proba(x[TEST])
    for i, name in enumerate(TASKS.names):
        found = ours.predict_task(Inputs({"numeric": x[TEST]}), name)[:, 0]
        np.testing.assert_allclose(found, expected[:, i], atol=2e-5)


def test_it_says_more_than_a_model_of_its_own_where_labels_hang_together() -> None:
    x, y = labels(1)
    chain = Chain.fit_group(TASKS.tasks, given(x, y), PARAMS, 0)
    settings = {key: value for key, value in PARAMS.items() if key != "order"}
    alone = Linear.fit_group([TASKS["c"]], given(x, y), settings, 0)
    inputs = Inputs({"numeric": x[TEST]})
    assert log_loss(y[TEST, 2], chain.predict_task(inputs, "c")[:, 0]) < log_loss(
        y[TEST, 2], alone.predict_task(inputs, "c")[:, 0]
    )


def test_no_row_reads_its_own_label() -> None:
    """Labels that are coins cannot be told; a chain that read them at training would lean on them and fail."""
    draw = np.random.default_rng(3)
    x = draw.normal(size=(N, 40)).astype(np.float32)
    coin = (draw.random(N) < 0.5).astype(float)
    y = np.stack([coin, coin, coin], axis=1)
    chain = Chain.fit_group(TASKS.tasks, given(x, y), PARAMS, 0)
    said = chain.predict_task(Inputs({"numeric": x[TEST]}), "b")[:, 0]
    assert abs(roc_auc_score(coin[TEST], said) - 0.5) < 0.12
    assert log_loss(coin[TEST], said) < 0.75  # not surer than a coin allows (0.693)


def test_disjoint_labels_are_read_as_predicted() -> None:
    """Of each row one task's label is known, and the chain still learns from all."""
    x, y = labels(2)
    present = np.arange(3)[None, :] == (np.arange(N) % 3)[:, None]
    chain = Chain.fit_group(TASKS.tasks, given(x, y, present), PARAMS, 0)
    for i, name in enumerate(TASKS.names):
        said = chain.predict_task(Inputs({"numeric": x[TEST]}), name)[:, 0]
        assert np.isfinite(said).all()
        assert roc_auc_score(y[TEST, i], said) > 0.8


def test_few_labels_and_one_class_are_no_trouble() -> None:
    x, y = labels()
    present = np.ones_like(y, bool)
    present[TRAIN[4:], 0] = False
    y[:, 1] = 1.0
    chain = Chain.fit_group(TASKS.tasks, given(x, y, present), PARAMS, 0)
    assert chain.tasks == ("b", "c", "a"), "the most labelled come first"
    said = chain.predict_task(Inputs({"numeric": x[TEST]}), "b")
    assert said.shape == (len(TEST), 1)
    assert (said > 0.9).all()


def test_it_is_read_back_as_it_was_written() -> None:
    x, y = labels()
    chain = Chain.fit_group(TASKS.tasks, given(x, y), Chain.search_space(2, 0), 0)
    again = Chain.from_files(chain.to_files())
    assert again.tasks == chain.tasks
    for name in TASKS.names:
        found = again.predict_task(Inputs({"numeric": x[TEST]}), name)
        np.testing.assert_array_equal(found, chain.predict_task(Inputs({"numeric": x[TEST]}), name))
    with pytest.raises(ValueError, match="of a chain lacks 'tasks'"):
        Chain.from_files({"model.json": b"{}"})
    with pytest.raises(ValueError, match="a chain of 1 tasks has 0 links"):
        Chain.from_files({"model.json": b'{"tasks": ["a"], "links": []}'})


def test_it_is_the_same_whatever_the_seed() -> None:
    x, y = labels()
    one, other = (Chain.fit_group(TASKS.tasks, given(x, y), PARAMS, seed) for seed in (0, 1))
    inputs = Inputs({"numeric": x[TEST]})
    np.testing.assert_array_equal(one.predict_task(inputs, "c"), other.predict_task(inputs, "c"))
    assert Chain.search_space(0, 0) == Chain.search_space(0, 1) == PARAMS


def test_yes_or_no_tasks_that_read_the_same_inputs_make_a_chain() -> None:
    number = Task("n", TaskKind.REGRESSION, ("n",), "rmse")
    apart = replace(TASKS["a"], name="d", inputs=("x0",))
    school = replace(TASKS["a"], name="e", where=("school", "1"), family="e")
    assert Chain.groups(TaskSet((*TASKS.tasks, number, apart, school))) == [("chain", ("a", "b", "c"))]
    assert Chain.groups(TaskSet((TASKS["a"], number))) == []
    two = replace(apart, name="f")
    assert Chain.groups(TaskSet((*TASKS.tasks, apart, two))) == [("chain:1", ("a", "b", "c")), ("chain:2", ("d", "f"))]
    assert "chain" in CATALOGUE
    assert "chain" not in DEFAULT
