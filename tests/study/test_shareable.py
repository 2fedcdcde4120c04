"""Tasks with no input in common: found out from what they declare and what is filled, kept apart, and said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from sharewise.errors import ConfigError
from sharewise.plan import Group
from sharewise.study.advise import advise
from sharewise.study.file import StudyFile
from sharewise.study.shareable import families, learnt_first, said, strangers, together
from sharewise.study.study import Study
from sharewise.tables.read import read


def known(**inputs: str) -> dict[str, frozenset[str]]:
    return {task: frozenset(read) for task, read in inputs.items()}


def test_tasks_are_tied_by_inputs_by_way_of_others_too() -> None:
    chain = known(a="xy", b="yz", c="z", d="w")
    assert families(chain) == (("a", "b", "c"), ("d",))
    assert strangers(chain) == (("a", "c"), ("a", "d"), ("b", "d"), ("c", "d"))
    assert together(chain) == (("a", "b", "c"),)
    assert together(known(a="x", b="x")) is None
    assert together(known(a="x", b="y")) == ()
    assert said(known(a="x", b="xy")) == ""
    assert said(known(a="x", b="y", c="z")).startswith("'a' and 'b' read no input in common, nor do 2 more of 3")
    assert "'together' means {a, b, c}; d stays alone" in said(chain)


def study(reads: list[list[str]], **other: Any) -> tuple[Study, dict[str, Any], pa.Table]:
    random = np.random.default_rng(0)
    x = random.normal(size=(200, 4))
    columns = {f"x{i}": x[:, i] for i in range(4)} | {f"y{i}": x @ random.normal(size=4) for i in range(len(reads))}
    tasks = [{"name": f"y{i}", "kind": "regression", "inputs": r} for i, r in enumerate(reads)]
    settings: dict[str, Any] = {
        "tasks": tasks,
        "inputs": [f"x{i}" for i in range(4)],
        "alternatives": (),
        "architecture": {"name": "hard", "width": 4, "depth": 1},
        "budget": {"level": "quick", "trials": 1, "epochs": 1, "seeds": 2},
        **other,
    }
    table = pa.table(columns)
    return Study(table, settings.pop("tasks"), **settings), {"tasks": tasks}, table


TIED = [["x0"], ["x0", "x1"], ["x1"], ["x2", "x3"]]


def test_a_study_leaves_them_apart_by_itself(tmp_path: Path) -> None:
    log: list[str] = []
    design = study(TIED)[0].session(tmp_path, log=log.append).design()[0]
    arm = design.arm("together")
    assert sorted(len(g.tasks) for g in arm.plan.groups) == [1, 3]
    assert any("read no input in common" in line for line in log)
    search = design.record.search
    assert search is not None
    assert {frozenset(p) for p in search.apart} == {
        frozenset(p) for p in (("y0", "y2"), *((f"y{i}", "y3") for i in range(3)))
    }
    for group in search.groups:
        assert {"y0", "y2"} - set(group)
        assert "y3" not in group


@pytest.mark.slow
def test_where_nothing_can_be_shared_every_task_is_trained_alone_and_that_is_said(tmp_path: Path) -> None:
    log: list[str] = []
    made = study([["x0"], ["x1"], ["x2", "x3"]])[0]
    result = made.run(tmp_path / "run", workers=1, log=log.append)
    assert any("No two tasks can share a model, so each is trained alone" in line for line in log)
    assert result.summary.selected is None
    assert all("No two tasks read an input in common" in d.reason for d in result.decisions)
    assert "together" not in {a["name"] for a in json.loads((tmp_path / "run" / "design.json").read_text())["arms"]}
    text = (tmp_path / "run" / "decision.md").read_text(encoding="utf-8")
    assert "no two of them read an input in common" in text


def test_inputs_that_are_empty_on_a_tasks_rows_do_not_count(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    x = random.normal(size=(200, 2))
    first = np.arange(200) < 100
    columns = {"a": pa.array(x[:, 0], mask=~first), "b": pa.array(x[:, 1], mask=first)}
    noise = random.normal(size=200)
    columns |= {"y": pa.array(x[:, 0] + noise, mask=~first), "z": pa.array(x[:, 1] + noise, mask=first)}
    tasks = [{"name": n, "kind": "regression"} for n in "yz"]
    log: list[str] = []
    design = (
        Study(pa.table(columns), tasks, inputs=["a", "b"], alternatives=())
        .session(tmp_path, log=log.append)
        .design()[0]
    )
    assert not design.candidates
    assert any(line.startswith("'y' and 'z' read no input in common") for line in log)


@pytest.mark.parametrize(
    "other",
    [
        {"candidates": [{"name": "odd", "groups": [["y0", "y3"]]}]},
        {"search": {"together": [["y2", "y3"]]}},
    ],
)
def test_wishes_that_ask_for_it_are_refused(other: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"Tasks that share a model read some input in common; however, 'y.' and 'y3'"
    ):
        study(TIED, **other)[0].session(tmp_path).design()


ALL = [["x0"]] * 4


@pytest.mark.parametrize(
    ("kept", "made"),
    [
        ([], [("abcd", "abcd")]),
        ([["a", "b"]], [("acd", "acd"), ("bcd", "b")]),
        ([["a", "b"], ["c", "d"]], [("ac", "ac"), ("bd", "bd")]),
        ([["a", "b", "c"]], [("ad", "ad"), ("bd", "b"), ("cd", "c")]),
        ([["a", "b", "c", "d"]], []),
    ],
)
def test_every_task_learns_first_with_those_it_may_share_with(
    kept: list[list[str]], made: list[tuple[str, str]]
) -> None:
    four = known(a="x", b="x", c="x", d="x")
    found = [("".join(sources), "".join(own)) for sources, own in learnt_first(four, kept)]
    assert found == made


def test_strangers_do_not_learn_together() -> None:
    assert learnt_first(known(a="x", b="x", c="y")) == ((("a", "b"), ("a", "b")),)
    assert learnt_first(known(a="x", c="y")) == ()


def test_models_of_other_kinds_hold_no_two_tasks_that_apart_names(tmp_path: Path) -> None:
    x = np.random.default_rng(3).normal(size=(200, 2))
    table = pa.table({"x0": x[:, 0], "x1": x[:, 1], **{f"b{i}": np.where(x[:, i % 2] > 0, 1, 0) for i in range(4)}})
    limits = {"method": "off", "apart": [["b0", "b1"], ["b0", "b2"], ["b0", "b3"], ["b2", "b3"]]}
    tasks = [{"name": f"b{i}", "kind": "binary"} for i in range(4)]
    made = Study(table, tasks, alternatives=["chain"], search=limits, budget="quick")
    design, _, _ = made.session(tmp_path, workers=1).design()
    assert design.arm("chain").plan.groups == (Group("chain 1", ("b1", "b2")),)


def test_together_holds_no_two_tasks_that_apart_names(tmp_path: Path) -> None:
    four = known(a="x", b="x", c="x", d="x")
    assert together(four, [("a", "b")]) == (("a", "c", "d"),)
    assert together(four, [("a", "b"), ("c", "d")]) == (("a", "c"), ("b", "d"))
    assert together(four, [("a", "b")], [("b", "c"), ("c", "d")]) == (("b", "c", "d"),)
    assert together(known(a="x", b="xy", c="y"), [("a", "b")]) == (("b", "c"),), "a and c have nothing in common"
    log: list[str] = []
    opened = study(ALL, search={"apart": [["y0", "y1"]]})[0].session(tmp_path, log=log.append)
    design = opened.design()[0]
    assert [g.tasks for g in design.arm("together").plan.groups] == [("y0", "y2", "y3"), ("y1",)]
    assert "'together' means {y0, y2, y3}; y1 stays alone, by what 'apart' says." in log


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        (
            {"candidates": [{"name": "odd", "groups": [["y0", "y1"]]}], "search": {"apart": [["y1", "y0"]]}},
            "No model may hold tasks that 'apart' names; however, 'y1' and 'y0' share one in candidate 'odd'",
        ),
        (
            {"search": {"method": "off", "apart": [["y0", "y1", "y2", "y3"]]}},
            "needs two tasks that may share a model; however, 'apart' keeps every two of them apart",
        ),
    ],
)
def test_apart_binds_every_candidate(other: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        study(ALL, **other)[0].session(tmp_path).design()
    assert sentence in str(caught.value)


def test_advise_says_so_beforehand(tmp_path: Path) -> None:
    _, declared, table = study(TIED)
    file = StudyFile.from_dict({"data": "t.csv", "inputs": [f"x{i}" for i in range(4)], **declared})
    answers = {a.question: a for a in advise(file, read(table)).advice}
    found = answers["Do the tasks share their inputs?"]
    assert "have no input in common" in found.answer
    assert "keeps them apart by itself" in found.remedy
