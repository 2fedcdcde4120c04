"""Choosing by name, unequal convergence, observers: what stands around the methods."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch

from sharewise.balance import choose
from sharewise.balance.contracts import TaskFacts
from sharewise.balance.engine.conventions import Level
from sharewise.balance.engine.step import Step
from sharewise.balance.observe import Log, by_layer, conflict_rate, record
from sharewise.balance.unequal.freezer import Freezer
from sharewise.balance.unequal.rates import TaskRates
from sharewise.balance.unequal.stopper import Stopper
from sharewise.errors import ConfigError


def test_names_and_parameters_are_checked_without_torch() -> None:
    code = (
        "import sys; from sharewise.balance import choose; "
        "print(len(choose.names()), choose.problems('nahs', {}), choose.problems('cagrad', {'d': 1})); "
        "assert 'torch' not in sys.modules"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Did you mean 'nash'" in found.stdout


def test_choices_become_balancers() -> None:
    balancer = choose.make("nash", {"max_norm": None, "level": "parameters", "refresh": 10, "scaling": "initial"})
    assert balancer.level is Level.PARAMETERS
    assert balancer.refresh == 10
    assert balancer.scaling is not None
    plain = choose.make("dwa", {"temperature": 1.0, "scaling": {"name": "running_mean", "decay": 0.9}})
    assert plain.level is Level.LOSSES
    assert plain.needs.epoch_means


@pytest.mark.parametrize(
    ("name", "params", "sentence"),
    [
        ("nahs", {}, "'nahs' is neither. Did you mean 'nash'"),
        ("cagrad", {"cc": 1}, "A parameter of 'cagrad' must be known; however, 'cc' is not"),
        ("cagrad", {"refersh": 3}, "Did you mean 'refresh'"),
        ("static", {}, "'static' needs its parameter 'weights'"),
        ("mgda", {"level": "losses"}, "'mgda' compares task gradients; however, the level 'losses' has none"),
        ("smooth", {"of": "nsh"}, "An aggregator must be known; however, 'nsh' is not. Did you mean 'nash'"),
        ("smooth", {"of": "cagrad", "params": {"d": 1}}, "A parameter of 'cagrad' must be known; however, 'd' is not"),
        ("dwa", {"clip": 1.0}, "'clip' acts on a direction made of task gradients; however, 'dwa' compares none"),
        ("equal", {"scaling": "initail"}, "A loss scaling must be known; however, 'initail' is not"),
    ],
)
def test_a_wrong_choice_is_a_sentence(name: str, params: dict[str, object], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        choose.make(name, params)


def weights_of(draw: dict[str, Any]) -> dict[str, float]:
    return dict(draw["weighting"]["params"]["weights"])


@pytest.mark.parametrize(("n", "shares"), [(1, [0.5]), (2, [0.5, 0.75]), (5, [0.5, 2 / 3, 1 / 3, 5 / 6, 1 / 6])])
def test_a_sweep_of_two_tasks_is_evenly_spaced(n: int, shares: list[float]) -> None:
    found = [weights_of(draw) for draw in choose.sweep(("a", "b"), n)]
    assert [w["a"] / 2 for w in found] == pytest.approx(shares, abs=1e-3)
    assert [w["a"] + w["b"] for w in found] == pytest.approx([2.0] * n, abs=1e-3)


def test_a_sweep_of_many_tasks_draws_from_the_simplex() -> None:
    found = [weights_of(draw) for draw in choose.sweep(("a", "b", "c"), 4000, seed=3)]
    assert found[0] == dict.fromkeys("abc", 1.0)
    drawn = np.array([list(w.values()) for w in found[1:]]) / 3
    # uniform on the simplex: mean 1/3, variance (k - 1) / (k^2 (k + 1)) = 1/18
    np.testing.assert_allclose(drawn.mean(0), 1 / 3, atol=0.02)
    np.testing.assert_allclose(drawn.var(0), 1 / 18, atol=0.005)
    assert choose.sweep(("a", "b", "c"), 3, seed=3) == choose.sweep(("a", "b", "c"), 4, seed=3)[:3]


# --- unequal convergence ---------------------------------------------------------------------


def test_learning_rates_by_task() -> None:
    facts = TaskFacts(2, names=("a", "b"), elsewhere=("c",))
    rates = TaskRates(scales={"b": 0.5, "c": 2.0}, horizons={"a": 5}, decay="linear").build(facts, 10)
    torch.testing.assert_close(rates.factors(0), torch.tensor([1.0, 0.5]))
    torch.testing.assert_close(rates.factors(5), torch.tensor([0.0, 0.25]))
    with pytest.raises(ConfigError, match="must belong to a task"):
        TaskRates(scales={"z": 1.0}).build(facts, 10)
    with pytest.raises(ConfigError, match="'decay' is constant, cosine or linear; however, it is 'cosin'"):
        TaskRates(decay="cosin")


def test_heads_freeze_one_at_a_time_and_thaw() -> None:
    freezer = Freezer(patience=2).build(3, [0, 1])
    flat = torch.tensor([[1.0, 1.0, 1.0], [1.0, torch.nan, 1.0]])
    for _ in range(2):
        assert not freezer.update(flat).any()
    assert freezer.update(flat).tolist() == [[True, False, False], [True, False, False]]
    assert freezer.update(flat).tolist() == [[True, True, False], [True, False, True]]
    flat[0, 0] = 1.5
    assert freezer.update(flat).tolist() == [[False, True, True], [True, False, True]]
    freezer.keep(torch.tensor([1]))
    assert freezer.frozen.tolist() == [[True, False, True]]


def test_stopping_rules() -> None:
    falling, flat = [1.0, 0.9, 0.8, 0.7], [1.0, 1.0, 1.0, 1.0]
    facts = TaskFacts(2, primary=1)
    ends = {}
    for watch in ("all", "primary", "composite"):
        stopper = Stopper(watch=watch, patience=2).build(facts)
        ends[watch] = [bool(stopper.update(torch.tensor(pair))[0]) for pair in zip(falling, flat, strict=True)]
    assert ends["all"] == [False] * 4
    assert ends["primary"] == [False, False, True, True]
    assert ends["composite"] == [False] * 4
    stopper = Stopper(patience=2).build(2)
    improved = [stopper.update(torch.tensor(pair))[1].tolist() for pair in zip(falling, flat, strict=True)]
    assert improved == [[True, True], [True, False], [True, False], [True, False]]
    with pytest.raises(ConfigError, match="Watching the primary task needs one"):
        Stopper(watch="primary").build(2)


# --- observers -------------------------------------------------------------------------------


def step() -> Step:
    gramian = torch.tensor([[4.0, -2.0, 0.0], [-2.0, 9.0, 0.0], [0.0, 0.0, 0.0]], dtype=torch.float64)
    present = torch.tensor([True, True, False])
    losses, weights = torch.tensor([1.0, 3.0, 0.0]), torch.tensor([0.5, 0.5, 0.0])
    return Step(losses, present, weights, torch.tensor([2.0, 1.0, 0.0]), gramian, True)


def test_what_a_step_shows() -> None:
    seen = record(step())
    assert seen.norms is not None
    assert seen.cosines is not None
    assert seen.norm_shares is not None
    assert seen.similarities is not None
    assert seen.conflict_rate is not None
    assert seen.norms[:2].tolist() == [1.0, 3.0]  # scaled norms 2 and 3 over slopes 2 and 1
    assert seen.cosines[0, 1].item() == pytest.approx(-1 / 3)
    assert seen.norm_shares[:2].tolist() == [0.25, 0.75]
    assert seen.loss_shares[:2].tolist() == [0.25, 0.75]
    assert seen.similarities[0, 1].item() == pytest.approx(0.6)
    assert seen.conflict_rate.item() == 1.0
    assert seen.weights[2].isnan()


def test_the_log_averages_and_empties() -> None:
    log = Log()
    for _ in range(3):
        log.add(step())
    found = log.take()
    assert found["weights"][:2].tolist() == [0.5, 0.5]
    assert found["weights"][2].isnan()
    assert found["conflict_rate"].item() == 1.0
    assert log.take()["weights"].isnan().all()
    assert log.tables()["cosines"][0, 1].item() == pytest.approx(-1 / 3)


def test_conflicts_by_layer() -> None:
    rows = [("a.weight", torch.tensor([[1.0, 0.0], [-1.0, 0.0]])), ("a.bias", torch.tensor([[0.0], [0.0]]))]
    rows.append(("b.weight", torch.tensor([[1.0], [2.0]])))
    everyone = torch.ones(2, dtype=torch.bool)
    assert {k: conflict_rate(m, everyone).item() for k, m in by_layer(rows).items()} == {"a": 1.0, "b": 0.0}
