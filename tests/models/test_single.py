"""The contract of the non-neural single-task models, run over both of them."""

from __future__ import annotations

import functools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sharewise.batch import Inputs
from sharewise.models.boosted import Boosted
from sharewise.models.linear import Linear
from sharewise.models.single import Array, Outline, SingleTaskModel, combine
from sharewise.tasks import Task, TaskKind

SIBLINGS: list[type[SingleTaskModel]] = [Boosted, Linear]  # type: ignore[type-arg]


def table(n: int, seed: int = 0) -> tuple[Inputs[Array], Array]:
    """Three blocks, and a signal in [-1, 1] that all of them carry."""
    draw = np.random.default_rng(seed)
    numeric = draw.normal(size=(n, 4)).astype(np.float32)
    codes = draw.integers(0, 4, size=(n, 2)).astype(np.int32)
    bits = (draw.random((n, 30)) < 0.1).astype(np.uint8)
    signal = np.tanh(numeric[:, 0] + (codes[:, 0] == 2) + 2.0 * bits[:, 3] - 0.6)
    return Inputs({"numeric": numeric, "categorical": codes, "embedding": bits}), signal


def question(kind: TaskKind, signal: Array, seed: int = 0) -> tuple[Task, Array]:
    """A task of each kind whose labels follow the signal."""
    noisy = signal + 0.3 * np.random.default_rng(seed + 1).normal(size=len(signal))
    codes = np.digitize(noisy, [-0.5, 0.0, 0.5]).astype(float)
    match kind:
        case TaskKind.BINARY:
            return Task("t", kind, ("t",), "auroc", classes=("no", "yes")), (noisy > 0).astype(float)[:, None]
        case TaskKind.MULTICLASS | TaskKind.ORDINAL:
            return Task("t", kind, ("t",), "accuracy", classes=("a", "b", "c", "d")), codes[:, None]
        case TaskKind.MULTILABEL:
            labels = np.stack([noisy > 0, noisy > 0.5, noisy < -0.2], axis=1)
            return Task("t", kind, ("t",), "f1", classes=("x", "y", "z")), labels.astype(float)
        case TaskKind.REGRESSION:
            return Task("t", kind, ("t",), "rmse"), noisy[:, None]
        case _:
            return Task("t", kind, ("u", "v"), "rmse"), np.stack([noisy, -noisy], axis=1)


KINDS = [k for k in TaskKind if k is not TaskKind.TOKEN_TAGGING]
N = 400
TRAIN, VALIDATION, TEST = np.arange(240), np.arange(240, 310), np.arange(310, N)


def fit(sibling, kind, n_trial=0, present=None, values=None, rows=(TRAIN, VALIDATION)):
    inputs, signal = table(N)
    task, found = question(kind, signal)
    values = found if values is None else values
    present = np.ones(values.shape, bool) if present is None else present
    params = sibling.search_space(n_trial, 0)
    if sibling is Boosted:
        params |= {"learning_rate": 0.2, "leaves": 8}
    model = sibling.fit(task, inputs, values, present, *rows, params, 7)
    return model, inputs, values


@functools.cache
def fitted(sibling, kind):
    return fit(sibling, kind)


def loss(kind: TaskKind, prediction: Array, values: Array) -> float:
    if kind in (TaskKind.REGRESSION, TaskKind.RECONSTRUCTION):
        return float(np.mean((prediction - values) ** 2))
    if kind in (TaskKind.MULTICLASS, TaskKind.ORDINAL):
        return float(-np.mean(np.log(prediction[np.arange(len(values)), values[:, 0].astype(int)] + 1e-9)))
    right = np.where(values > 0.5, prediction, 1 - prediction)
    return float(-np.mean(np.log(right + 1e-9)))


def constant(kind: TaskKind, values: Array) -> Array:
    if kind in (TaskKind.MULTICLASS, TaskKind.ORDINAL):
        return np.tile(np.bincount(values[TRAIN, 0].astype(int), minlength=4) / len(TRAIN), (N, 1))
    return np.tile(values[TRAIN].mean(axis=0), (N, 1))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sibling", SIBLINGS)
