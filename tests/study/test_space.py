"""What tuning searches: equal for single and shared models where it applies, and it changes the model that is built."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from sharewise.errors import ConfigError
from sharewise.models.sharing import CATALOGUE
from sharewise.models.space import OneOf, Range
from sharewise.plan import Choice
from sharewise.records import Phase, RunRecord, from_json
from sharewise.study.choices import ARCHITECTURE
from sharewise.study.design import Variant
from sharewise.study.file import StudyFile
from sharewise.study.space import BALANCES, SEARCHED, SPLIT, TUNED, WEIGHT, applied, beyond, drawn, further
from sharewise.study.study import Study
from sharewise.tasks import Task, TaskKind

TASKS = [Task(n, TaskKind.REGRESSION, (n,), "rmse") for n in ("a", "b", "c")]
PLAIN = Variant(Choice("hard", {"width": 32}), {})


def test_one_task_and_three_draw_the_same_where_both_have_it() -> None:
    (d1, s1), (d3, s3) = further(SEARCHED, PLAIN, TASKS[:1]), further(SEARCHED, PLAIN, TASKS)
    assert set(s3) - set(s1) == {SPLIT, "balance", *(WEIGHT + t.name for t in TASKS)}
    assert all(s1[name] == s3[name] for name in s1)
    for number in range(6):
        one, three = drawn(d1, s1, number, 3), drawn(d3, s3, number, 3)
        assert one == {name: three[name] for name in one}
    assert drawn(d3, s3, 0, 3) == d3


def test_draws_stay_in_their_ranges_and_reach_all_of_them() -> None:
    default, space = further(SEARCHED, PLAIN, TASKS)
    seen = [drawn(default, space, number, 1) for number in range(200)]
    for name, what in space.items():
        values = {s[name] for s in seen}
        if isinstance(what, OneOf):
            assert values == set(what.values)
        else:
            assert isinstance(what, Range)
            assert what.low <= min(values) < 1 < max(values) <= what.high


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_architecture_is_built_at_every_size_it_is_tried_at(name: str) -> None:
    variant = Variant(Choice(name, {}), {})
    default, space = further(("architecture",), variant, TASKS)
    assert {"width", "depth"} <= set(space) or name == "ple"
    assert applied(variant, default).architecture.params == {k: v for k, v in default.items() if k != SPLIT}
    known = {p.name for p in ARCHITECTURE.parameters(name)}
    for number in range(12):
        choice = applied(variant, drawn(default, space, number, 0)).architecture
        assert choice.params.keys() <= known
        CATALOGUE.build(choice.name, n_in=5, n_slots=3, **choice.params)


def test_loss_weights_sum_to_the_tasks_and_count_where_losses_are_weighed_equally() -> None:
    params = {WEIGHT + "a": 4.0, WEIGHT + "b": 1.0, WEIGHT + "c": 1.0}
    made = applied(PLAIN, params).balance["weighting"]
    assert made == {"name": "static", "params": {"weights": {"a": 2.0, "b": 0.5, "c": 0.5}}}
    assert applied(PLAIN, {**params, "balance": "upgrad"}).balance == {"aggregator": {"name": "upgrad", "params": {}}}
    assert applied(PLAIN, dict.fromkeys(params, 1.0)).balance == {}


def test_what_an_arm_declares_is_not_searched_away() -> None:
    own = Variant(Choice("hard", {"split": 1}), {"aggregator": {"name": "nash", "params": {}}})
    _, space = further(SEARCHED, own, TASKS)
    assert not {SPLIT, "balance"} & set(space)
    assert not [name for name in space if name.startswith(WEIGHT)]
    assert space["depth"] == OneOf((1, 2, 3))
    static = {"weighting": {"name": "static", "params": {"weights": {"a": 3.0}}}}
    default, space = further(SEARCHED, Variant(Choice("hard", {}), static), TASKS)
    assert default[WEIGHT + "a"] == 3.0
    assert "balance" not in space


def test_every_balance_that_is_tried_is_one_a_study_file_may_name() -> None:
    said = {"data": "t.csv", "tasks": ["a", "b"]}
    for name in BALANCES.values:
        StudyFile.from_dict({**said, "balance": name})


def test_the_study_file_names_what_is_searched() -> None:
    said = {"data": "t.csv", "tasks": ["a"]}
    made = StudyFile.from_dict({**said, "tuning": {"space": ["architecture", "weights"]}})
    assert made.tuning.plain()["space"] == ["architecture", "weights"]
    assert "space" not in StudyFile.from_dict(said).tuning.plain()
    with pytest.raises(ConfigError, match="architecture, optimiser, weights, balance"):
        StudyFile.from_dict({**said, "tuning": {"space": ["arch"]}})


def small_study(**tuning: Any) -> Study:
    random = np.random.default_rng(0)
    x = random.normal(size=(240, 3))
    y = x @ random.normal(size=(3, 3)) + 0.3 * random.normal(size=(240, 3))
    table = pa.table({**{f"x{i}": x[:, i] for i in range(3)}, **{f"y{i}": y[:, i] for i in range(3)}})
    return Study(
        table,
        [{"name": f"y{i}", "kind": "regression"} for i in range(3)],
        alternatives=(),
        architecture={"name": "hard", "width": 8},
        search="off",
        budget={"level": "quick", "trials": 4, "epochs": 2, "seeds": 2},
        tuning=tuning,
    )


def test_a_study_trains_ships_and_confirms_what_its_trials_drew(tmp_path: Path) -> None:
    result = small_study(space=list(SEARCHED)).run(tmp_path / "run", workers=1)
    assert len(result.decisions) == 3
    records = [from_json(RunRecord, p.read_bytes()) for p in (tmp_path / "run" / "runs").glob("*.json")]
    tuned = [r for r in records if r.phase is Phase.TUNE]
    assert len(tuned) == 4 * 4
    for arm in ("single", "together"):
        sizes = {r.trial: r.n_parameters for r in tuned if r.arm == arm}
        assert len(set(sizes.values())) > 2, "trials have models of other sizes"
    shared = {r.trial: r.params for r in tuned if r.arm == "together"}
    for record in tuned:
        same = {n: shared[record.trial][n] for n in record.params}
        assert record.params == same, "trial n is the same trial for one task and for all"
        assert len(beyond(record.params)) > len(TUNED)
