"""From a balance section to the arms of a design."""

from __future__ import annotations

from typing import Any

from sharewise.plan import Choice
from sharewise.study import balancing
from sharewise.study.design import BUDGETS, Design, Variant, Wanted, build, swept
from sharewise.tasks import Task, TaskKind, TaskSet

TASKS = TaskSet(
    (
        Task("a", TaskKind.REGRESSION, ("a",), "rmse"),
        Task("s@1", TaskKind.REGRESSION, ("s",), "rmse", family="s"),
        Task("s@2", TaskKind.REGRESSION, ("s",), "rmse", family="s"),
    )
)
DEFAULT = Variant(Choice("hard"), {})


def static(weights: dict[str, float]) -> dict[str, Any]:
    return {"weighting": {"name": "static", "params": {"weights": weights}}}


def test_a_grouped_declaration_stands_for_its_tasks_and_those_set_aside_are_left_out() -> None:
    said = {**static({"a": 1.0, "s": 2.0, "gone": 3.0}), "rates": {"scales": {"s@2": 0.5}, "decay": "cosine"}}
    found = balancing.resolved(said, TASKS)
    assert found["weighting"]["params"]["weights"] == {"a": 1.0, "s@1": 2.0, "s@2": 2.0}
    assert found["rates"] == {"scales": {"s@2": 0.5}, "decay": "cosine"}
    assert said["weighting"]["params"]["weights"]["s"] == 2.0


def design_of(*wanted: Wanted) -> Design:
    return build(
        name="x",
        tasks=TASKS,
        budget=BUDGETS["quick"],
        seed=0,
        default=DEFAULT,
        wanted=(Wanted("together", None), *wanted),
        recipe={},
        data_hash="",
        split_hash="",
        prefer_fewer_models=False,
        describe={"lightgbm": "LightGBM", "linear": "linear"},
    )


def test_a_sweep_is_arms_with_equal_trials() -> None:
    everything = Wanted("sweep", (TASKS.names,))
    made = swept(everything, {"sweep": 3}, DEFAULT, 1, 3)
    assert [w.name for w in made] == ["sweep 1", "sweep 2", "sweep 3"]
    design = design_of(*made)
    assert {arm.trials for arm in design.record.arms} == {BUDGETS["quick"].trials}
    draws = [design.variants[w.name].balance["weighting"]["params"]["weights"] for w in made]
    assert all(abs(sum(d.values()) - 3) < 0.01 for d in draws)
    assert len({tuple(d.values()) for d in draws}) == 3
    assert all(max(d.values()) > 1.01 for d in draws), "equal weights are the arm 'together' already"
    assert "static weights" in design.arm("sweep 1").model


def test_a_sweep_of_some_tasks_begins_with_equal_weights() -> None:
    pair = Wanted("pair", (("s@1", "s@2"),))
    (first,) = swept(pair, {"sweep": 1}, DEFAULT, 1, 3)
    assert first.balance == static({"s@1": 1.0, "s@2": 1.0})
    made = swept(pair, {"sweep": 3, "sampler": {"name": "balanced", "params": {}}}, DEFAULT, 1, 3)
    assert [w.balance for w in made] == [
        {"sampler": {"name": "balanced", "params": {}}, **static({"s@1": x, "s@2": y})}
        for x, y in ((1.0, 1.0), (1.5, 0.5), (0.5, 1.5))
    ]


def test_a_candidate_may_go_back_to_equal_weights() -> None:
    default = Variant(Choice("hard"), {"aggregator": {"name": "nash", "params": {}}})
    design = build(
        name="x",
        tasks=TASKS,
        budget=BUDGETS["quick"],
        seed=0,
        default=default,
        wanted=(Wanted("plain", None, balance={}), Wanted("same", None)),
        recipe={},
        data_hash="",
        split_hash="",
        prefer_fewer_models=False,
        describe={"lightgbm": "LightGBM", "linear": "linear"},
    )
    assert design.variants["plain"].balance == {}
    assert design.variants["same"].balance == default.balance
