"""The shipping rule: who shares, who goes back after the test rows, and what is said about it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.study.test_posterior import comparison

from sharewise.records import Comparison
from sharewise.study.decide import Option, choose, choose_plan, confirm


def option(effect: float, se: float = 0.004, task: str = "t") -> Option:
    return Option(task, "together", "together", "lightgbm", f"single:{task}", comparison(effect, se, task=task))


def test_a_gain_without_risk_is_shared() -> None:
    (d,) = choose([option(0.02)])
    assert (d.shared, d.arm, d.group) == (True, "together", "together")
    assert d.probability_harm is not None
    assert d.probability_harm <= 0.05
    assert d.expected_gain == pytest.approx(0.02, rel=0.1)
    assert d.reason.startswith("Shared: harm beyond 2 % has probability")
    assert "+1.9 %" in d.reason or "+2.0 %" in d.reason


def test_risk_keeps_the_single_model() -> None:
    (d,) = choose([option(-0.01, se=0.02)])
    assert (d.shared, d.arm, d.group) == (False, "lightgbm", "single:t")
    assert "more than 5 %" in d.reason


def test_nothing_gained_ships_single_unless_fewer_models_are_preferred() -> None:
    (d,) = choose([option(-0.005)])
    assert not d.shared
    assert "nothing is gained" in d.reason
    (p,) = choose([option(-0.005)], prefer_fewer_models=True)
    assert p.shared
    assert p.reason.endswith("fewer models are preferred.")


def test_what_could_not_be_compared_stays_single_and_says_why() -> None:
    lost = Option("t", "together", "together", "single", "single:t", None, "its runs diverged")
    (d,) = choose([lost])
    assert (d.shared, d.probability_harm, d.expected_gain) == (False, None, None)
    assert d.reason == "Its single-task model answers, because its runs diverged."


def opened(effect: float, se: float = 0.004, task: str = "t") -> list[Comparison]:
    return [comparison(effect, se, task=task)]


def test_test_rows_confirm() -> None:
    options = [option(0.02)]
    (d,) = confirm(choose(options), options, opened(0.015))
    assert d.shared
    assert d.expected_gain == pytest.approx(0.0175, rel=0.1)


def test_a_confirmed_harm_always_goes_back() -> None:
    options = [option(0.2, se=0.001)]  # however good validation looked
    (d,) = confirm(choose(options), options, opened(-0.04, se=0.005))
    assert not d.shared
    assert "the test rows confirm harm: -4.0 %" in d.reason


def test_evidence_that_turned_goes_back_and_nothing_is_ever_promoted() -> None:
    options = [option(0.012, se=0.006)]
    chosen = choose(options)
    assert chosen[0].shared
    (d,) = confirm(chosen, options, opened(-0.02, se=0.006))
    assert not d.shared
    assert "with the test rows" in d.reason
    kept = [option(-0.01, se=0.02)]
    before = choose(kept)
    assert confirm(before, kept, opened(0.2)) == before


def test_what_cannot_be_confirmed_goes_back() -> None:
    options = [option(0.02)]
    (d,) = confirm(choose(options), options, [])
    assert not d.shared
    assert "could not be confirmed" in d.reason


def test_the_plan_that_promises_most_is_chosen_and_ties_go_to_the_first() -> None:
    low, high = [option(0.01)], [option(0.03)]
    assert choose_plan({"low": low, "high": high})[0] == "high"
    assert choose_plan({"a": low, "b": low})[0] == "a"
    name, routes = choose_plan({"bad": [option(-0.05)]})
    assert name is None
    assert not routes[0].shared
    both = [replace(option(0.002), task="t"), option(0.002, task="u")]
    assert choose_plan({"one": [option(0.03)], "two": both}, prefer_fewer_models=True)[0] == "two"
    with pytest.raises(ValueError, match="candidate plan"):
        choose_plan({})


def test_order_and_count_of_options_are_kept() -> None:
    rng = np.random.default_rng(0)
    options = [option(e, task=f"t{i}") for i, e in enumerate(0.02 * rng.standard_normal(7))]
    assert [d.task for d in choose(options)] == [o.task for o in options]
    assert [d.task for d in confirm(choose(options), options, [])] == [o.task for o in options]
