"""Numbers and counts as they are shown."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sharewise.report import words


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.8124, "0.812"),
        (0.0123, "0.0123"),
        (0.012, "0.0120"),
        (0.0, "0.000"),
        (41.317, "41.32"),
        (123.456, "123.5"),
        (12345.6, "12,346"),
        (-0.5, "−0.500"),
        (None, "–"),
        (math.nan, "–"),
        (math.inf, "–"),
        (2.5e7, "2.5e+07"),
    ],
)
def test_score(value: float | None, shown: str) -> None:
    assert words.score(value) == shown


@pytest.mark.parametrize(
    ("value", "scale", "shown"),
    [
        (0.0123, "relative", "+1.2 %"),
        (-0.0123, "relative", "−1.2 %"),
        (0.0004, "relative", "0.0 %"),
        (-0.0004, "points", "0.0 points"),
        (0.02, "points", "+2.0 points"),
        (None, "relative", "–"),
    ],
)
def test_change(value: float | None, scale: str, shown: str) -> None:
    assert words.change(value, scale).replace(words.THIN, " ") == shown


def test_interval_margin_and_share() -> None:
    assert words.interval(-0.005, 0.029, "relative").replace(words.THIN, " ") == "[−0.5, +2.9] %"
    assert words.interval(math.nan, 0.029, "relative") == "–"
    assert words.amount(0.02, "relative").replace(words.THIN, " ") == "2 %"
    assert words.amount(0.015, "points").replace(words.THIN, " ") == "1.5 points"
    for value, shown in [(0.0, "0 %"), (0.0004, "under 0.1 %"), (0.04, "4 %"), (0.043, "4.3 %"), (0.43, "43 %")]:
        assert words.percent(value).replace(words.THIN, " ") == shown
    assert words.percent(0.9999).replace(words.THIN, " ") == "over 99.9 %"
    assert words.percent(1.0).replace(words.THIN, " ") == "100 %"


def test_counts_and_lists() -> None:
    assert [words.plural(n, "task") for n in (0, 1, 2, 1200)] == ["0 tasks", "1 task", "2 tasks", "1,200 tasks"]
    assert [words.all_of(n) for n in (1, 2, 3)] == ["the only", "both", "all 3"]
    assert words.listing([]) == ""
    assert words.listing(["a"]) == "a"
    assert words.listing(["a", "b"]) == "a and b"
    assert words.listing(["a", "b", "c"]) == "a, b and c"
    assert words.listing("abcdef") == "a, b, c and 3 more"
    assert words.parts(["x", "y", "z"]) == "x, y, and z"
    assert words.in_words(3) == "three"
    assert words.in_words(30) == "30"


def test_durations() -> None:
    shown = [words.seconds(s).replace(words.THIN, " ") for s in (0.42, 48.3, 125, 1260, 7500)]
    assert shown == ["0.4 s", "48 s", "2 min 5 s", "21 min", "2 h 5 min"]


def test_spread_needs_two_runs() -> None:
    assert words.spread([0.8]) == ""
    assert words.spread([0.80, 0.81]).replace(words.THIN, " ") == "± 0.0071"


def test_ids_fold_what_they_share() -> None:
    assert words.ids(["confirm-a-s0", "confirm-a-s1"]) == "confirm-a-s{0,1}"
    assert words.ids(["a1", "b2"]) == "a1, b2"
    assert words.ids(["one"]) == "one"
    assert words.ids([]) == ""


@settings(deadline=None, max_examples=60)
@given(st.text())
def test_visible_text_has_no_control_characters(text: str) -> None:
    shown = words.visible(text)
    assert len(shown) == len(text)
    assert all(c.isprintable() or c == words.THIN for c in shown)
    assert words.ascii_only(text).isprintable()


@settings(deadline=None, max_examples=60)
@given(st.floats(allow_nan=True, allow_infinity=True))
def test_any_float_has_a_shape(value: float) -> None:
    for shown in (words.score(value), words.change(value, "relative"), words.percent(min(abs(value), 1.0))):
        assert shown
        assert "nan" not in shown
        assert "inf" not in shown
