"""Gradient-boosted trees, one task at a time: what a tabular buyer runs today, and the baseline to beat."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import lightgbm
import numpy as np

from sharewise.batch import Inputs
from sharewise.models.single import Array, Problem, SingleTaskModel
from sharewise.models.space import OneOf, Range, Space
from sharewise.seeds import derive

_OBJECTIVE = {"logistic": "binary", "softmax": "multiclass", "squared": "regression"}
_BLOCKS = ("categorical", "numeric", "embedding")
_PATIENCE_TIMES_RATE = 2.5
_ROUNDS_TIMES_RATE_UNWATCHED = 5.0
_FEWEST_WATCHED_ROWS = 10
_SMALL = 200


class Boosted(SingleTaskModel[lightgbm.Booster]):
    """LightGBM (Ke et al., NeurIPS 2017) on all input blocks, stopped early on the validation rows' loss.

    One thread, deterministic, row-wise histograms. Categorical codes are split as categories. Small problems
    get small leaves; with fewer than ten validation rows the number of rounds is fixed. Cost: linear in rows,
    inputs and rounds, times the classes for softmax.
    """

    name: ClassVar[str] = "lightgbm"
    title: ClassVar[str] = "LightGBM"
    max_cells: ClassVar[int] = 16

    @classmethod
    def search_space(cls, trial: int, seed: int) -> dict[str, Any]:
        """Trial 0: a default strong on many tables; later: rate, leaves, fractions, penalties at random."""
        if trial == 0:
            return {
                "learning_rate": 0.08,
                "leaves": 31,
                "smallest_leaf": 20,
                "input_fraction": 0.6,
                "row_fraction": 0.8,
                "l2": 10.0,
                "l1": 0.0,
                "rounds": 1000,
            }
        draw = np.random.default_rng(derive(seed, "boosted", trial))
        return {
            "learning_rate": float(np.exp(draw.uniform(np.log(0.04), np.log(0.2)))),
            "leaves": int(np.exp(draw.uniform(np.log(4), np.log(128)))),
            "smallest_leaf": int(np.exp(draw.uniform(np.log(3), np.log(100)))),
            "input_fraction": float(draw.uniform(0.2, 1.0)),
            "row_fraction": float(draw.uniform(0.5, 1.0)),
            "l2": float(np.exp(draw.uniform(np.log(0.1), np.log(100.0)))),
            "l1": float(draw.choice([0.0, 0.0, 0.1, 1.0])),
            "rounds": 1000,
        }

    @classmethod
    def space(cls) -> Space:
        """Rate, leaves, fractions and penalties."""
        return {
            "learning_rate": Range(0.04, 0.2, "log"),
            "leaves": Range(4, 128, "whole"),
            "smallest_leaf": Range(3, 100, "whole"),
            "input_fraction": Range(0.2, 1.0, "uniform"),
            "row_fraction": Range(0.5, 1.0, "uniform"),
            "l2": Range(0.1, 100.0, "log"),
            "l1": OneOf((0.0, 0.1, 1.0)),
        }

    @classmethod
    def seconds(cls, rows: int, width: int, outputs: int) -> float:
        """Linear in rows, inputs and outputs."""
        return 0.02 + rows * min(width, 300) * outputs * 1.2e-6

    @classmethod
    def fit_problem(
        cls, inputs: Inputs[Array], problem: Problem, params: Mapping[str, Any], seed: int
    ) -> lightgbm.Booster:
        """The booster with the number of rounds at which the validation loss was lowest."""
        settings = _settings(problem, params, seed)
        n_categorical = inputs["categorical"].shape[1] if "categorical" in inputs else 0
        train = lightgbm.Dataset(
            _matrix(inputs, problem.train),
            problem.y,
            weight=problem.weight,
            categorical_feature=list(range(n_categorical)),
            params=settings,
        )
        rate, rounds = float(params["learning_rate"]), int(params["rounds"])
        watched: list[lightgbm.Dataset] = []
        callbacks: list[Callable[..., Any]] = []
        if len(problem.validation) >= _FEWEST_WATCHED_ROWS:
            watched = [
                train.create_valid(
                    _matrix(inputs, problem.validation),
                    problem.y_validation,
                    weight=problem.weight_validation,
                    params=settings,
                )
            ]
            patience = max(20, round(_PATIENCE_TIMES_RATE / rate))
            callbacks = [lightgbm.early_stopping(patience, verbose=False)]
        else:
            rounds = min(rounds, round(_ROUNDS_TIMES_RATE_UNWATCHED / rate))
        booster = lightgbm.train(settings, train, num_boost_round=rounds, valid_sets=watched, callbacks=callbacks)
        best = booster.best_iteration if booster.best_iteration > 0 else rounds
        # Read back from the text that a bundle holds: what was judged is what is shipped, digit by digit.
        return lightgbm.Booster(model_str=booster.model_to_string(num_iteration=best))

    def answers(self, inputs: Inputs[Array], parts: Sequence[lightgbm.Booster]) -> list[Array]:
        """The boosters' answers, with one thread."""
        table = _matrix(inputs, slice(None))
        if not len(table):
            return [np.zeros((0, len(self.outline.seen)) if self.outline.seen else 0) for _ in parts]
        return [np.asarray(part.predict(table, num_threads=1)) for part in parts]

    @classmethod
    def parts_to_files(cls, parts: Mapping[int, lightgbm.Booster]) -> dict[str, bytes]:
        """LightGBM's own text of each booster: `model.txt`, then `model-1.txt` and so on."""
        return {_file(i): part.model_to_string().encode() for i, part in parts.items()}

    @classmethod
    def parts_from_files(cls, numbers: Sequence[int], files: Mapping[str, bytes]) -> list[lightgbm.Booster]:
        """Boosters from their text."""
        parts = []
        for i in numbers:
            if _file(i) not in files:
                raise ValueError(f"'{_file(i)}' is missing")
            try:
                parts.append(lightgbm.Booster(model_str=files[_file(i)].decode()))
            except (lightgbm.basic.LightGBMError, UnicodeDecodeError) as error:
                raise ValueError(f"'{_file(i)}' is not a LightGBM model: {error}") from error
        return parts


