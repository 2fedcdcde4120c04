"""The contract of every sampler in the catalogue, on disjoint, overlapping and fully labelled tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sharewise.balance.sampling import CATALOGUE
from sharewise.balance.sampling.base import Sampler, quotas
from sharewise.errors import ConfigError, DataError

NAMES = sorted(CATALOGUE)
PARAMS: dict[str, dict[str, Any]] = {"class_balanced": {"task": "a"}}


def table(kind: str) -> tuple[np.ndarray, np.ndarray]:
    """present (N, 3) and classes (N, 3): sizes 600, 90 and 30, rare class one in ten."""
    if kind == "disjoint":
        present = np.zeros((720, 3), bool)
        present[:600, 0] = present[600:690, 1] = present[690:, 2] = True
    elif kind == "full":
        present = np.ones((720, 3), bool)
    else:
        present = np.zeros((720, 3), bool)
        present[:600, 0] = present[510:600, 1] = present[585:615, 2] = True
    classes = np.where(np.arange(720)[:, None] % 10 == 0, 1, 0).repeat(3, 1)
    return present, classes


def built(name: str, kind: str, epochs: int = 5) -> Sampler:
    present, classes = table(kind)
    return CATALOGUE.build(name, **PARAMS.get(name, {})).build(present, classes, ("a", "b", "c"), epochs)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["disjoint", "overlapping", "full"])
def test_an_epoch_is_long_enough_labelled_and_repeatable(name: str, kind: str) -> None:
    sampler, (present, _) = built(name, kind), table(kind)
    for number in (0, 4):
        rows = sampler.epoch(number, 7)
        assert rows.dtype == np.int64
        assert len(rows) == present.any(1).sum()
        assert present[rows].any(1).all()
        assert np.array_equal(rows, sampler.epoch(number, 7))
        assert not np.array_equal(rows, sampler.epoch(number, 8))
        if sampler.repeat_cap is not None:
            assert np.bincount(rows).max() <= np.ceil(sampler.repeat_cap)


@pytest.mark.parametrize("name", [n for n in NAMES if n != "class_balanced"])
def test_fully_labelled_rows_come_once_each(name: str) -> None:
    rows = built(name, "full").epoch(2)
    assert np.array_equal(np.sort(rows), np.arange(720))


DISJOINT = {
    "proportional": (600, 90, 30),
    "balanced": (240, 240, 240),
    "square_root": tuple(720 * np.sqrt([600, 90, 30]) / np.sqrt([600, 90, 30]).sum()),
    "temperature": tuple(720 * np.sqrt([600, 90, 30]) / np.sqrt([600, 90, 30]).sum()),
    "unimax": (300, 300, 120),
    # caps 600, 450, 150 of 1200
    "oversample": (360, 270, 90),
}


@pytest.mark.parametrize("name", DISJOINT)
def test_rates_on_disjoint_tasks(name: str) -> None:
    present, _ = table("disjoint")
    found = present[built(name, "disjoint").epoch(0)].sum(0)
    assert np.abs(found - np.array(DISJOINT[name])).max() <= 1


def test_schedules_run_from_end_to_end() -> None:
    present, _ = table("disjoint")
    curriculum, annealed = built("curriculum", "disjoint"), built("annealed", "disjoint")
    assert present[curriculum.epoch(0)].sum(0).tolist() == [240, 240, 240]
    assert present[curriculum.epoch(4)].sum(0).tolist() == [600, 90, 30]
    assert present[annealed.epoch(0)].sum(0).tolist() == [600, 90, 30]
    assert present[annealed.epoch(4)].sum(0)[2] > 150


def test_overlapping_tasks_come_as_near_as_rows_allow() -> None:
    present, _ = table("overlapping")
    natural = present[built("proportional", "overlapping").epoch(0)].sum(0)
    balanced = present[built("balanced", "overlapping").epoch(0)].sum(0)
    assert balanced[0] / balanced[2] < 0.3 * natural[0] / natural[2]


def test_rare_classes_come_more_often() -> None:
    _, classes = table("full")
    present, _ = table("full")
    rare = [
        classes[
            CATALOGUE.build("class_balanced", task="a", beta=b).build(present, classes, ("a", "b", "c")).epoch(0),
            0,
        ].mean()
        for b in (0.0, 0.99, 0.9999)
    ]
    assert rare[0] == pytest.approx(0.1, abs=0.002)
    assert rare[0] < rare[1] < rare[2]
    assert rare[2] == pytest.approx(0.5, abs=0.02)


@settings(max_examples=100, deadline=None)
@given(
    weights=st.lists(st.floats(0.01, 100.0), min_size=1, max_size=8),
    total=st.integers(1, 500),
    cap=st.none() | st.floats(1.0, 5.0),
)
def test_quotas_are_whole_and_sum_up(weights: list[float], total: int, cap: float | None) -> None:
    counts = np.full(len(weights), float(max(total // len(weights) + 1, 1)))
    found = quotas(np.array(weights), counts, total, cap)
    assert found.sum() == total
    assert (found >= 0).all()
    if cap is not None:
        assert (found <= counts * cap + 1).all()


def test_bad_input_is_a_sentence() -> None:
    present, _ = table("full")
    with pytest.raises(DataError, match="no task has a label"):
        CATALOGUE.build("balanced").build(np.zeros((4, 2), bool))
    with pytest.raises(ConfigError, match="needs class codes"):
        CATALOGUE.build("class_balanced", task="a").build(present)
    misspelt = CATALOGUE.build("class_balanced", task="abd")
    misspelt.build(present, present.astype(np.int64), ("abc", "b", "c"))
    with pytest.raises(ConfigError, match="Did you mean 'abc'"):
        misspelt.epoch(0)
    with pytest.raises(ConfigError, match="'temperature' must be positive"):
        CATALOGUE.build("temperature", temperature=0.0)
