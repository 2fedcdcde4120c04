"""The model card and the drift reference: what they say, and that names cannot break them."""

from __future__ import annotations

import json

import numpy as np
import tiny_bundle as tiny

from sharewise.bundle import drift_reference, model_card
from sharewise.plan import Plan
from sharewise.records import (
    Comparison,
    DataSummary,
    Decision,
    DesignRecord,
    Outcome,
    PartCounts,
    SetAside,
    StudySummary,
    TaskData,
    Verdict,
)


def verdict(task: str, effect: float, outcome: Outcome) -> Verdict:
    compared = Comparison(
        task, "auroc", "relative", "single", "together", 0.8, 0.7, effect, effect - 0.03, effect + 0.03, 0.02, 9.0,
        1e-4, 1e-4, 1e-4, 90, 3, 3,
    )  # fmt: skip
    return Verdict(task, outcome, outcome.value, compared)


def written() -> str:
    names = tiny.tasks().names
    decisions = [
        Decision(
            name, "together" if i else "lightgbm", "together" if i else "single:yes", i > 0, 0.01, 0.02, "It | won."
        )
        for i, name in enumerate(names)
    ]
    counts = PartCounts(80, 20, 20)
    data = DataSummary(
        "t.csv", "abc", 120, 0, counts, "Random.", {}, tuple(TaskData(n, counts) for n in names),
        set_aside=(SetAside("gone", "has no label"),),
    )  # fmt: skip
    design = DesignRecord("a study", "quick", tuple(tiny.tasks()), (), (), 0, 1, 1, 1, 9)
    summary = StudySummary(
        None, "", Plan.all_together(names), "d" * 8, "abc", {"torch": "2"}, "", "cpu", 1, 1, 9, 1, 1.0, "then", "now"
    )
    verdicts = [verdict("yes", -0.1, Outcome.HARM), verdict("kind", 0.0, Outcome.UNDECIDED)]
    return model_card(tiny.schema(), design, data, verdicts, decisions, summary)


def test_harm_is_stated_with_its_interval_and_who_answers():
    text = written()
    assert "- yes: -10.0% [-13.0%, -7.0%], answered by its own model." in text
    assert "Not enough evidence either way for: kind" in text
    assert "Set aside: gone, which has no label." in text
    assert "rows of other groups get no answer" in text
    assert "Fewer than 100 labelled test rows" in text


def test_tables_keep_their_shape_whatever_the_names():
    lines = [line for line in written().splitlines() if line.startswith("| ") and "won" in line]
    assert len(lines) == len(tiny.tasks())
    assert {line.replace("\\|", "").count("|") for line in lines} == {7}


def test_the_reference_holds_distributions_and_no_rows():
    made = drift_reference(tiny.table(), tiny.schema(), np.arange(80))
    said = json.loads(made["inputs.json"])
    assert list(said) == [i.name for i in tiny.schema().inputs]
    assert len(said["x"]["quantiles"]) == 101
    assert said["x"]["quantiles"] == sorted(said["x"]["quantiles"])
    assert sum(said["colour"]["counts"].values()) == 80
    assert 0 < said["z"]["missing"] < 0.3
    assert len(said["bits"]["means"]) == 6
    assert said["day"]["quantiles"][0] > 1.7e9
