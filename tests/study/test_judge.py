"""Verdicts, receipts, Holm's list and the gate."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_comparisons import comparison
from scipy import stats

from sharewise.records import Outcome, Verdict
from sharewise.study.judge import harmed, judge, judge_all, no_task_is_harmed, p_harm, receipt


@pytest.mark.parametrize(
    ("effect", "outcome", "label"),
    [
        (-0.06, Outcome.HARM, "harm"),
        (-0.02, Outcome.UNDECIDED, "not enough evidence"),
        (-0.0105, Outcome.NO_HARM, "slightly worse, within the margin"),
        (0.0, Outcome.NO_HARM, "no harm"),
        (0.03, Outcome.NO_HARM, "better"),
    ],
)
def test_the_interval_against_the_margin_decides(effect: float, outcome: Outcome, label: str) -> None:
    verdict = judge(comparison(effect))
    assert (verdict.outcome, verdict.label) == (outcome, label)
    assert (verdict.receipt is not None) == (outcome is Outcome.UNDECIDED)


@given(st.floats(-0.2, 0.2), st.floats(1e-4, 0.1), st.floats(1.0, 200.0))
def test_p_value_and_verdict_agree(effect: float, se: float, df: float) -> None:
    c = comparison(effect, se, df)
    assert (p_harm(c) < 0.05) == (c.high < -c.margin) or abs(c.high + c.margin) < 1e-9
    assert p_harm(c) == pytest.approx(stats.t.cdf((effect + 0.02) / se, df), rel=1e-6, abs=1e-12)


def test_no_variance_is_a_fact_not_a_crash() -> None:
    still = replace(comparison(), var_rows=0.0, var_baseline=0.0, var_candidate=0.0)
    assert p_harm(still) == 1.0
    assert p_harm(replace(still, effect=-0.1)) == 0.0
    assert judge(replace(still, low=0.0, high=0.0)).outcome is Outcome.NO_HARM


# --- caution ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [{"n_rows": 150}, {"n_rarest": 30}, {"n_entities": 40}])
def test_few_rows_need_a_gap_of_more_than_three_margins(change: dict[str, int]) -> None:
    for effect, open_still in ((0.03, True), (-0.05, True), (-0.07, False), (0.07, False)):
        verdict = judge(replace(comparison(effect, se=0.002), **change))
        assert (verdict.outcome is Outcome.UNDECIDED) == open_still
        if open_still:
            assert verdict.receipt is not None
            assert verdict.receipt.runs_needed is None
            assert verdict.receipt.rows_needed is not None
            assert verdict.receipt.rows_needed > (change.get("n_rows") or 0)
            assert "too few" in verdict.receipt.sentence


# --- receipts ---------------------------------------------------------------------------------------------


def test_receipt_names_runs_where_run_luck_is_the_doubt() -> None:
    told = receipt(comparison(0.0, se=0.02, rows_share=0.05))
    assert told.runs_needed is not None
    assert told.rows_needed is None
    assert f"{told.runs_needed} runs" in told.sentence


def test_receipt_names_rows_where_the_test_set_is_the_doubt() -> None:
    told = receipt(comparison(0.0, se=0.02, rows_share=0.999))
    assert told.runs_needed is None
    assert told.rows_needed is not None
    assert "No number of runs can settle it" in told.sentence


def test_receipt_says_when_neither_can() -> None:
    told = receipt(comparison(-0.02, se=0.02))
    assert (told.runs_needed, told.rows_needed) == (None, None)
    assert told.sentence.startswith("Neither more runs nor more test rows can settle it")
    both = receipt(comparison(0.0, se=0.04))
    assert (both.runs_needed, both.rows_needed) == (None, None)
    assert both.sentence.startswith("Only more runs and more test rows together can settle it")


@settings(max_examples=60)
@given(st.floats(-0.06, 0.06), st.floats(0.004, 0.06), st.floats(0.01, 0.99))
def test_what_a_receipt_asks_for_is_the_least_that_would_do(effect: float, se: float, share: float) -> None:
    c = comparison(effect, se, rows_share=share)
    told = receipt(c)
    distance = abs(effect + 0.02)

    def width(runs: int, rows: int) -> float:
        v = c.var_rows * c.n_rows / rows + (c.var_baseline + c.var_candidate) * 3 / runs
        return float((stats.t.ppf(0.95, c.df * runs / 3) + stats.norm.ppf(0.8)) * math.sqrt(v))

    if told.runs_needed is not None:
        assert width(told.runs_needed, 2000) <= distance * (1 + 1e-9)
        assert told.runs_needed == 4 or width(told.runs_needed - 1, 2000) > distance
    else:
        assert width(100, 2000) > distance
    if told.rows_needed is not None:
        assert width(3, told.rows_needed) <= distance * (1 + 1e-9)
        assert told.rows_needed == 2001 or width(3, told.rows_needed - 1) > distance * (1 - 1e-9)


# --- many tasks -------------------------------------------------------------------------------------------


def named(effects: list[float], se: float = 0.01) -> list[Verdict]:
    return judge_all(replace(comparison(e, se), task=f"t{i}") for i, e in enumerate(effects))


def closed_testing(p: list[float], error: float) -> set[int]:
    """Holm by its definition: reject i when every set that holds i is rejected by Bonferroni."""
    n = len(p)
    sets = [s for k in range(1, n + 1) for s in itertools.combinations(range(n), k)]
    return {i for i in range(n) if all(min(p[j] for j in s) <= error / len(s) for s in sets if i in s)}


@given(st.lists(st.floats(-0.08, 0.02), min_size=1, max_size=6))
def test_harmed_list_is_holms(effects: list[float]) -> None:
    verdicts = named(effects)
    p = [p_harm(v.comparison) for v in verdicts]
    assert harmed(verdicts) == [f"t{i}" for i in sorted(closed_testing(p, 0.05))]


def test_harmed_list_leaves_out_what_caution_holds_back() -> None:
    verdicts = judge_all([replace(comparison(-0.05, 0.001), n_rows=100)])
    assert verdicts[0].outcome is Outcome.UNDECIDED
    assert harmed(verdicts) == []


def test_the_gate_names_the_undecided() -> None:
    assert no_task_is_harmed(named([0.01, 0.02], se=0.005)).passed
    gate = no_task_is_harmed(named([0.03, -0.015, -0.1]))
    assert not gate.passed
    assert (gate.harmed, gate.undecided) == (("t2",), ("t1",))
    assert gate.sentence == "1 of 3 tasks is harmed (t2); 1 is still undecided (t1)."
    assert no_task_is_harmed([]).passed
    assert "and 2 more" in no_task_is_harmed(named([-0.015] * 8)).sentence


def test_the_harmed_list_names_a_healthy_task_in_at_most_five_percent_of_studies() -> None:
    rng = np.random.default_rng(0)
    wrong, reps = 0, 400
    for _ in range(reps):
        effects = np.where(np.arange(6) < 3, -0.02, -0.08) + 0.01 * rng.standard_normal(6)
        wrong += any(t in ("t0", "t1", "t2") for t in harmed(named(list(effects), se=0.01)))
    assert wrong / reps < 0.05 + 3 * math.sqrt(0.05 * 0.95 / reps)


def test_few_rows_ask_for_no_number_where_none_would_settle_it() -> None:
    told = receipt(replace(comparison(-0.0199, se=0.02, rows_share=0.5), n_rows=193))
    assert told.rows_needed is None
    assert "with about 200 test rows it could be judged, but would stay open" in told.sentence
