"""The search inside a study: what it plans, what it finds on a planted table, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from sharewise.errors import ConfigError
from sharewise.grouping.find import Proposal
from sharewise.records import GroupingRecord, Phase, RunRecord, from_json, write_atomic
from sharewise.report.load import load
from sharewise.study.result import StudyResult
from sharewise.study.run import Conductor
from sharewise.study.search import PlanSearch
from sharewise.study.study import Study

N_TASKS = 6


def planted() -> pa.Table:
    """Two clusters of three tasks, each cluster made of two hidden features of its own; a row has one cluster's label
    of one task only, so that a cluster's tasks together see three times the rows that one of them sees."""
    random = np.random.default_rng(2)
    n_train, n_validation, n = 540, 540, 1500
    x = random.normal(size=(n, 4))
    columns: dict[str, Any] = {f"x{i}": x[:, i] for i in range(4)}
    for k in range(N_TASKS):
        own = np.random.default_rng(100 + k)
        w = np.random.default_rng(k % 2).normal(size=(4, 2))
        u = x @ (w / np.linalg.norm(w, axis=0))
        y = (np.abs(u[:, 0]) - 0.8) * (1 + own.random()) + 0.5 * np.tanh(3 * u[:, 1]) * own.normal()
        y = y / y.std() + 0.2 * own.normal(size=n)
        absent = (np.arange(n) % N_TASKS != k) & (np.arange(n) < n_train + n_validation)
        columns[f"t{k}"] = pa.array(y, mask=absent)
    columns["split"] = ["train"] * n_train + ["validation"] * n_validation + ["test"] * (n - n_train - n_validation)
    return pa.table(columns)


def study(search: Mapping[str, Any] | str | None = None, **other: Any) -> Study:
    said: dict[str, Any] = {
        "data": planted(),
        "tasks": [{"name": f"t{k}", "kind": "regression"} for k in range(N_TASKS)],
        "split": {"column": "split"},
        "inputs": [f"x{i}" for i in range(4)],
        "architecture": {"name": "hard", "width": 32},
        "budget": {"level": "quick", "trials": 1, "epochs": 60, "seeds": 2},
    }
    return Study(**(said | other | ({} if search is None else {"search": search})))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, StudyResult, list[str]]:
    out, said = tmp_path_factory.mktemp("search") / "run", []
    result = study().run(out, workers=1, log=said.append)
    return out, result, said


@pytest.mark.slow
def test_the_found_plan_beats_all_together_on_a_planted_table(finished: tuple[Path, StudyResult, list[str]]) -> None:
    out, result, said = finished
    assert any(line.startswith("Search for a plan (surrogate): 2") for line in said), "the cost is said beforehand"
    record = from_json(GroupingRecord, (out / "grouping.json").read_bytes())
    assert record.plans, record.reason
    shared = {tuple(sorted(g)) for g in record.plans[0].groups if len(g) > 1}
    assert shared <= {("t0", "t2", "t4"), ("t1", "t3", "t5")} or record.plans[0].gain > 0
    assert result.summary.selected in {p.name for p in record.plans}
    promised = result.summary.promises
    assert set(promised) == {"together", *(p.name for p in record.plans)}
    assert max(promised, key=lambda name: promised[name]) == result.summary.selected
    helps = np.array(record.helps)
    kin = np.arange(N_TASKS)[:, None] % 2 == np.arange(N_TASKS) % 2
    off = ~np.eye(N_TASKS, dtype=bool)
    assert helps[kin & off].mean() > helps[~kin].mean()


@pytest.mark.slow
def test_the_search_stays_within_its_budget_and_is_frozen_before(finished: tuple[Path, StudyResult, list[str]]) -> None:
    out, _, _ = finished
    design = json.loads((out / "design.json").read_text())
    assert design["search"]["models"] <= 3 * N_TASKS + 20
    assert "found" not in {arm["name"] for arm in design["arms"]}
    records = [from_json(RunRecord, path.read_bytes()) for path in (out / "runs").glob("*.json")]
    neural = [r for r in records if r.arm not in ("lightgbm", "linear") and r.phase is not Phase.CONFIRM]
    assert len(neural) <= 3 * N_TASKS + 20
    assert sum(r.phase is Phase.SEARCH for r in records) == len(design["search"]["groups"])


@pytest.mark.slow
def test_a_resumed_search_finds_the_same_and_the_report_shows_it(finished: tuple[Path, StudyResult, list[str]]) -> None:
    out, _, _ = finished
    names = ("plans.json", "grouping.json", "verdicts.json", "decisions.json", "design.json")
    before = {name: (out / name).read_bytes() for name in names}
    for path in [*out.glob("runs/search-*")][::2]:
        path.unlink()
    for name in names[:-1]:
        (out / name).unlink()
    study().run(out, workers=2)
    assert {name: (out / name).read_bytes() for name in names} == before
    records = load(out)
    assert not records.missing
    assert records.grouping is not None
    assert records.confirmed in records.arms
    assert "Who helps whom" in (out / "report.html").read_text(encoding="utf-8")


def design_of(search: Mapping[str, Any] | str, tmp_path: Path, **other: Any) -> Any:
    return study(search, **other).session(tmp_path).design()[0]


def test_limits_on_size_are_counted_in_models(tmp_path: Path) -> None:
    single = design_of({"max_latency": 1.0}, tmp_path).record.search
    assert single.max_models == 1
    assert design_of({"max_latency": 2.1}, tmp_path).record.search.max_models == 2
    assert design_of({"max_parameters": 1e9, "max_models": 4}, tmp_path).record.search.max_models == 4


