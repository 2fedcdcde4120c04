"""Regularised linear models, one task at a time: the cheapest explanation, and hard to beat on few rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any, ClassVar

import numpy as np
import safetensors
import safetensors.numpy

from sharewise.batch import Inputs
from sharewise.models.single import Array, Loss, Problem, SingleTaskModel
from sharewise.models.space import OneOf, Range, Space
from sharewise.models.weights import Weights
from sharewise.seeds import derive

_FILE = "weights.safetensors"


class Linear(SingleTaskModel[Weights]):
    """Logistic, softmax or ridge regression on one-hot and scaled inputs.

    Minimises sum_i w_i loss(y_i, x_i W + b) + alpha |W|^2 / 2 for falling alpha, each from the last solution
    (Friedman, Hastie & Tibshirani, JSS 2010), and keeps the alpha with the lowest loss on the validation rows;
    where those are few, 5-fold cross-validation on the train rows is added to them. An L1 part was tried and left
    out: it helped on no table and cost up to ten times as much. Cost: a few dozen passes over the labelled rows
    per alpha; one eigendecomposition for the ridge.
    """

    name: ClassVar[str] = "linear"
    title: ClassVar[str] = "regularised linear model"
    deterministic: ClassVar[bool] = True
    max_cells: ClassVar[int] = 1024

    @classmethod
    def search_space(cls, trial: int, seed: int) -> dict[str, Any]:
        """Trial 0: inputs as they are; trial 1: numeric ones also cut into bins; later: bins and scale at random."""
        if trial < 2:
            return {"bins": 8 * trial, "embedding_scale": 1.0}
        draw = np.random.default_rng(derive(seed, "linear", trial))
        return {
            "bins": int(draw.choice([0, 4, 6, 12, 16, 24])),
            "embedding_scale": float(np.exp(draw.uniform(np.log(0.3), np.log(3.0)))),
        }

    @classmethod
    def space(cls) -> Space:
        """Bins of numeric inputs and the scale of embeddings."""
        return {"bins": OneOf((0, 4, 6, 8, 12, 16, 24)), "embedding_scale": Range(0.3, 3.0, "log")}

    @classmethod
    def seconds(cls, rows: int, width: int, outputs: int) -> float:
        """Linear in rows and inputs."""
        return 0.005 + rows * width * 2e-7

    @classmethod
    def fit_problem(cls, inputs: Inputs[Array], problem: Problem, params: Mapping[str, Any], seed: int) -> Weights:
        """The weights at the best strength of the path."""
        from sharewise.models.path import fit_path

        return fit_path(
            inputs,
            problem,
            n_bins=int(params["bins"]),
            embedding_scale=float(params["embedding_scale"]),
            seed=seed,
        )

    def answers(self, inputs: Inputs[Array], parts: Sequence[Weights]) -> list[Array]:
        """Logistic function, softmax or identity of each part's linear predictor."""
        return [_link(part.linear(inputs), self.outline.loss) for part in parts]

    @classmethod
    def parts_to_files(cls, parts: Mapping[int, Weights]) -> dict[str, bytes]:
        """All arrays in `weights.safetensors`, named `PART.ARRAY`."""
        arrays = {
            f"{i}.{name}": np.ascontiguousarray(array)
            for i, part in parts.items()
            for name, array in asdict(part).items()
        }
        return {_FILE: safetensors.numpy.save(arrays)} if arrays else {}

    @classmethod
    def parts_from_files(cls, numbers: Sequence[int], files: Mapping[str, bytes]) -> list[Weights]:
        """Arrays from `weights.safetensors`."""
        if not numbers:
            return []
        if _FILE not in files:
            raise ValueError(f"'{_FILE}' is missing")
        try:
            arrays = safetensors.numpy.load(files[_FILE])
            return [Weights(**{f.name: arrays[f"{i}.{f.name}"] for f in fields(Weights)}) for i in numbers]
        except (safetensors.SafetensorError, KeyError) as error:
            raise ValueError(f"'{_FILE}' does not hold the linear model: {error}") from error


def _link(linear: Array, loss: Loss) -> Array:
    if loss == "squared":
        return linear[:, 0]
    if loss == "logistic":
        return 0.5 * (1.0 + np.tanh(0.5 * linear[:, 0]))
    powers = np.exp(linear - linear.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
