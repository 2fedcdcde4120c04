"""Scales, ticks and where things are drawn."""

from __future__ import annotations

import re

import report_synthetic as synthetic
from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import Markup

from sharewise.records import PartCounts
from sharewise.report import curves, figures
from sharewise.report.figures import Effect
from sharewise.report.rows import limit, state_of
from sharewise.report.svg import Scale, element, text, ticks

finite = st.floats(-1e6, 1e6)


@settings(deadline=None, max_examples=60)
@given(finite, st.floats(1e-6, 1e6), st.integers(2, 12))
def test_ticks_are_round_inside_and_about_as_many_as_asked(low: float, width: float, about: int) -> None:
    marks = ticks(low, low + width, about)
    slack = 1e-6 * max(abs(low), width)
    assert all(low - slack <= mark <= low + width + slack for mark in marks)
    assert len(marks) <= 2 * about + 2
    assert marks == sorted(marks)


@settings(deadline=None, max_examples=60)
@given(finite, finite, finite)
def test_a_held_scale_stays_within_its_ends(low: float, high: float, value: float) -> None:
    assert 0 <= Scale(low, high, 0.0, 100.0)(value) <= 100


def test_text_and_attributes_are_escaped() -> None:
    assert text("<b>&", {"x": '"1'}) == Markup('<text x="&#34;1">&lt;b&gt;&amp;</text>')
    assert element("line", {"x1": 1.004, "x2": -0.0001}) == Markup('<line x1="1" x2="0"/>')


def _effects(made: tuple[synthetic.Made, ...]) -> list[Effect]:
    records = synthetic.study(made, light=True)
    return [Effect(v.task, v.comparison, state_of(v), f"verdicts.json#/{i}") for i, v in enumerate(records.verdicts)]


def test_the_axis_holds_zero_the_margin_and_the_bulk() -> None:
    effects = [e.comparison for e in _effects(synthetic.TWELVE)]
    low, high = figures.axis_range(effects)
    assert low < min(-c.margin for c in effects) < 0 < high
    inside = sum(low <= c.low and c.high <= high for c in effects)
    assert inside >= len(effects) - 1
    assert figures.axis_range([]) == (-0.05, 0.05)


def test_one_wild_task_does_not_flatten_the_others_and_is_drawn_at_the_edge() -> None:
    made = (*synthetic.TWELVE, synthetic.Made("wild", effect=-4.0, half=1.0))
    effects = _effects(made)
    low, high = figures.axis_range(e.comparison for e in effects)
    assert low > -0.5
    drawn = figures.forest_row(effects[-1], low, high, "lightgbm")
    assert "−400" in drawn
    assert drawn.count("arrow") == 1
    assert "100.00%" not in drawn


def test_a_forest_row_puts_the_interval_where_it_is() -> None:
    effect = _effects(synthetic.TWELVE)[0]
    c = effect.comparison
    drawn = figures.forest_row(effect, -0.1, 0.1, "lightgbm")
    bar = re.search(r'<line x1="([\d.]+)%" x2="([\d.]+)%"[^>]*class="bar better"', drawn)
    mark = re.search(r'<use href="#m-better" x="([\d.]+)%"', drawn)
    assert bar is not None
    assert mark is not None
    at = [float(bar[1]), float(mark[1]), float(bar[2])]
    for seen, value in zip(at, (c.low, c.effect, c.high), strict=True):
        assert abs(seen - (value + 0.1) * 500) < 0.01


def test_the_margin_in_the_metrics_own_unit_is_where_the_effect_is_minus_the_margin() -> None:
    records = synthetic.study(synthetic.FOUR)
    for verdict in records.verdicts:
        c = verdict.comparison
        facts = records.metrics[c.metric]
        bound = limit(c, facts)
        assert bound is not None
        sign = 1 if facts.bigger_is_better else -1
        match facts.effect:
            case "points":
                theta = sign * (bound - c.baseline_score)
            case "log_ratio":
                theta = sign * figures_log(bound / c.baseline_score)
            case _:
                theta = sign * (bound / c.baseline_score - 1)
        assert abs(theta + c.margin) < 1e-12
    assert limit(records.verdicts[0].comparison, None) is None


def figures_log(value: float) -> float:
    import math

    return math.log(value)


def test_curves_mark_the_best_epoch_and_leave_out_gaps() -> None:
    records = synthetic.study(synthetic.FOUR)
    runs = [r for r in records.runs if r.arm == "single" and r.phase.value == "confirm" and r.tasks == ("grade",)]
    alone = curves.tracks(runs, "grade")
    assert len(alone) == len(runs) == 5
    drawn = curves.learning_curves("grade", alone, [], faint=True)
    assert drawn.count('class="best alone"') == 5
    assert drawn.count("faint") == 10
    assert "0 runs shared" in drawn
    assert curves.tracks(runs, "another") == []


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50), st.integers(1, 200))
def test_coverage_never_overflows(train: int, validation: int, test: int, n_rows: int) -> None:
    n_rows = max(n_rows, train + validation + test)
    drawn = curves.coverage_bar("t", PartCounts(train, validation, test), n_rows)
    widths = [float(w) for w in re.findall(r'width="([\d.]+)%" height="12" class="part', drawn)]
    assert sum(widths) <= 101.3
    assert len(widths) == sum(n > 0 for n in (train, validation, test))


def test_overlap_cells_tell_the_share_of_the_smaller_task() -> None:
    drawn = curves.overlap_map(("a", "b<"), ((100, 25), (25, 50)))
    assert "a and b&lt;: 25 rows, 50" in drawn
    assert drawn.count("<rect") == 4
    assert "Fewest common rows: 25, for a and b&lt;." in drawn
