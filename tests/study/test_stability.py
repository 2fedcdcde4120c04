"""Each retrain alone, put to the rule that decided."""

from __future__ import annotations

from dataclasses import replace

import pytest
from made_comparisons import comparison

from sharewise.study.decide import Option, choose
from sharewise.study.stability import stability


def option(task: str, candidate: tuple[float, ...], baseline: tuple[float, ...] = (0.8, 0.8, 0.8)) -> Option:
    mean_b, mean_c = sum(baseline) / len(baseline), sum(candidate) / len(candidate)
    made = comparison(mean_c / mean_b - 1, 0.004, task=task)
    made = replace(
        made,
        baseline_score=mean_b,
        candidate_score=mean_c,
        baseline_run_scores=baseline,
        candidate_run_scores=candidate,
    )
    return Option(task, "together", "together", "single", f"single:{task}", made)


def test_retrains_that_agree_and_one_that_does_not() -> None:
    options = [option("firm", (0.83, 0.832, 0.831)), option("shaky", (0.83, 0.828, 0.76))]
    decisions = choose(options)
    firm, shaky = stability(options, decisions)
    assert firm.effects == pytest.approx((0.0375, 0.04, 0.03875))
    assert (firm.shared, firm.n_same) == ((True, True, True), 3)
    assert shaky.shared[2] is False
    decided = next(d.shared for d in decisions if d.task == "shaky")
    assert shaky.n_same == sum(s == decided for s in shaky.shared)


def test_what_the_rule_says_of_a_retrain_is_what_it_says_of_such_a_study() -> None:
    runs = (0.82, 0.79, 0.801)
    (found,) = stability([option("t", runs)], choose([option("t", runs)]))
    for score, shared in zip(runs, found.shared, strict=True):
        (alone,) = choose([option("t", (score, score, score))])
        assert alone.shared == shared


def test_a_model_without_luck_stands_for_all_its_retrains() -> None:
    options = [option("t", (0.82, 0.81, 0.83), (0.8,))]
    (found,) = stability(options, choose(options))
    assert found.effects == pytest.approx((0.025, 0.0125, 0.0375))


def test_tasks_that_were_not_compared_are_left_out() -> None:
    missing = Option("u", "together", "together", "single", "single:u", None, "its runs diverged")
    assert stability([missing], choose([missing])) == ()
