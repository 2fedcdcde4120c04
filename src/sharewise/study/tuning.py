"""A search that learns from its trials: Optuna asks, the study answers with validation scores, for every group alike.

Nothing is kept but the runs: a search is seeded and its asks depend on the trials before, so that a resumed study asks
the same questions again and finds their answers on disk.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

from sharewise.errors import ConfigError, Problem
from sharewise.models.space import OneOf, Range, Space

SAMPLERS = ("random", "tpe", "cmaes", "qmc")
"""random: the built-in draws, the same for every group; the others are Optuna's, one search for each group."""

AT_ONCE = 4
"""Trials of a group that run side by side between two looks at what came of them."""


PRUNERS = ("none", "halving", "median", "percentile", "asha", "hyperband")
"""halving: half of a group's trials leave the stack at each pause; the others are Optuna's (asha: its successive
halving)."""


def available(sampler: str, pruner: str = "none", storage: str | None = None) -> None:
    """Raise ConfigError where a search needs a package that is not installed."""
    needed: tuple[str, ...] = ("optuna",) if sampler != "random" or pruner not in PRUNERS[:2] or storage else ()
    needed = ("optuna", "cmaes") if sampler == "cmaes" else needed
    what = sampler if sampler != "random" else pruner if pruner not in PRUNERS[:2] else "storage"
    lacking = [name for name in needed if find_spec(name) is None]
    if lacking:
        raise ConfigError(
            Problem(
                f"A search with '{what}' needs {' and '.join(needed)}",
                f"{' and '.join(lacking)} is not installed",
                "pip install 'sharewise[tune]'" if lacking == ["optuna"] else f"pip install {' '.join(lacking)}",
            )
        )


class Search:
    """One group's search: `ask` for parameters, `tell` what they scored, more is better."""

    def __init__(self, default: Mapping[str, Any], space: Space, sampler: str, seed: int) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.default, self.space = dict(default), dict(space)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            self.study = optuna.create_study(direction="maximize", sampler=_sampler(sampler, seed % 2**32))
        # The default comes first, as in every arm: a search may only better it.
        self.study.enqueue_trial({name: default[name] for name in space})
        self._open: list[Any] = []

    def ask(self, n: int) -> list[dict[str, Any]]:
        """Parameters of the next `n` trials; the first ever are the default."""
        made = []
        for _ in range(n):
            trial = self.study.ask()
            self._open.append(trial)
            made.append({**self.default, **{name: _suggest(trial, name, what) for name, what in self.space.items()}})
        return made

    def tell(self, values: Sequence[float | None], standings: Sequence[Sequence[float | None]] | None = None) -> None:
        """What the trials of the last `ask` scored, in its order; None for one that failed, or that was dropped after
        the losses `standings` (it has some)."""
        import optuna

        for trial, value, seen in zip(self._open, values, standings or [()] * len(values), strict=True):
            for pause, loss in enumerate(seen, 1):
                if loss is not None:
                    trial.report(-loss, pause)
            if value is None:
                state = optuna.trial.TrialState
                self.study.tell(trial, state=state.PRUNED if any(s is not None for s in seen) else state.FAIL)
            else:
                self.study.tell(trial, value)
        self._open = []


def pruner(name: str, n_pauses: int) -> Any:
    """One of Optuna's pruners, for so many pauses a trial."""
    import optuna

    p = optuna.pruners
    if name == "median":
        return p.MedianPruner(n_startup_trials=AT_ONCE, n_warmup_steps=1)
    if name == "percentile":
        return p.PercentilePruner(25.0, n_startup_trials=AT_ONCE, n_warmup_steps=1)
    if name == "asha":
        return p.SuccessiveHalvingPruner(min_resource=1, reduction_factor=2)
    return p.HyperbandPruner(min_resource=1, max_resource=n_pauses, reduction_factor=2)


def _sampler(name: str, seed: int) -> Any:
    import optuna

    # Half of a standard budget explores; Optuna's own ten start-up trials would be all of it.
    if name == "tpe":
        return optuna.samplers.TPESampler(seed=seed, n_startup_trials=AT_ONCE)
    if name == "cmaes":
        return optuna.samplers.CmaEsSampler(seed=seed, n_startup_trials=AT_ONCE, warn_independent_sampling=False)
    return optuna.samplers.QMCSampler(seed=seed, scramble=True, warn_independent_sampling=False)


def _suggest(trial: Any, name: str, what: Range | OneOf) -> Any:
    if isinstance(what, OneOf):
        return trial.suggest_categorical(name, list(what.values))
    if what.law == "whole":
        return trial.suggest_int(name, int(what.low), int(what.high), log=True)
    return trial.suggest_float(name, what.low, what.high, log=what.law == "log")
