"""What convicted the causes becomes one candidate of a new revision."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from made_comparisons import comparison

from sharewise.causes import Effect, Ending, Explanation, Remedy, Shift, Trial
from sharewise.plan import Group, Plan
from sharewise.records import Phase
from sharewise.study.design import SINGLE, Wanted, build
from sharewise.study.explain.remedy import Prescription, prescribe
from sharewise.study.file import StudyFile
from sharewise.study.run import Conductor
from sharewise.study.study import Study
from sharewise.tasks import TaskSet

PLAN = Plan("together", (Group("together", ("a", "b", "c", "d")),))


def explained(task: str, remedy: Remedy | None, moved: float = 0.2) -> Explanation:
    """Harmed, and convicted by a change that moved it so far; without a remedy, by none."""
    if remedy is None:
        return Explanation(task, ("a", "b", "c", "d"), Ending.NONE, "", comparison(-0.3))
    trial = Trial("i", "c", "", Effect.REMOVES, "", shift=Shift(moved, 0.1, 0.3, 8.0, 0.005))
    return Explanation(
        task, ("a", "b", "c", "d"), Ending.CAUSE, "", comparison(-0.3), (), (trial,), 0, "a cause", remedy
    )


def test_remedies_are_joined_in_one_candidate() -> None:
    made = prescribe(
        PLAN,
        [
            explained("a", Remedy("wider", architecture={"name": "hard", "width": 256})),
            explained("b", Remedy("earlier", architecture={"name": "hard", "width": 128, "split": {"b": 1}})),
            explained("c", Remedy("longer", recipe={"epochs": 90, "min_steps": 2400})),
            explained("c", Remedy("own epoch", recipe={"checkpoint": "task", "epochs": 60})),
        ],
    )
    assert made is not None
    assert made.groups == (("a", "b", "c", "d"),)
    assert made.architecture == {"name": "hard", "width": 256, "split": {"b": 1}}
    assert made.recipe == {"checkpoint": "task", "epochs": 90, "min_steps": 2400}


def test_of_two_balances_the_one_that_moved_its_task_most_is_taken() -> None:
    equal, surgery = (
        Remedy("equal", balance={}),
        Remedy("pcgrad", balance={"aggregator": {"name": "pcgrad", "params": {}}}),
    )
    made = prescribe(PLAN, [explained("a", equal, 0.3), explained("b", surgery, 0.2)])
    assert made is not None
    assert made.balance == {}
    # Equal weights are said in full: a candidate that says nothing takes the study's own balance.
    assert made.candidate("remedy")["balance"] == {"weighting": "equal"}


def test_a_convicted_partner_and_an_unexplained_task_leave_the_group() -> None:
    made = prescribe(PLAN, [explained("a", Remedy("without b", apart=("b",)))])
    assert made is not None
    assert made.groups == (("a", "c", "d"),)
    made = prescribe(PLAN, [explained("a", None), explained("b", None), explained("c", None)])
    assert made is not None
    assert made.groups == ()


def test_nothing_harmed_is_nothing_to_prescribe() -> None:
    assert prescribe(PLAN, []) is None
    again = Explanation("a", ("a", "b"), Ending.NOT_REPEATED, "", comparison(0.0))
    assert prescribe(PLAN, [again, Explanation("b", (), Ending.NOT_HARMED, "")]) is None


def test_a_prescription_is_a_candidate_of_a_study_file() -> None:
    said = Prescription(
        (("a", "b"),),
        {"name": "hard", "width": 64, "split": {"a": 1}},
        {"scaling": {"name": "running_mean", "params": {}}, "aggregator": {"name": "pcgrad", "params": {}}},
        {"checkpoint": "task"},
    ).candidate("remedy")
    study = StudyFile.from_dict({"data": "t.csv", "tasks": ["a", "b"], "candidates": [said], "revision": 1})
    assert study.candidates[0].recipe.checkpoint == "task"
    assert StudyFile.from_dict(study.to_dict()) == study


def test_a_revision_draws_only_the_confirmation_anew(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(120, 4))
    table = pa.table({"x": x[:, 0], "z": x[:, 1], "a": x[:, 2], "b": x[:, 3]})
    session = Study(table, ["a", "b"], inputs=["x", "z"], budget="quick").session(tmp_path)
    design, prepared, _ = session.design()
    revised = replace(design, record=replace(design.record, revision=1))
    one, two = (Conductor(d, prepared, tmp_path, print) for d in (design, revised))
    group = Group("together", ("a", "b"))

    def ids(conductor: Conductor, phase: Phase) -> str:
        return conductor.run(phase, "neural", "together", group, 0, 1).run_id

    assert ids(one, Phase.TUNE) == ids(two, Phase.TUNE)
    assert ids(one, Phase.SELECT) == ids(two, Phase.SELECT)
    assert ids(one, Phase.CONFIRM) != ids(two, Phase.CONFIRM)


def test_a_candidate_trained_longer_has_a_baseline_trained_longer(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(120, 4))
    table = pa.table({"x": x[:, 0], "z": x[:, 1], "a": x[:, 2], "b": x[:, 3]})
    design = Study(table, ["a", "b"], inputs=["x", "z"], budget="quick").session(tmp_path).design()[0]
    variant = design.variants[SINGLE]
    wanted = (
        Wanted("together", None),
        Wanted("own epochs", None, recipe={"checkpoint": "task"}),
        Wanted("longer", None, recipe={"epochs": 90}),
    )
    made = build(
        name="s", tasks=TaskSet(design.record.tasks), budget=design.budget, seed=0, default=variant, wanted=wanted,
        recipe={}, data_hash="", split_hash="", prefer_fewer_models=False,
    )  # fmt: skip
    assert made.arm("own epochs").alone == SINGLE
    assert made.arm("longer").alone == "single[longer]"
    assert made.variants["single[longer]"].recipe == {"epochs": 90}
    # Single and together are built and trained alike, and so are the two that are trained longer.
    assert len({v.key for v in made.variants.values()}) == 3


def test_what_a_candidate_trains_otherwise_is_its_own(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(120, 4))
    table = pa.table({"x": x[:, 0], "z": x[:, 1], "a": x[:, 2], "b": x[:, 3]})
    said = {"name": "own", "groups": [["a", "b"]], "recipe": {"checkpoint": "task"}, "balance": {"weighting": "equal"}}
    balance = {"weighting": {"name": "static", "weights": {"a": 9.0}}}
    study = Study(table, ["a", "b"], inputs=["x", "z"], budget="quick", candidates=[said], balance=balance)
    design = study.session(tmp_path).design()[0]
    assert design.recipe == {"epochs": 30}
    assert design.variants["own"].recipe == {"checkpoint": "task"}
    assert design.variants["together"].recipe == {}
    # Equal weights said by a candidate stand against another balance of the study.
    assert design.variants["own"].balance == {}
    assert design.variants["together"].balance != {}
