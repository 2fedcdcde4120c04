"""Ensembles of runs against closed forms: averaging S independent errors divides their variance by S."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from sharewise.study.compare import Pair
from sharewise.study.ensemble import ENSEMBLE, against_ensembles
from sharewise.tasks import Task, TaskKind

N = 4000
PRICE = Task("price", TaskKind.REGRESSION, ("price",), "rmse")
SICK = Task("sick", TaskKind.BINARY, ("sick",), "auroc", classes=("no", "yes"))


def pair(runs: int = 4) -> Pair:
    """Single runs with an error of SD 1 of which half the variance is the run's own; a shared model of SD 0.9."""
    draw = np.random.default_rng(0)
    truth = draw.normal(size=(N, 1))
    common = draw.normal(0, 0.5**0.5, (N, 1))
    single = [truth + common + draw.normal(0, 0.5**0.5, (N, 1)) for _ in range(runs)]
    shared = [truth + draw.normal(0, 0.9, (N, 1)) for _ in range(runs)]
    ids = tuple(f"r{i}" for i in range(runs))
    return Pair(PRICE, truth, np.ones((N, 1), bool), "single", "together", single, shared, ids, ids)


def test_the_mean_of_runs_has_the_variance_of_a_mean() -> None:
    ensemble, shared = against_ensembles([pair()])
    assert (ensemble.baseline, ensemble.candidate) == ("single", ENSEMBLE)
    expected = (0.5 + 0.5 / 4) ** 0.5
    assert ensemble.candidate_score == pytest.approx(expected, rel=0.03)
    assert ensemble.effect == pytest.approx(-np.log(expected), abs=0.03)
    assert ensemble.low > 0
    assert (shared.baseline, shared.candidate) == (ENSEMBLE, "together")
    assert shared.effect == pytest.approx(np.log(expected / 0.9), abs=0.04)
    assert shared.high < 0
    assert shared.var_baseline == 0


def test_classes_are_averaged_as_probabilities() -> None:
    draw = np.random.default_rng(1)
    truth = (draw.random((N, 1)) < 0.4).astype(float)
    runs = [1 / (1 + np.exp(-(truth * 2 - 1 + draw.normal(0, 2, (N, 1))))) for _ in range(3)]
    made = Pair(SICK, truth, np.ones((N, 1), bool), "single", "together", runs, [])
    (found,) = against_ensembles([made])
    assert found.candidate_score == pytest.approx(roc_auc_score(truth[:, 0], np.mean(runs, axis=0)[:, 0]), abs=1e-9)


def test_one_run_is_its_own_ensemble_and_is_left_out() -> None:
    assert against_ensembles([pair(1)]) == []
    only = replace(pair(), candidate=[])
    assert [c.candidate for c in against_ensembles([only])] == [ENSEMBLE]
