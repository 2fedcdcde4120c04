"""The time a study announces: every stack is timed once, and timing leaves no trace in what is trained."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_space import small_study

from sharewise.study import estimate
from sharewise.study.estimate import Clock, about, at_most
from sharewise.study.run import Conductor


def conducted(out: Path) -> Conductor:
    design, prepared, _ = small_study(space=["architecture"]).session(out).design()
    return Conductor(design, prepared, out, lambda text: None)


def test_every_stack_is_timed_and_more_runs_take_longer(tmp_path: Path) -> None:
    conductor = conducted(tmp_path)
    units = conductor.plan_units(conductor.tuning())
    clock = Clock(conductor.prepared, tmp_path)
    whole = clock.of(units)
    assert whole == pytest.approx(sum(clock.seconds(unit) for unit in units)), "nothing is timed twice"
    assert all(clock.seconds(unit) > 0 for unit in units)
    assert clock.minutes(units, 1) == pytest.approx(whole / 60)
    longest = max(clock.seconds(unit) for unit in units) / 60
    assert clock.minutes(units, 1000) == pytest.approx(longest)


def test_where_time_is_up_the_rest_is_taken_from_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate, "PATIENCE", -1.0)
    conductor = conducted(tmp_path)
    units = conductor.plan_units(conductor.tuning())
    assert Clock(conductor.prepared, tmp_path).of(units) == pytest.approx(sum(unit.cost for unit in units))


@pytest.mark.parametrize(
    ("minutes", "said"),
    [(0.4, "under a minute"), (1.2, "about 1 minute"), (12.4, "about 12 minutes"), (300, "about 5.0 hours")],
)
def test_minutes_in_words(minutes: float, said: str) -> None:
    assert about(minutes) == said
    assert at_most(minutes) == (said if said.startswith("under") else f"at most {said}")