class TestEveryKind:
    def test_beats_the_constant_answer_on_rows_it_never_saw(self, sibling, kind):
        for trial in (0, 1, 4):
            model, inputs, values = fit(sibling, kind, trial)
            reached = loss(kind, model.predict(inputs.at(TEST)), values[TEST])
            assert reached < 0.85 * loss(kind, constant(kind, values)[TEST], values[TEST])

    def test_prediction_has_the_agreed_form(self, sibling, kind):
        model, inputs, _ = fitted(sibling, kind)
        prediction = model.predict(inputs)
        width = {TaskKind.MULTICLASS: 4, TaskKind.ORDINAL: 4, TaskKind.MULTILABEL: 3, TaskKind.RECONSTRUCTION: 2}
        assert prediction.shape == (N, width.get(kind, 1))
        assert prediction.dtype == np.float32
        assert np.isfinite(prediction).all()
        if kind not in (TaskKind.REGRESSION, TaskKind.RECONSTRUCTION):
            assert prediction.min() >= 0
            assert prediction.max() <= 1
        if kind in (TaskKind.MULTICLASS, TaskKind.ORDINAL):
            np.testing.assert_allclose(prediction.sum(axis=1), 1.0, rtol=1e-5)

    def test_files_hold_the_model_digit_by_digit(self, sibling, kind):
        model, inputs, _ = fitted(sibling, kind)
        files = model.to_files()
        again = sibling.from_files(files)
        np.testing.assert_array_equal(again.predict(inputs), model.predict(inputs))
        assert again.to_files() == files
        assert json.loads(files["model.json"])["kind"] == sibling.name

    def test_the_same_seed_gives_the_same_bits(self, sibling, kind):
        one, inputs, _ = fitted(sibling, kind)
        two, _, _ = fit(sibling, kind)
        np.testing.assert_array_equal(one.predict(inputs), two.predict(inputs))

    def test_absent_labels_are_never_read(self, sibling, kind):
        present = np.random.default_rng(0).random((N, fitted(sibling, kind)[2].shape[1])) < 0.6
        one, inputs, values = fit(sibling, kind, present=present)
        other, _, _ = fit(sibling, kind, present=present, values=np.where(present, values, 0.0))
        np.testing.assert_array_equal(one.predict(inputs), other.predict(inputs))

    @pytest.mark.parametrize("n", [0, 1, 2, 3])
    def test_a_handful_of_rows_is_answered(self, sibling, kind, n):
        model, inputs, _ = fit(sibling, kind, rows=(TRAIN[:n], VALIDATION[:n]))
        assert np.isfinite(model.predict(inputs)).all()

    def test_one_answer_only_gives_nearly_that_answer(self, sibling, kind):
        values = np.ones_like(fitted(sibling, kind)[2])
        model, inputs, _ = fit(sibling, kind, values=values)
        prediction = model.predict(inputs)
        if kind in (TaskKind.MULTICLASS, TaskKind.ORDINAL):
            assert (prediction[:, 1] > 0.97).all()
        else:
            np.testing.assert_allclose(prediction, 1.0, atol=0.01)

    def test_no_rows_give_no_answers(self, sibling, kind):
        model, inputs, _ = fitted(sibling, kind)
        empty = model.predict(inputs.at(slice(0, 0)))
        assert empty.shape == (0, model.predict(inputs.at(slice(0, 2))).shape[1])

    def test_unseen_codes_and_wild_numbers_are_ordinary(self, sibling, kind):
        model, inputs, _ = fitted(sibling, kind)
        wild = Inputs({**inputs.blocks, "categorical": inputs["categorical"] + 90, "numeric": inputs["numeric"] * 1e6})
        assert np.isfinite(model.predict(wild)).all()


