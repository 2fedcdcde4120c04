"""The section on balancing says what the records say."""

from __future__ import annotations

from dataclasses import replace

import report_synthetic as synthetic

from sharewise.records import Status
from sharewise.report import render
from sharewise.report.balance import balancing, pulled
from sharewise.report.blocks import Figure, Grid, Table

FOUR = synthetic.study(synthetic.FOUR)


def test_the_table_names_conflict_and_who_pulls() -> None:
    section = balancing(FOUR, ())
    assert section is not None
    table = section.blocks[0]
    assert isinstance(table, Table)
    (row,) = [r for r in table.rows if r[0].text == "together"]
    said = [(cell.text.replace("\u202f", " "), cell.note.replace("\u202f", " ")) for cell in row]
    assert said[1] == ("nash", "gradients at the representation")
    assert said[2] == ("25 %", "sharing.layers.0 40 %")
    assert said[3] == ("malignant and texture_high", "mean cosine -0.30")
    assert said[4] == ("malignant", "40 %")
    assert said[5][0] == "equal"


def test_the_confirmed_arm_is_drawn() -> None:
    section = balancing(FOUR, ())
    assert section is not None
    grids = [b for b in section.blocks if isinstance(b, Grid)]
    assert [len(g.figures) for g in grids] == [4]
    (heat,) = [b for b in section.blocks if isinstance(b, Figure)]
    assert "Lowest mean cosine: -0.30, of malignant and texture_high" in heat.drawing
    assert "Most opposed pair" in render(FOUR)


def test_runs_that_failed_and_studies_without_notes_say_nothing() -> None:
    assert balancing(replace(FOUR, runs=tuple(replace(r, balance=None) for r in FOUR.runs)), ()) is None
    assert pulled(replace(r, status=Status.DIVERGED) for r in FOUR.runs) == []


def test_very_many_tasks_draw_the_strongest() -> None:
    school = synthetic.study(synthetic.school(), "school", 15362, light=True)
    section = balancing(school, ())
    assert section is not None
    assert [len(b.figures) for b in section.blocks if isinstance(b, Grid)] == [12]
    assert not [b for b in section.blocks if isinstance(b, Figure)]
