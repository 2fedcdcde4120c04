"""Gradient-boosted trees, one task at a time: what a tabular buyer runs today, and the baseline to beat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import lightgbm
import numpy as np

from sharewise.batch import Inputs
from sharewise.models.single import Array, Problem, SingleTaskModel
from sharewise.seeds import derive

_OBJECTIVE = {"logistic": "binary", "softmax": "multiclass", "squared": "regression"}
_PATIENCE_TIMES_RATE = 2.5
_ROUNDS_TIMES_RATE_UNWATCHED = 5.0
_FEWEST_WATCHED_ROWS = 10
_SMALL = 200


@dataclass(frozen=True)
class Trees:
    """Trees of one problem and, for softmax, the classes that occurred in training with the share of the others."""

    booster: lightgbm.Booster
    classes: tuple[int, ...] = ()
    n_classes: int = 0
    share_unseen: float = 0.0


Part = Trees | tuple[float, ...]
"""What is kept of a problem: trees, or the constant answer of a degenerate one."""


class Boosted(SingleTaskModel[Part]):
    """LightGBM (Ke et al., NeurIPS 2017) on all input blocks, stopped early on the validation rows' loss.

    One thread, deterministic, row-wise histograms. Categorical codes are split as categories. Small problems
    get small leaves; without validation rows the number of rounds is fixed. Cost: linear in rows, inputs and
    rounds (times C for softmax).
    """

    name: ClassVar[str] = "lightgbm"
    max_cells: ClassVar[int] = 16

    @classmethod
    def search_space(cls, trial: int, seed: int) -> dict[str, Any]:
        """Trial 0: rate 0.05, 31 leaves; later: rate, leaves, smallest leaf, fractions and penalties at random."""
        if trial == 0:
            return {
                "learning_rate": 0.05,
                "leaves": 31,
                "smallest_leaf": 20,
                "input_fraction": 0.6,
                "row_fraction": 0.8,
                "l2": 1.0,
                "l1": 0.0,
                "rounds": 2000,
            }
        draw = np.random.default_rng(derive(seed, "boosted", trial))
        return {
            "learning_rate": float(np.exp(draw.uniform(np.log(0.02), np.log(0.15)))),
            "leaves": int(np.exp(draw.uniform(np.log(4), np.log(128)))),
            "smallest_leaf": int(np.exp(draw.uniform(np.log(3), np.log(100)))),
            "input_fraction": float(draw.uniform(0.2, 1.0)),
            "row_fraction": float(draw.uniform(0.5, 1.0)),
            "l2": float(np.exp(draw.uniform(np.log(0.01), np.log(30.0)))),
            "l1": float(draw.choice([0.0, 0.0, 0.1, 1.0])),
            "rounds": 2000,
        }

    @classmethod
    def fit_problems(
        cls, inputs: Inputs[Array], problems: Sequence[Problem], params: Mapping[str, Any], seed: int
    ) -> list[Part]:
        """Trees per problem, a constant where nothing can be learned."""
        return [
            problem.constant() if problem.is_degenerate else _fit(inputs, problem, params, derive(seed, "boosted", i))
            for i, problem in enumerate(problems)
        ]

    def answers(self, inputs: Inputs[Array]) -> list[Array]:
        """Trees' answers with one thread; a constant is repeated."""
        table = _matrix(inputs, slice(None))
        return [_answer(part, table) for part in self.parts]

    def parts_to_files(self) -> tuple[list[Any], dict[str, bytes]]:
        """LightGBM's own text of each booster: `model.txt`, or one numbered file per part."""
        described: list[Any] = []
        files: dict[str, bytes] = {}
        for i, part in enumerate(self.parts):
            if isinstance(part, tuple):
                described.append({"constant": list(part)})
                continue
            name = "model.txt" if len(self.parts) == 1 else f"model-{i:04d}.txt"
            described.append(
                {
                    "file": name,
                    "classes": list(part.classes),
                    "n_classes": part.n_classes,
                    "share_unseen": part.share_unseen,
                }
            )
            files[name] = part.booster.model_to_string().encode()
        return described, files

    @classmethod
    def parts_from_files(cls, described: Sequence[Any], files: Mapping[str, bytes]) -> list[Part]:
        """Boosters from their text."""
        parts: list[Part] = []
        for item in described:
            if "constant" in item:
                parts.append(tuple(float(v) for v in item["constant"]))
                continue
            if item["file"] not in files:
                raise ValueError(f"'{item['file']}' is missing")
            try:
                booster = lightgbm.Booster(model_str=files[item["file"]].decode())
            except (lightgbm.basic.LightGBMError, UnicodeDecodeError) as error:
                raise ValueError(f"'{item['file']}' is not a LightGBM model: {error}") from error
            parts.append(Trees(booster, tuple(item["classes"]), item["n_classes"], item["share_unseen"]))
        return parts


