"""The audit's section and its page: every plot from the records, whatever the names, and what was not said."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
import report_synthetic as synthetic
from report_html_check import Page
from test_report_sentences import resolved

from sharewise.records import AuditDetails, Finding, Severity, to_json
from sharewise.report import render, words
from sharewise.report.audit_page import render_audit
from sharewise.report.measured import NoiseOfTasks, measured

NAMES = ["price", "<b>churn", "visits", "a name that is longer than any column has room for"]
HEADINGS = (
    "Labels of each task", "Rows that two tasks share", "Label noise of each task",
    "What one input alone says of a label", "What one label says of another", "Labels through time",
    "Which task is labelled when", "Are labels missing at random?", "Can the test rows decide?",
)  # fmt: skip


def findings() -> tuple[Finding, ...]:
    rows = tuple(f"r{i}" for i in range(200))
    return (
        Finding("label_noise", Severity.ERROR, "Wrong <i>tags</i>.", "Why.", "look", ("price",), rows=rows, n_rows=431),
        Finding("task_volumes", Severity.WARNING, "Small.", "Why.", "label more", ("visits",)),
    )  # fmt: skip


def html(names: list[str] = NAMES, *, timed: bool = True) -> str:
    return render_audit("t.parquet", findings(), synthetic.audit_details(names, timed=timed))


def test_a_page_of_its_own_is_valid_safe_and_complete() -> None:
    page = Page(html())
    assert page.checked() == []
    assert page.all("h1")[0].text.strip() == "1 error and 1 warning: mend the data first."
    headings = [e.text for e in page.all("h3")]
    assert [h for h in headings if h in HEADINGS] == list(HEADINGS)
    assert "<b>churn" not in html()
    assert "<i>" not in html()
    assert not re.search(r"<(script|link|img)\b", html())


def test_what_was_suppressed_failed_or_not_computed_is_told() -> None:
    text = html()
    for part in ("bought for &lt;next&gt; year", "never seen", "The check &#39;mixed_units&#39; failed",
                 "ValueError: &lt;i&gt;odd&lt;/i&gt;", "too coarse", "quick level"):  # fmt: skip
        assert part in text, part


def test_rows_are_listed_with_the_way_to_all_of_them() -> None:
    text = html()
    assert "r0, r1, r2, r3, r4, r5 and 425 more" in text
    assert "audit_rows.parquet" in text
    assert "--rows" in text


def test_numbers_are_those_of_the_records(tmp_path: Path) -> None:
    details = synthetic.audit_details(NAMES)
    (tmp_path / "audit_details.json").write_text(to_json(details), encoding="utf-8")
    (tmp_path / "audit.json").write_text(to_json(findings()), encoding="utf-8")
    page = Page(html())
    pointers = {e.attributes["title"] for e in page.elements if "#/" in e.attributes.get("title", "")}
    assert len(pointers) > 12
    for title in pointers:
        for pointer in re.findall(r"\S+\.json#[^\s,]*", title):
            resolved(tmp_path, pointer)
    said = measured(details, "label_noise", NoiseOfTasks)
    assert said is not None
    bars = {e.text.strip(): e for e in page.all("td", "bar")}
    for name, noise in said.noise.items():
        span = f"{words.percent(noise.low)} to {words.percent(noise.high)}"
        assert any(words.percent(noise.rate) in text and span in text and name in text for text in bars), name


def test_a_bar_takes_the_style_of_the_limit_that_its_whole_interval_passes() -> None:
    noise = {"rate": 0.2, "suspects": 3, "plateau": True, "worst": []}
    limits = {"warning": 0.05, "error": 0.15}
    for low, kind in ((0.02, "calm"), (0.06, "warning"), (0.16, "error")):
        one = {"noise": {"t": {**noise, "low": low, "high": 0.3}}, "limits": limits}
        page = render_audit("t", (), AuditDetails(10, 2, "full", details={"label_noise": one}))
        assert re.findall(r'class="level (\w+)"', page) == [kind]


def test_without_time_or_with_one_task_nothing_is_drawn_of_it() -> None:
    text = html(["only"], timed=False)
    assert Page(text).checked() == []
    for heading in ("Labels through time", "Which task is labelled when", "Rows that two tasks share"):
        assert heading not in text


@pytest.mark.parametrize("n", [41, 139])
def test_of_many_tasks_the_first_are_drawn_and_no_maps(n: int) -> None:
    text = html([f"school {i}" for i in range(n)])
    assert Page(text).checked() == []
    assert "Rows that two tasks share" not in text
    assert f"The other {n - 6} are in audit_details.json." in text
    assert len(text.encode()) < 900_000


@pytest.mark.parametrize("odd", [None, [], {"noise": 3}, {"noise": {"t": {"rate": "high"}}}, "text", 4])
def test_details_that_do_not_fit_are_as_if_absent(odd: object) -> None:
    checks = ("label_noise", "input_leaks", "target_copies", "task_overlap", "task_volumes", "label_drift",
              "task_periods", "missing_labels", "test_power", "unknown")  # fmt: skip
    details = AuditDetails(10, 2, "full", details=dict.fromkeys(checks, odd))
    page = render_audit("t", (), details)
    assert "No check found anything" in page
    assert "<h3" not in page


def test_a_study_draws_labels_and_overlap_in_one_place_only() -> None:
    page = render(synthetic.study(synthetic.FOUR))
    assert "Labels of each task</h3>" not in page
    assert "Label noise of each task" in page
    bare = render(replace(synthetic.study(synthetic.FOUR), audit_details=None))
    assert "Label noise of each task" not in bare
