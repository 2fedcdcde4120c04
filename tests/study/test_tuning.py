"""Searches: they find a known optimum better than chance, ask the same again, and are scored as declared."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from sharewise.errors import ConfigError
from sharewise.models.alternatives import CATALOGUE
from sharewise.models.space import OneOf, Range
from sharewise.records import Phase, RunRecord, Status
from sharewise.study import tuning
from sharewise.study.choose import best_trial, trial_values
from sharewise.study.file import StudyFile
from sharewise.study.tuning import Search
from sharewise.tasks import Task, TaskKind, TaskSet
from sharewise.training.recipe import SPACE, Tuned, trial

pytest.importorskip("optuna")

DEFAULT = {"lr": 2e-3, "weight_decay": 1e-2, "dropout": 0.1}


def worth(params: dict[str, Any]) -> float:
    """A bowl with its top at lr 6e-3, weight decay 1e-3 and dropout 0.3."""
    far = math.log10(params["lr"] / 6e-3) ** 2 + 0.3 * math.log10(params["weight_decay"] / 1e-3) ** 2
    return -far - (params["dropout"] - 0.3) ** 2


def best(sampler: str, seed: int, n: int = 32) -> float:
    search, found = Search(DEFAULT, SPACE, sampler, seed), []
    for _ in range(n // tuning.AT_ONCE):
        values = [worth(p) for p in search.ask(tuning.AT_ONCE)]
        search.tell(values)
        found += values
    return max(found)


def test_tpe_beats_random_draws_on_a_bowl() -> None:
    random = [
        max(
            worth({"lr": t.lr, "weight_decay": t.weight_decay, "dropout": t.dropout})
            for t in (trial(i, s) for i in range(32))
        )
        for s in range(12)
    ]
    assert np.mean([best("tpe", s) for s in range(12)]) > np.mean(random)


@pytest.mark.parametrize("sampler", ["tpe", "qmc"])
def test_the_default_comes_first_and_a_resumed_search_asks_the_same(sampler: str) -> None:
    first, again = (Search(DEFAULT, SPACE, sampler, 5) for _ in range(2))
    for _ in range(3):
        a, b = first.ask(4), again.ask(4)
        assert a == b
        first.tell([worth(p) for p in a])
        again.tell([worth(p) for p in b])
    assert Search(DEFAULT, SPACE, sampler, 6).ask(1) == [DEFAULT]


def test_a_failed_trial_is_told_and_the_search_goes_on() -> None:
    search = Search(DEFAULT, SPACE, "tpe", 0)
    search.ask(3)
    search.tell([0.1, None, 0.2])
    assert len(search.ask(2)) == 2


@pytest.mark.parametrize("name", CATALOGUE)
def test_the_ranges_of_an_alternative_hold_its_default_and_its_draws(name: str) -> None:
    kind = CATALOGUE.load(name)
    for number in range(30):
        drawn = kind.search_space(number, 1)
        for key, what in kind.space().items():
            if isinstance(what, OneOf):
                assert drawn[key] in what.values
            else:
                assert what.low <= drawn[key] <= what.high, (key, drawn[key])
    asked = Search(kind.search_space(0, 1), kind.space(), "tpe", 0).ask(3)
    assert asked[0] == kind.search_space(0, 1)
    assert all(set(p) == set(asked[0]) for p in asked)


def test_the_neural_space_is_that_of_the_draws() -> None:
    assert set(SPACE) == set(Tuned.__dataclass_fields__)
    lr = SPACE["lr"]
    assert isinstance(lr, Range)
    assert all(lr.low <= trial(i, 0).lr <= lr.high for i in range(50))


# --- objectives -------------------------------------------------------------------------------------------

TASKS = TaskSet(tuple(Task(n, TaskKind.BINARY, (n,), "auroc", classes=("n", "y")) for n in ("a", "b")))


def run(number: int, a: float, b: float) -> RunRecord:
    return RunRecord(
        f"r{number}", "together", "together", Phase.TUNE, ("a", "b"), 0, number, {}, Status.DONE,
        validation={"a": a, "b": b},
    )  # fmt: skip


def test_what_a_trial_is_worth_is_what_was_declared() -> None:
    runs = [run(0, 0.8, 0.8), run(1, 0.96, 0.72), run(2, 0.82, 0.81)]
    assert best_trial(runs, TASKS) == 1
    assert best_trial(runs, TASKS, "worst") == 2
    assert best_trial(runs, TASKS, {"b": 1.0}) == 2
    values = trial_values(runs, TASKS, {"a": 3.0, "b": 1.0})
    assert values[1] == pytest.approx((3 * 0.2 - 0.1) / 4)
    assert trial_values(runs, TASKS, {"other": 1.0}) == trial_values(runs, TASKS)


# --- the study file ---------------------------------------------------------------------------------------


def test_the_study_file_says_how_to_search() -> None:
    said = {"data": "t.csv", "tasks": ["a"]}
    assert StudyFile.from_dict(said).tuning.sampler == "random"
    assert StudyFile.from_dict({**said, "tuning": "tpe"}).tuning.sampler == "tpe"
    made = StudyFile.from_dict({**said, "tuning": {"sampler": "tpe", "objective": {"a": 2.0}}})
    assert StudyFile.from_dict(made.to_dict()) == made
    with pytest.raises(ConfigError):
        StudyFile.from_dict({**said, "tuning": {"sampler": "tpee"}})


def test_a_sampler_without_its_package_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    tuning.available("random")
    monkeypatch.setattr(tuning, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"sharewise\[tune\]"):
        tuning.available("tpe")
    tuning.available("random")
