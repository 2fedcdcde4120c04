"""The shipping rule: who shares, who goes back after the test rows, and what is said about it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_comparisons import comparison
from scipy import stats

from sharewise.study.decide import Option, choose


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


def test_a_harm_never_ships_however_good_the_others_are() -> None:
    crowd = [option(0.05, se=0.002, task=f"g{i}") for i in range(9)]
    odd, *others = choose([option(-0.04, se=0.005, task="odd"), *crowd])
    assert not odd.shared
    assert all(d.shared for d in others)


def test_a_task_must_clear_the_margin_by_its_own_evidence_too() -> None:
    crowd = [option(0.02, se=0.002, task=f"g{i}") for i in range(9)]
    odd, *others = choose([option(-0.01, se=0.012, task="odd"), *crowd])
    assert not odd.shared
    assert "its own rows and runs leave harm beyond 2 % a probability of" in odd.reason
    assert all(d.shared for d in others)


def test_order_and_count_of_options_are_kept() -> None:
    rng = np.random.default_rng(0)
    options = [option(e, task=f"t{i}") for i, e in enumerate(0.02 * rng.standard_normal(7))]
    assert [d.task for d in choose(options)] == [o.task for o in options]


def test_a_task_clears_the_margin_by_its_own_runs_even_where_their_luck_was_shared() -> None:
    moderated = comparison(0.02, se=0.008, df=60.0, task="odd")
    odd = replace(option(0.02, task="odd"), comparison=replace(moderated, own_error=0.02, own_df=4.0))
    crowd = [option(0.02, se=0.004, task=f"g{i}") for i in range(4)]
    decision, *others = choose([odd, *crowd])
    assert not decision.shared
    p = stats.t.sf((0.02 + 0.02) / 0.02, 4)
    assert f"its own rows and runs leave harm beyond 2 % a probability of {100 * p:.1f} %" in decision.reason
    assert all(d.shared for d in others)


def test_the_risks_of_what_ships_add_up_to_at_most_five_percent() -> None:
    options = [option(e, se=0.012, task=f"t{i}") for i, e in enumerate([0.004, 0.06] * 30)]
    few = choose(options[:8])
    decisions = choose(options)
    risks = [d.probability_harm for d in decisions if d.shared]
    assert 30 <= len(risks) < 60
    assert sum(r for r in risks if r is not None) <= 0.05
    assert all(d.shared for d in few)
    back = [d for d in decisions if not d.shared]
    assert all("of any harmed task in this study to" in d.reason for d in back)
    kept = max(r for r in risks if r is not None)
    assert all(d.probability_harm is not None and d.probability_harm >= kept for d in back)
