"""Solvers of a linear model along a falling penalty: ridge in closed form, Newton, L-BFGS for the rest."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from scipy.optimize import minimize

from sharewise.models.design import Design
from sharewise.models.single import Array, Loss

_ITERATIONS = 80
_NEWTON_STEPS = 30


class Path(ABC):
    """Solutions for falling alpha on fixed rows."""

    def start(self, weights: Array, intercept: Array) -> None:  # noqa: B027  (a closed form needs no start)
        """Begin the next solution from here."""

    @abstractmethod
    def at(self, alpha: float) -> tuple[Array, Array]:
        """Weights (D, S) and intercept (S,) at this penalty."""


class RidgePath(Path):
    """Squared loss and L2 penalty: exact at every alpha from one eigendecomposition.

    argmin |y - Xw - b|^2 / 2 + alpha |w|^2 / 2, the intercept free.
    """

    def __init__(self, design: Design, y: Array) -> None:
        n, width = len(y), sum(design.widths)
        self._centre = design.transposed_times(np.ones((n, 1)))[:, 0] / n
        self._mean = float(y.mean())
        self._wide = width > n
        if self._wide:
            self._x = design.dense() - self._centre
            values, self._vectors = np.linalg.eigh(self._x @ self._x.T)
            self._projected = self._vectors.T @ (y - self._mean)
        else:
            gram = design.gram() - n * np.outer(self._centre, self._centre)
            values, self._vectors = np.linalg.eigh(gram)
            moment = design.transposed_times((y - self._mean)[:, None])[:, 0]
            self._projected = self._vectors.T @ moment
        self._values = np.maximum(values, 0.0)

    def at(self, alpha: float) -> tuple[Array, Array]:
        """Closed form."""
        solution = self._vectors @ (self._projected / (self._values + alpha))
        weights = self._x.T @ solution if self._wide else solution
        return weights[:, None], np.array([self._mean - self._centre @ weights])


class NewtonPath(Path):
    """Logistic loss and L2 penalty on a narrow design by damped Newton steps, warm-started.

    Cost: n D^2 a step and half a dozen steps per alpha, where L-BFGS spends its time between steps.
    """

    def __init__(self, design: Design, y: Array, weight: Array) -> None:
        self._x = np.hstack([design.dense(), np.ones((len(y), 1))])
        self._y, self._weight = y, weight
        self._state = np.zeros(self._x.shape[1])
        mean = float(np.clip(weight @ y / weight.sum(), 1e-6, 1 - 1e-6))
        self._state[-1] = np.log(mean / (1 - mean))

    def start(self, weights: Array, intercept: Array) -> None:
        """Begin the next solution from here."""
        self._state = np.concatenate([weights[:, 0], intercept])

    def at(self, alpha: float) -> tuple[Array, Array]:
        """Solved until a step gains less than 1e-9 of the loss."""
        penalty = np.full(len(self._state), alpha)
        penalty[-1] = 0.0
        value, linear = self._value(self._state, penalty)
        for _ in range(_NEWTON_STEPS):
            probability = 0.5 * (1.0 + np.tanh(0.5 * linear))
            slope = self._x.T @ (self._weight * (probability - self._y)) + penalty * self._state
            curve = np.maximum(self._weight * probability * (1.0 - probability), 1e-12)
            hessian = (self._x.T * curve) @ self._x + np.diag(penalty)
            # The intercept carries no penalty: a whiff of one keeps a separable problem solvable.
            hessian[-1, -1] += 1e-9
            step = np.linalg.solve(hessian, slope)
            before, size = value, 1.0
            value, linear = self._value(self._state - step, penalty)
            while value > before and size > 1e-4:
                size /= 2
                value, linear = self._value(self._state - size * step, penalty)
            if value >= before:
                value, linear = before, self._x @ self._state
                break
            self._state = self._state - size * step
            if before - value < 1e-9 * before:
                break
        return self._state[:-1, None].copy(), self._state[-1:].copy()

    def _value(self, state: Array, penalty: Array) -> tuple[float, Array]:
        linear = self._x @ state
        loss = float(self._weight @ (np.logaddexp(0.0, linear) - self._y * linear))
        return loss + 0.5 * float(penalty @ state**2), linear


class DescentPath(Path):
    """Any loss with an L2 penalty by L-BFGS, warm-started. Cost: two passes over the design per evaluation."""

    def __init__(self, design: Design, y: Array, weight: Array, loss: Loss, n_answers: int) -> None:
        self._design, self._loss, self._y = design, loss, y
        self._total = float(weight.sum())
        self._weight = weight / self._total
        self._shape = (sum(design.widths), n_answers)
        self._state = np.concatenate([np.zeros(self._shape[0] * n_answers), self._first_intercept()])

    def start(self, weights: Array, intercept: Array) -> None:
        """Begin the next solution from here."""
        self._state = np.concatenate([weights.ravel(), intercept])

    def _first_intercept(self) -> Array:
        if self._loss == "softmax":
            counts = np.bincount(self._y.astype(np.int64), self._weight, self._shape[1])
            return np.asarray(np.log(np.maximum(counts, 1e-6)))
        mean = np.array([self._weight @ self._y])
        if self._loss == "squared":
            return mean
        mean = np.clip(mean, 1e-6, 1 - 1e-6)
        return np.asarray(np.log(mean / (1 - mean)))

    def at(self, alpha: float) -> tuple[Array, Array]:
        """Solved to a gradient of 1e-5 of the mean loss, or 80 steps, from the last solution."""
        result = minimize(
            self._objective,
            self._state,
            args=(alpha / self._total,),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": _ITERATIONS, "gtol": 1e-5, "ftol": 1e-7},
        )
        self._state = result.x
        return self._unpack(result.x)

    def _unpack(self, state: Array) -> tuple[Array, Array]:
        size = self._shape[0] * self._shape[1]
        return state[:size].reshape(self._shape), state[size:]

    def _objective(self, state: Array, strength: float) -> tuple[float, Array]:
        weights, intercept = self._unpack(state)
        loss, residual = loss_and_slope(self._loss, self._design.times(weights) + intercept, self._y)
        residual *= self._weight[:, None]
        value = float(self._weight @ loss) + 0.5 * strength * float((weights * weights).sum())
        slope = self._design.transposed_times(residual) + strength * weights
        return value, np.concatenate([slope.ravel(), residual.sum(axis=0)])


def loss_and_slope(loss: Loss, linear: Array, y: Array) -> tuple[Array, Array]:
    """Loss per row (n,) and its derivative by the linear predictor (n, S); `y` (n,) as in a problem."""
    if loss == "squared":
        residual = linear - y[:, None]
        return 0.5 * residual[:, 0] ** 2, residual
    if loss == "logistic":
        probability = 0.5 * (1.0 + np.tanh(0.5 * linear))
        return np.logaddexp(0.0, linear[:, 0]) - y * linear[:, 0], probability - y[:, None]
    codes = (np.arange(len(y)), y.astype(np.int64))
    shifted = linear - np.max(linear, axis=1, keepdims=True)
    chosen = shifted[codes]
    powers = np.exp(shifted, out=shifted)
    total = np.einsum("ns->n", powers)
    powers /= total[:, None]
    powers[codes] -= 1.0
    return np.log(total) - chosen, powers
