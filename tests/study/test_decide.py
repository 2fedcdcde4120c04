"""The shipping rule: who shares, who goes back after the test rows, and what is said about it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_comparisons import comparison

from sharewise.records import Comparison
from sharewise.study.decide import Option, _joined, choose, confirm


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


def test_a_task_must_clear_the_margin_by_its_own_evidence_too() -> None:
    crowd = [option(0.02, se=0.002, task=f"g{i}") for i in range(9)]
    options = [option(-0.01, se=0.012, task="odd"), *crowd]
    chosen = choose(options)
    assert chosen[0].shared  # the others carry it
    tests = [comparison(-0.01, 0.012, task="odd"), *(comparison(0.02, 0.002, task=f"g{i}") for i in range(9))]
    routed = confirm(chosen, options, tests)
    assert not routed[0].shared
    assert "its own rows leave harm beyond 2 % a probability of" in routed[0].reason
    assert all(d.shared for d in routed[1:])


def test_what_cannot_be_confirmed_goes_back() -> None:
    options = [option(0.02)]
    (d,) = confirm(choose(options), options, [])
    assert not d.shared
    assert "could not be confirmed" in d.reason


def test_order_and_count_of_options_are_kept() -> None:
    rng = np.random.default_rng(0)
    options = [option(e, task=f"t{i}") for i, e in enumerate(0.02 * rng.standard_normal(7))]
    assert [d.task for d in choose(options)] == [o.task for o in options]
    assert [d.task for d in confirm(choose(options), options, [])] == [o.task for o in options]


@pytest.mark.parametrize("same_runs", [True, False])
def test_validation_and_test_evidence_are_mixed_with_their_true_variance(same_runs: bool) -> None:
    rng = np.random.default_rng(0)
    rows, luck = np.array([0.01, 0.02]), np.array([0.012, 0.012])
    made = []
    for k in (0, 1):
        c = comparison(
            0.0, float(np.hypot(rows[k], luck[k])), rows_share=float(rows[k] ** 2 / (rows[k] ** 2 + luck[k] ** 2))
        )
        names = ("a", "b", "c") if same_runs else tuple(f"{x}{k}" for x in "abc")
        made.append(replace(c, baseline_runs=names, candidate_runs=names))
    mixed = _joined(made[0], made[1])
    # The weight of validation, read off two effects, and the variance it should then have, by simulation.
    w = _joined(replace(made[0], effect=1.0), made[1]).effect
    n = 200_000
    shared = rng.standard_normal(n)
    own = [shared if same_runs else rng.standard_normal(n) for _ in range(2)]
    seen = [rows[k] * rng.standard_normal(n) + luck[k] * own[k] for k in range(2)]
    assert mixed.standard_error == pytest.approx(float((w * seen[0] + (1 - w) * seen[1]).std()), rel=0.02)
    assert mixed.standard_error <= min(c.standard_error for c in made)
    for other in (w - 0.1, w + 0.1):
        assert (other * seen[0] + (1 - other) * seen[1]).std() > mixed.standard_error * 0.999
