"""The table on a terminal and off it."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
import report_synthetic as synthetic
from rich.console import Console

from sharewise.report import show
from sharewise.report.load import StudyRecords
from sharewise.report.pages import verdict_table
from sharewise.report.rows import task_rows


def shown(
    study: StudyRecords | Path, *, terminal: bool = False, encoding: str = "utf-8", no_color: bool = False
) -> str:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="")
    console = Console(
        file=stream,
        force_terminal=terminal,
        width=160 if terminal else 80,
        no_color=no_color,
        color_system="standard" if terminal else None,
    )
    show(study, console)
    stream.flush()
    raw = stream.buffer.getvalue()  # type: ignore[attr-defined]
    return str(raw.decode(encoding))


def test_plain_text_has_one_line_a_task_and_no_escapes() -> None:
    text = shown(synthetic.study(synthetic.FOUR))
    assert "\x1b" not in text
    lines = text.splitlines()
    assert lines[0] == "Share 2 of 4 tasks in one model; 2 stay alone."
    table = lines[lines.index("") + 1 :]
    assert table[0].split() == [
        "task",
        "single",
        "shared",
        "change",
        "verdict",
        "answered",
        "by",
        "what",
        "would",
        "settle",
        "it",
    ]
    assert len(table) == 5
    area = next(line for line in table if line.startswith("area"))
    for part in ("(RMSE)", "41.30 (lightgbm)", "56.31", "−31.0", "harm", "lightgbm"):
        assert part in area
    assert "No number of runs can settle this; about 728 test rows would." in table[-1]
    starts = {
        line.index("harm" if "harm  " in line else "better" if "better" in line else "not enough")
        for line in table[1:]
        if "no harm" not in line
    }
    assert len(starts) == 1


def test_a_task_without_a_verdict_shows_what_it_scores_alone() -> None:
    study = synthetic.study(synthetic.FOUR)
    own = next(s for s in study.scores if s.arm == "lightgbm")
    left = replace(study, verdicts=tuple(v for v in study.verdicts if v.task != own.task))
    (line,) = [line for line in shown(left).splitlines() if line.startswith(f"{own.task} ") and "not compared" in line]
    assert "41.30 [37.17, 45.43] (lightgbm)" in line
    assert "[37.17, 45.43]" not in shown(study), "with a verdict the change has the interval"
    page = verdict_table(task_rows(left)).rows[[row.name for row in task_rows(left)].index(own.task)]
    assert page[1].text.startswith("41.30 ±")
    assert page[1].note == "lightgbm, 5 runs\n[37.17, 45.43]"
    assert page[1].source == f"scores.json#/{study.scores.index(own)}/score"


def test_a_terminal_gets_rules_and_colour() -> None:
    text = shown(synthetic.study(synthetic.TWELVE), terminal=True)
    assert "\x1b[" in text
    assert "━" in text
    assert "NR-PPAR-gamma" in text


def test_no_color_is_respected() -> None:
    assert "\x1b" not in shown(synthetic.study(synthetic.FOUR), terminal=True, no_color=True)


def test_the_environment_switches_colour_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    stream = io.StringIO()
    show(synthetic.study(synthetic.FOUR), Console(file=stream, force_terminal=True))
    assert "\x1b" not in stream.getvalue()


def test_an_ascii_terminal_gets_ascii() -> None:
    text = shown(synthetic.study(synthetic.HOSTILE), encoding="ascii")
    assert text.isascii()
    assert "-8.0 %" in text


def test_hostile_names_are_text() -> None:
    for terminal in (False, True):
        text = shown(synthetic.study(synthetic.HOSTILE), terminal=terminal)
        assert "[red]bold" in text
        assert "\x1b[31m" not in text.replace("\x1b[31m▼", "")
        assert "\u202e" not in text


def test_many_tasks_are_folded_into_families() -> None:
    text = shown(synthetic.study(synthetic.school(), light=True))
    assert "exam_score[school=77]" not in text
    row = next(line for line in text.splitlines() if line.startswith("exam_score"))
    assert row.split()[1:3] == ["139", "101"]
    assert len(text.splitlines()) < 14


def test_an_unfinished_run_and_a_directory(tmp_path: Path) -> None:
    records = synthetic.interrupted(synthetic.study(synthetic.FOUR), 9)
    text = shown(synthetic.write(records, tmp_path / "run"))
    assert text.splitlines() == [
        "No answer yet: 9 of at most 156 runs have ended.",
        "Run the same command again: it goes on after the last finished run, to the same answer.",
    ]
