"""The section on causes, and the same on a terminal."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
import report_synthetic as synthetic
from report_html_check import Page
from rich.console import Console
from test_report_sentences import resolved

from sharewise import report
from sharewise.causes import Cost, Effect, Ending, Explanation, Hypothesis, Inquiry, Remedy, Shift, Trial
from sharewise.records import Comparison, to_json
from sharewise.report.explain import cost_sentence
from sharewise.report.explained import show

BEFORE = Comparison(
    "a<b", "rmse", "relative", "single", "together", 0.5, 0.65, -0.3, -0.33, -0.27, 0.02, 8.0,
    1e-4, 1e-5, 1e-5, 500, 5, 5,
)  # fmt: skip


def explanation() -> Explanation:
    """Equal weights win back all of a gap of 30 %; width does not."""
    after = replace(BEFORE, effect=-0.01, low=-0.03, high=0.01)
    other = replace(BEFORE, task="c", effect=-0.04, low=-0.06, high=-0.02)
    trials = (
        Trial("capacity", "width x2", "twice as wide", Effect.BOTH, "", BEFORE, Shift(0.0, -0.05, 0.05, 8.0, 0.005)),
        Trial("surgery", "pcgrad", "projected", Effect.UNJUDGED, "the changed runs diverged"),
        Trial(
            "scale", "equal weights", "every loss weighs the same", Effect.REMOVES, "", after,
            Shift(0.29, 0.24, 0.34, 8.0, 0.005), costs=(Cost("c", other),),
        ),
    )  # fmt: skip
    return Explanation(
        "a<b", ("a<b", "c"), Ending.CAUSE, "'a<b' is worse because of loss scale.", BEFORE,
        (Hypothesis("scale", 0.01, 0.17, 1.0, "its loss has 1 % of the weight"),),
        trials, 2, "loss scale", Remedy("weigh the losses equally", balance={}),
    )  # fmt: skip


def inquiry(*found: Explanation) -> Inquiry:
    return Inquiry("0" * 64, "together", "single", 42, 5, 12.0, found, ("Judged on opened rows.",))


def test_the_section_has_cause_evidence_remedy_and_cost(tmp_path: Path) -> None:
    root = synthetic.write(synthetic.study(synthetic.FOUR), tmp_path / "run")
    (root / "explain.json").write_text(to_json(inquiry(explanation())))
    page = report.write(root).read_text(encoding="utf-8")
    assert Page(page).checked() == []
    assert 'id="explain"' in page
    assert "&#39;a&lt;b&#39; is worse because of loss scale." in page
    assert "a<b" not in page
    for said in ("Remedy: weigh the losses equally.", "It makes c (−4.0", "removes the harm: convicted", "+29.0"):
        assert said in page, said
    assert "helps the single model as much" in page
    assert "the changed runs diverged" in page
    assert "hypotheses, not causes" in page
    assert "42 runs" in page
    pointers = [e.attributes["title"] for e in Page(page).elements if "explain.json#/" in e.attributes.get("title", "")]
    assert len(pointers) >= 10
    for title in pointers:
        for pointer in re.findall(r"explain\.json#[^\s,]*", title):
            resolved(root, pointer)


def test_without_an_inquiry_there_is_no_section_and_nothing_is_missing(tmp_path: Path) -> None:
    root = synthetic.write(synthetic.study(synthetic.FOUR), tmp_path / "run")
    records = report.load(root)
    assert records.inquiry is None
    assert not [m for m in records.missing if m.file == "explain.json"]
    assert 'id="explain"' not in report.write(root).read_text(encoding="utf-8")


def test_a_damaged_inquiry_is_named(tmp_path: Path) -> None:
    root = synthetic.write(synthetic.study(synthetic.FOUR), tmp_path / "run")
    (root / "explain.json").write_text("{")
    assert "explain.json" in [m.file for m in report.load(root).missing]


def test_the_terminal_says_the_same() -> None:
    stream = io.StringIO()
    show(inquiry(explanation()), None, Console(file=stream, width=200))
    said = stream.getvalue()
    assert said.startswith("'a<b' is worse because of loss scale.\nRemedy: weigh the losses equally.")
    marked = [line for line in said.splitlines() if line.startswith(">")]
    assert len(marked) == 1
    assert "equal weights" in marked[0]
    assert "they convict nothing" in said
    stream = io.StringIO()
    show(inquiry(), None, Console(file=stream, width=200))
    assert "nothing to explain" in stream.getvalue()


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [(-0.06, -0.02, "makes c"), (0.02, 0.06, "better"), (-0.02, 0.02, "No other task is shown to change")],
)
def test_the_cost_says_no_more_than_the_intervals(low: float, high: float, said: str) -> None:
    found = explanation()
    cost = Cost("c", replace(BEFORE, task="c", effect=(low + high) / 2, low=low, high=high))
    trials = (*found.trials[:2], replace(found.trials[2], costs=(cost,)))
    assert said in cost_sentence(replace(found, trials=trials))