def _file(number: int) -> str:
    return f"model-{number}.txt" if number else "model.txt"


def _matrix(inputs: Inputs[Array], rows: Any) -> Array:
    """All blocks side by side, (rows, columns) float32: categorical codes are small enough to be exact."""
    blocks = [inputs[name][rows] for name in _BLOCKS if name in inputs]
    if len(blocks) == 1:
        return np.ascontiguousarray(blocks[0], np.float32)
    return np.concatenate(blocks, axis=1, dtype=np.float32, casting="unsafe")


def _settings(problem: Problem, params: Mapping[str, Any], seed: int) -> dict[str, Any]:
    n = len(problem.y)
    made: dict[str, Any] = {
        "objective": _OBJECTIVE[problem.loss],
        "learning_rate": params["learning_rate"],
        "num_leaves": params["leaves"],
        # A twentieth of the rows at most: LightGBM's own 20 would leave a problem of 30 rows without a split.
        "min_data_in_leaf": max(1, min(int(params["smallest_leaf"]), n // 20)),
        "min_data_per_group": max(5, min(100, n // 50)),
        "min_data_in_bin": 1 if n < _SMALL else 3,
        "feature_fraction": params["input_fraction"],
        "bagging_fraction": params["row_fraction"],
        "bagging_freq": 1,
        "lambda_l2": params["l2"],
        "lambda_l1": params["l1"],
        "seed": seed % 2**31,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
        "feature_pre_filter": False,
        "verbosity": -1,
    }
    return made | ({"num_class": problem.n_classes} if problem.loss == "softmax" else {})
