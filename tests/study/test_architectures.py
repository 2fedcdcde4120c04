"""Architectures are tried on a study's tasks before anything is trained."""

from __future__ import annotations

from pathlib import Path

import pytest

from sharewise.errors import ConfigError
from sharewise.plan import Choice
from sharewise.study import architectures
from sharewise.study.architectures import Asked
from sharewise.study.design import BUDGETS, SINGLE, Variant, Wanted, describe_model
from sharewise.study.design import build as build_design
from sharewise.study.file import StudyFile, load
from sharewise.tasks import Task, TaskKind, TaskSet

TASKS = TaskSet(tuple(Task(name, TaskKind.REGRESSION, (name,), "rmse") for name in ("level", "rate")))


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        (Choice("mmoe", {"n_experts": 0}), "Experts, their width and their depth are at least 1.*candidate 'x'"),
        (Choice("hard", {"split": {"levle": 1}}), "candidate 'x' names 'levle', which is none.*level"),
        (Choice("hard", {"split": {"level": 7}}), "at most the depth 2"),
        (Choice("soft", {"tie": "rope"}), "l2, trace.*'rope'"),
        (Choice("ple", {"levels": {"level": 2}}), "one value for all tasks"),
    ],
)
def test_what_cannot_be_built_is_said_before_training(choice: Choice, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        architectures.check([Asked("candidate 'x'", choice)], TASKS)


def test_architectures_that_do_not_differ_for_one_task_share_a_baseline() -> None:
    wanted = [
        Wanted("together", None),
        Wanted("split", None, Choice("hard", {"split": 1})),
        Wanted("soft", None, Choice("soft", {"strength": 0.1})),
        Wanted("experts", None, Choice("mmoe")),
    ]
    design = build_design(
        name="x",
        tasks=TASKS,
        budget=BUDGETS["quick"],
        seed=0,
        default=Variant(Choice("hard"), {}),
        wanted=tuple(wanted),
        recipe={},
        data_hash="",
        split_hash="",
        prefer_fewer_models=False,
    )
    alone = {arm.name: arm.alone for arm in design.candidates}
    assert alone == {"together": SINGLE, "split": SINGLE, "soft": SINGLE, "experts": "single[experts]"}


def test_a_candidate_without_groups_takes_all_tasks() -> None:
    said = {"data": "x.csv", "tasks": ["a", "b"], "candidates": [{"name": "c", "architecture": {"name": "mmoe"}}]}
    study = StudyFile.from_dict(said)
    tasks = TaskSet(tuple(Task(name, TaskKind.REGRESSION, (name,), "rmse") for name in ("a", "b")))
    assert study.plan(study.candidates[0], tasks).groups[0].tasks == ("a", "b")
    with pytest.raises(ConfigError, match="differs from 'together'"):
        StudyFile.from_dict({**said, "candidates": [{"name": "c"}]})


def test_a_layer_to_attach_to_is_hard_sharings() -> None:
    tasks = TaskSet((TASKS.tasks[0], Task("low", TaskKind.REGRESSION, ("low",), "rmse", at_layer=1)))
    architectures.check([Asked("the study", Choice("hard"))], tasks)
    with pytest.raises(ConfigError, match="'low' is attached to a layer, and candidate 'x' is 'mmoe'"):
        architectures.check([Asked("candidate 'x'", Choice("mmoe"))], tasks)


def test_an_architecture_is_described_with_what_ties_its_tasks() -> None:
    assert describe_model(Variant(Choice("soft"), {})) == "soft sharing (width 128, depth 2, tie l2, strength 0.01)"
    assert describe_model(Variant(Choice("hard", {"split": {"a": 1}}), {})) == "hard sharing (split 1 for a)"


YAML = """\
data: t.csv
tasks: [level, rate, {name: mark, by: school}]
architecture:
  name: hard
  split:
    level: 1
    SPLIT
candidates:
  - name: experts
    architecture: {name: mmoe, n_experts: EXPERTS}
"""


def study_file(folder: Path, split: str = "rate: 1", experts: str = "2") -> StudyFile:
    path = folder / "study.yaml"
    path.write_text(YAML.replace("SPLIT", split).replace("EXPERTS", experts))
    return load(path)


def test_a_task_that_no_study_has_is_told_by_its_line_before_the_table_is_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as told:
        study_file(tmp_path, split="rat: 1")
    assert str(told.value) == (
        f"{tmp_path / 'study.yaml'}:7: 'split' of 'hard' names tasks of the study; however, the study names 'rat', "
        "which is none. Did you mean 'rate'?"
    )
    # What a grouped task stands for is known when the table is.
    study_file(tmp_path, split="mark@east: 1")


@pytest.mark.parametrize(
    ("split", "experts", "line"), [("rate: 1", "0", 10), ("rate: 9", "2", 3), ("mark@west: 1", "2", 7)]
)
def test_what_cannot_be_built_names_its_line(tmp_path: Path, split: str, experts: str, line: int) -> None:
    with pytest.raises(ConfigError) as told:
        study_file(tmp_path, split, experts).check_architectures(TASKS, ["mark@east"])
    (problem,) = told.value.problems
    assert (problem.file, problem.line) == (str(tmp_path / "study.yaml"), line)


def test_a_task_that_the_data_set_aside_may_be_named(tmp_path: Path) -> None:
    study_file(tmp_path, split="mark: 1").check_architectures(TASKS, ["mark@east"])


def test_a_task_attached_too_high_names_its_line_where_no_architecture_is_written(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text("data: t.csv\ntasks:\n  - level\n  - name: low\n    at_layer: 9\n")
    tasks = TaskSet((TASKS.tasks[0], Task("low", TaskKind.REGRESSION, ("low",), "rmse", at_layer=9)))
    with pytest.raises(ConfigError, match=r"study\.yaml:5: A task is attached at a layer from 1 to the depth 2"):
        load(path).check_architectures(tasks, [])