@pytest.mark.parametrize("sibling", SIBLINGS)
class TestClasses:
    def test_a_class_that_training_lacks_keeps_a_little_probability(self, sibling):
        inputs, signal = table(N)
        task, values = question(TaskKind.MULTICLASS, signal)
        present = values != 2
        model = sibling.fit(task, inputs, values, present, TRAIN, VALIDATION, sibling.search_space(0, 0), 0)
        prediction = model.predict(inputs)
        assert prediction.shape == (N, 4)
        assert (prediction[:, 2] > 0).all()
        assert (prediction[:, 2] < 0.01).all()
        np.testing.assert_allclose(prediction.sum(axis=1), 1.0, rtol=1e-5)

    def test_a_class_that_only_validation_has_is_left_out_there(self, sibling):
        inputs, signal = table(N)
        task, values = question(TaskKind.MULTICLASS, signal)
        values[TRAIN] = np.where(values[TRAIN] == 3, 1, values[TRAIN])
        present = np.ones_like(values, bool)
        model = sibling.fit(task, inputs, values, present, TRAIN, VALIDATION, sibling.search_space(0, 0), 0)
        assert np.isfinite(model.predict(inputs)).all()

    def test_class_weights_move_the_answer(self, sibling):
        inputs, signal = table(N)
        for kind, weights in ((TaskKind.BINARY, (1.0, 5.0)), (TaskKind.ORDINAL, (1.0, 1.0, 1.0, 5.0))):
            task, values = question(kind, signal)
            heavy = Task(**{**vars(task), "class_weights": weights})
            present = np.ones_like(values, bool)
            plain, weighted = (
                sibling.fit(t, inputs, values, present, TRAIN, VALIDATION, sibling.search_space(0, 0), 0).predict(
                    inputs
                )
                for t in (task, heavy)
            )
            assert weighted[:, -1].mean() > plain[:, -1].mean() + 0.05

    def test_the_search_space_is_a_function_of_seed_and_trial(self, sibling):
        assert sibling.search_space(0, 1) == sibling.search_space(0, 2)
        assert sibling.search_space(3, 1) == sibling.search_space(3, 1)
        assert sibling.search_space(3, 1) != sibling.search_space(4, 1)
        assert json.loads(json.dumps(sibling.search_space(5, 0))) == sibling.search_space(5, 0)

    def test_damaged_files_are_refused(self, sibling):
        files = fitted(sibling, TaskKind.BINARY)[0].to_files()
        own = next(name for name in files if name != "model.json")
        for damage in ({own: files[own][:40]}, {own: b""}, {"model.json": b"{}"}, {"model.json": b"{"}):
            with pytest.raises(ValueError, match=r"model|Expecting"):
                sibling.from_files({**files, **damage})
        with pytest.raises(ValueError, match="missing"):
            sibling.from_files({"model.json": files["model.json"]})


def test_wide_reconstructions_are_for_the_linear_model_only():
    pixels = Task("ink", TaskKind.RECONSTRUCTION, tuple(f"p{i}" for i in range(64)), "rmse")
    assert Linear.applies_to(pixels)
    assert not Boosted.applies_to(pixels)
    assert not Linear.applies_to(Task("t", TaskKind.TOKEN_TAGGING, ("t",), "f1"))


@given(st.lists(st.lists(st.floats(0, 1), min_size=3, max_size=3), min_size=1, max_size=5))
@settings(max_examples=50, deadline=None)
def test_ordinal_answers_are_probabilities_whatever_the_questions_say(above):
    columns = np.array(above)
    prediction = combine(Outline(TaskKind.ORDINAL, 4, 1), list(columns.T))
    assert (prediction >= 0).all()
    np.testing.assert_allclose(prediction.sum(axis=1), 1.0, rtol=1e-5)


def test_boosted_prints_nothing(capfd):
    fit(Boosted, TaskKind.REGRESSION, rows=(TRAIN[:3], VALIDATION[:12]))
    assert capfd.readouterr() == ("", "")