def test_a_limit_in_milliseconds_is_set_against_what_this_machine_takes(tmp_path: Path) -> None:
    large = design_of({"max_latency": "60 s"}, tmp_path).record.search
    assert large.max_models is None, "there is room for each task alone"
    took = large.latency
    assert took.whole > 0
    assert 0 < took.alone < 5 * took.whole
    slow = replace(took, alone=took.whole)
    write_atomic(tmp_path / "design.json", json.dumps({"search": {"latency": asdict(slow)}}))
    again = design_of({"max_latency": f"{slow.read + 3.5 * slow.whole:.6f} ms"}, tmp_path).record.search
    assert again.latency == slow, "a resumed study does not measure again"
    assert again.max_models == 3
    with pytest.raises(ConfigError, match=r"one model for all tasks takes .* ms a row, of which"):
        design_of({"max_latency": "0.0001 ms"}, tmp_path)


@pytest.mark.parametrize("said", ["fast", "3 m", -1, 0, "0 ms", True])
def test_a_latency_that_is_none_is_refused(said: object, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="max_latency: 25 ms"):
        design_of({"max_latency": said}, tmp_path)


def test_a_found_plan_says_how_its_losses_are_weighed(tmp_path: Path) -> None:
    design, prepared, _ = study(balance="dwa").session(tmp_path).design()
    looking = PlanSearch(Conductor(design, prepared, tmp_path, print), print)
    arm = looking._arm("found", Proposal(((0, 2), (1,), (3,), (4,), (5,)), 1.0, 1.0, 0.1))
    assert arm.weights == design.arm("together").weights == "dwa"
    assert arm.plan.group_of("t2").tasks == ("t0", "t2")


def test_what_must_not_share_is_never_trained_together(tmp_path: Path) -> None:
    record = design_of({"apart": [["t0", "t1"]], "together": [["t2", "t3"]]}, tmp_path).record.search
    assert record.groups
    assert not any({"t0", "t1"} <= set(g) for g in record.groups)
    assert record.together == (("t2", "t3"),)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"together": [["t0", "t1"]], "apart": [["t0", "t1"]]}, "must ship together and must not share"),
        ({"apart": [["t0", "t1", "t2"]], "max_models": 2}, "3 tasks must not share with one another"),
        ({"together": [["t0", "tt1"]]}, "'tt1' is none"),
        ({"apart": [["t0", "t0"]]}, "'t0' stands twice in one"),
        ({"max_parameters": 5}, "one model for all tasks has"),
        ({"max_latency": 0.5}, "less than one model for all tasks"),
        ({"runs": 9}, "needs at least 16 models, each task alone included; however, its budget is 9"),
        ({"method": "higher_order", "runs": 20}, "set runs|Set runs"),
    ],
)
def test_a_search_that_cannot_be_is_refused_before_anything_is_trained(
    said: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        design_of(said, tmp_path)


@pytest.mark.parametrize("n_tasks", [1, 2])
def test_with_fewer_than_three_tasks_there_is_nothing_to_search(n_tasks: int, tmp_path: Path) -> None:
    tasks = [{"name": f"t{k}", "kind": "regression"} for k in range(n_tasks)]
    design = design_of({}, tmp_path, tasks=tasks)
    assert design.record.search is None
    assert design_of("off", tmp_path).record.search is None


def test_auxiliary_tasks_are_no_part_of_the_plans_searched_for(tmp_path: Path) -> None:
    tasks = [{"name": f"t{k}", "kind": "regression", "auxiliary": k == 5} for k in range(N_TASKS)]
    record = design_of({}, tmp_path, tasks=tasks).record.search
    assert record.models <= 3 * 5 + 20
    assert {t for g in record.groups for t in g} == {f"t{k}" for k in range(5)}


@pytest.mark.parametrize("auxiliary", [False, True])
def test_together_counts_as_tried_unless_an_auxiliary_task_makes_it_another_plan(
    auxiliary: bool, tmp_path: Path
) -> None:
    tasks = [{"name": f"t{k}", "kind": "regression", "auxiliary": auxiliary and k == 5} for k in range(N_TASKS)]
    design, prepared, _ = study({}, tasks=tasks).session(tmp_path).design()
    looking = PlanSearch(Conductor(design, prepared, tmp_path, print), print)
    assert looking._tried() == ([] if auxiliary else [(tuple(range(N_TASKS)),)])


@pytest.mark.parametrize("alternatives", [["linear"], []])
def test_the_announced_runs_hold_for_any_plan_that_may_be_found(alternatives: list[str], tmp_path: Path) -> None:
    made = study({}, alternatives=alternatives, budget={"level": "quick", "trials": 2}).session(tmp_path).design()[0]
    record, search = made.record, made.record.search
    # Tuned: single models, 'together', alternatives, sampled groups once, the plans found; then confirmed: single
    # models, a plan of pairs, the alternative that is best for each task; of the last two up to ten runs, not three.
    tuned = 2 * (N_TASKS + 1 + len(alternatives) * N_TASKS) + len(search.groups) + 2 * search.plan_models
    confirmed = N_TASKS + N_TASKS // 2 + len(alternatives) * N_TASKS
    assert record.planned_runs >= tuned + 3 * confirmed
    assert record.further_runs >= 7 * (N_TASKS + N_TASKS // 2)
