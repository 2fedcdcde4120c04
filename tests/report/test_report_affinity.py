"""The affinity map: legible from three to forty tasks, and true to its record."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
import report_synthetic as synthetic

from sharewise.records import Forecast, GroupingRecord
from sharewise.report.affinity import affinity
from sharewise.report.blocks import Figure, Table
from sharewise.report.load import StudyRecords


def grouping(n: int) -> GroupingRecord:
    """Two clusters that help within and harm across, of which only task 0 is known well."""
    tasks = tuple(f"task {i} <of a long name>" for i in range(n))
    cluster = np.arange(n) % 2
    helps = np.where(cluster[:, None] == cluster, 0.8, -0.6)
    np.fill_diagonal(helps, 0.0)
    sd = np.full((n, n), 2.0)
    sd[0] = 0.2
    groups = tuple(tuple(t for t, c in zip(tasks, cluster, strict=True) if c == k) for k in (0, 1))
    return GroupingRecord(
        "surrogate",
        tasks,
        tuple(map(tuple, helps.tolist())),
        tuple(map(tuple, sd.tolist())),
        (0.0,) * n,
        (0.0,) * n,
        20,
        60,
        (Forecast("found", groups, 0.7, 0.2),),
        Forecast("runner-up", (tasks,), 0.5, 0.3),
        "",
    )


@pytest.mark.parametrize("n", [3, 12, 40])
def test_the_map_has_a_mark_for_every_pair_and_a_frame_for_every_group(n: int) -> None:
    section = affinity(StudyRecords("s", grouping=grouping(n)), ())
    assert section is not None
    drawing = next(str(b.drawing) for b in section.blocks if isinstance(b, Figure))
    assert drawing.count("<title>task") == n * (n - 1)
    assert drawing.count('class="frame"') == 2 if n > 3 else 1
    assert "&lt;of a long name&gt;" in drawing
    assert "<of" not in drawing
    # Rows are far enough apart for their 13 px labels.
    heights = [float(y) for y in re.findall(r'<text x="182" y="([0-9.]+)"', drawing)]
    assert len(heights) == n
    assert np.diff(heights).min() >= 16
    # Task 0's row is clear of zero, the others' are not: 0.8 against 2.0 is "no telling".
    assert drawing.count('class="mark better"') + drawing.count('class="mark harm"') == n - 1


def test_pairs_and_plans_are_told_with_their_numbers_and_sources() -> None:
    section = affinity(StudyRecords("s", grouping=grouping(6)), ())
    assert section is not None
    pairs, plans = (b for b in section.blocks if isinstance(b, Table))
    assert len(pairs.rows) == 5
    assert pairs.rows[0][2].source == "grouping.json#/helps/0/2"
    assert "+0.80 margins" in pairs.rows[0][2].text
    assert [row[0].text for row in plans.rows] == ["found", "runner-up"]
    assert plans.rows[1][0].note == "not trained"


def test_nothing_to_gain_is_said_and_no_search_is_no_section() -> None:
    assert affinity(StudyRecords("s"), ()) is None
    quiet = replace(grouping(4), plans=(), runner_up=None, reason="Nothing to gain: so it is.")
    section = affinity(StudyRecords("s", grouping=quiet), ())
    assert section is not None
    assert "Nothing to gain: so it is." in str(section.blocks[0])


def test_of_several_plans_the_confirmed_one_is_framed_and_every_one_listed() -> None:
    made = grouping(6)
    first = made.plans[0]
    lone = Forecast("found-3", (tuple(made.tasks[:2]), *((task,) for task in made.tasks[2:])), 0.1, 0.2, 23)
    plans = (first, replace(first, name="found-2", gain=0.2, n_groups=22), lone)
    many = replace(made, plans=plans, runner_up=None, reason="Nothing to gain: so it is.")
    summary = replace(synthetic.study(synthetic.FOUR), grouping=many).summary
    assert summary is not None
    section = affinity(StudyRecords("s", grouping=many, summary=replace(summary, selected="found-3")), ())
    assert section is not None
    figure = next(b for b in section.blocks if isinstance(b, Figure))
    assert str(figure.drawing).count('class="frame"') == 1
    assert "Frames are the groups of 'found-3'." in figure.caption
    table = [b for b in section.blocks if isinstance(b, Table)][-1]
    assert [(row[0].text, row[0].note) for row in table.rows] == [
        ("found", "trained as a candidate"), ("found-2", "trained as a candidate"), ("found-3", "chosen and confirmed"),
    ]  # fmt: skip
    said = str(section.blocks[0])
    assert "Of 3 plans, found one after the other, the first was predicted to gain +0.70 margins a task" in said
    assert "Then it ended: Nothing to gain: so it is." in said