def _matrix(inputs: Inputs[Array], rows: Any) -> Array:
    """All blocks side by side, (rows, columns) float32: categorical codes are small enough to be exact."""
    blocks = [inputs[name][rows] for name in _BLOCKS if name in inputs]
    if len(blocks) == 1:
        return np.ascontiguousarray(blocks[0], np.float32)
    return np.concatenate(blocks, axis=1, dtype=np.float32, casting="unsafe")


_BLOCKS = ("categorical", "numeric", "embedding")


def _fit(inputs: Inputs[Array], problem: Problem, params: Mapping[str, Any], seed: int) -> Trees:
    classes = np.unique(problem.y).astype(np.int64) if problem.loss == "softmax" else np.empty(0, np.int64)
    seen = np.isin(problem.y_validation, classes) if len(classes) else np.ones(len(problem.validation), bool)
    y, y_validation = problem.y, problem.y_validation[seen]
    if len(classes):
        y, y_validation = np.searchsorted(classes, y), np.searchsorted(classes, y_validation)
    n_categorical = inputs["categorical"].shape[1] if "categorical" in inputs else 0
    settings = _settings(problem, len(classes), params, seed)
    train = lightgbm.Dataset(
        _matrix(inputs, problem.train),
        y,
        weight=problem.weight,
        categorical_feature=list(range(n_categorical)),
        params=settings,
    )
    rounds = int(params["rounds"])
    rate = float(params["learning_rate"])
    watched, callbacks = [], []
    if seen.sum() >= _FEWEST_WATCHED_ROWS:
        watched = [
            train.create_valid(
                _matrix(inputs, problem.validation[seen]),
                y_validation,
                weight=problem.weight_validation[seen],
                params=settings,
            )
        ]
        callbacks = [lightgbm.early_stopping(max(20, round(_PATIENCE_TIMES_RATE / rate)), verbose=False)]
    else:
        rounds = min(rounds, round(_ROUNDS_TIMES_RATE_UNWATCHED / rate))
    booster = lightgbm.train(
        settings,
        train,
        num_boost_round=rounds,
        valid_sets=watched,
        callbacks=callbacks,
    )
    # Read back from the text that a bundle holds, so that what was judged is what is shipped, digit by digit.
    best = booster.best_iteration if booster.best_iteration > 0 else rounds
    kept = lightgbm.Booster(model_str=booster.model_to_string(num_iteration=best))
    if not len(classes):
        return Trees(kept)
    n_unseen = problem.n_classes - len(classes)
    share = n_unseen / problem.n_classes / (float(problem.weight.sum()) + 1.0)
    return Trees(kept, tuple(classes.tolist()), problem.n_classes, share)


def _settings(problem: Problem, n_seen: int, params: Mapping[str, Any], seed: int) -> dict[str, Any]:
    n = len(problem.y)
    made: dict[str, Any] = {
        "objective": _OBJECTIVE[problem.loss],
        "learning_rate": params["learning_rate"],
        "num_leaves": params["leaves"],
        # A twentieth of the rows at most: LightGBM's own 20 would leave a problem of 30 rows without a split.
        "min_data_in_leaf": max(1, min(int(params["smallest_leaf"]), n // 20)),
        "min_data_per_group": max(5, min(100, n // 50)),
        "feature_fraction": params["input_fraction"],
        "bagging_fraction": params["row_fraction"],
        "bagging_freq": 1,
        "lambda_l2": params["l2"],
        "lambda_l1": params["l1"],
        "seed": seed % (2**31),
        "min_data_in_bin": 1 if n < _SMALL else 3,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
        "verbosity": -1,
        "feature_pre_filter": False,
    }
    if problem.loss == "softmax":
        made["num_class"] = n_seen
    return made


def _answer(part: Part, table: Array) -> Array:
    if isinstance(part, tuple):
        constant = np.asarray(part)
        return np.full(len(table), constant[0]) if len(part) == 1 else np.tile(constant, (len(table), 1))
    if not len(table):
        return np.zeros((0, part.n_classes)) if part.n_classes else np.zeros(0)
    raw = np.asarray(part.booster.predict(table, num_threads=1))
    if not part.classes:
        return raw
    n_unseen = part.n_classes - len(part.classes)
    full = np.full((len(table), part.n_classes), part.share_unseen / max(n_unseen, 1))
    full[:, part.classes] = raw * (1.0 - part.share_unseen)
    return full
