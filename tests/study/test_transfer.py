"""Transfer as an arm of a study: what is planned, what starts from what, what is judged, and who answers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from sharewise.bundle import Bundle
from sharewise.errors import ConfigError
from sharewise.records import Comparison, Decision, Phase
from sharewise.study import challenge, estimate, session, transfer
from sharewise.study.challenge import Challenger, settle, taken_over
from sharewise.study.file import StudyFile
from sharewise.study.run import Conductor
from sharewise.study.study import Study
from sharewise.study.transfer import Transfers, pairs
from sharewise.study.transfer_section import TransferSection
from sharewise.study.work import cost
from sharewise.tasks import Task, TaskKind, TaskSet

BUDGET = {"level": "quick", "trials": 1, "seeds": 2, "epochs": 5}


def plants(n: int = 260) -> pa.Table:
    """Weight follows from height and has few train labels; sick is another matter."""
    random = np.random.default_rng(5)
    x = random.normal(size=(n, 6))
    height = np.tanh(x @ random.normal(size=6)) + 0.2 * random.normal(size=n)
    weight = 2 * height + 0.2 * random.normal(size=n)
    part = np.array(["train", "validation", "test"])[
        np.minimum(np.arange(n) * 4 // (2 * n), 1) + (np.arange(n) % 4 > 2)
    ]
    return pa.table(
        {
            **{f"x{i}": x[:, i] for i in range(6)},
            "part": part,
            "height": height,
            "weight": pa.array(weight, mask=(part == "train") & (random.random(n) < 0.7)),
            "sick": np.where(x[:, 0] > 0, "yes", "no"),
        }
    )


TASKS = ({"name": "height"}, {"name": "weight"}, {"name": "sick", "kind": "binary"})
TRANSFER = {"pretrained": True, "pairs": [["height", "weight"]]}


def study(**other: Any) -> Study:
    said = {"split": {"column": "part"}, "alternatives": [], "search": "off", "transfer": TRANSFER}
    said["architecture"] = {"name": "hard", "width": 16}
    return Study(plants(), TASKS, budget=BUDGET, **{**said, **other})


@pytest.fixture(scope="module", autouse=True)
def short() -> Iterator[None]:
    """What is tested here is who is trained from what, not how well: forty steps a run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "recipe_for", lambda schema, epochs: {"epochs": epochs, "min_steps": 40})
        yield


@pytest.fixture(scope="module")
def done(short: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study in which every transfer takes its task over, so that one of each kind ships."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(challenge, "_objection", lambda one, belief: "")
        out = tmp_path_factory.mktemp("transfer") / "run"
        phases: dict[str, list[int | None]] = {}

        @contextmanager
        def progress(phase: str, total: int | None) -> Iterator[Callable[[int], None]]:
            seen = phases.setdefault(phase, [total])
            yield seen.append

        study().run(out, workers=1, progress=progress)
    (out.parent / "progress.json").write_text(json.dumps(phases))
    return out


def records(out: Path) -> dict[str, Any]:
    return {path.stem: json.loads(path.read_text()) for path in (out / "runs").glob("*.json")}


# --- the runs ---------------------------------------------------------------------------------------------


def test_every_transferred_run_starts_from_a_pretraining_of_its_own(done: Path) -> None:
    found = records(done)
    started = [r for r in found.values() if r["source"]]
    assert started
    for run in started:
        source = found[run["source"]]
        first = {"pretrained": ["height", "weight", "sick"], "from height": ["height"]}
        assert source["phase"] == "pretrain"
        assert source["source"] is None
        assert (source["arm"], source["tasks"]) == (run["arm"], first[run["arm"]])
        assert len(run["tasks"]) == 1
    confirmed = [r for r in started if r["phase"] == "confirm"]
    by_task = {task: {r["source"] for r in confirmed if r["tasks"] == [task]} for task in ("height", "weight", "sick")}
    assert [len(some) for some in by_task.values()] == [2, 2, 2]
    tuned = {r["source"] for r in started if r["phase"] == "tune"}
    assert not tuned & {r["source"] for r in confirmed}, "test rows judge pretraining that no tuning has seen"


def test_progress_knows_how_many_runs_there_will_be(done: Path) -> None:
    phases = json.loads((done.parent / "progress.json").read_text())
    made = {phase: sum(seen) for phase, (_, *seen) in phases.items()}
    assert made == {phase: total for phase, (total, *_) in phases.items()}
    assert made["transfer"] == 2 + 4
    assert made["transfer, confirmation"] >= (1 + 3) * 2


def test_the_time_announced_counts_the_transfers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate, "PATIENCE", -1.0)  # nothing is timed: a run takes what it is counted as
    monkeypatch.setattr(session, "at_most", lambda minutes: f"{minutes!r} minutes")
    minutes = {}
    for key, said_of in (("none", "off"), ("some", TRANSFER)):
        log: list[str] = []
        opened = study(transfer=said_of).session(tmp_path, workers=1, log=log.append)
        design, prepared, _ = opened.design()
        conductor = Conductor(design, prepared, tmp_path, log.append)
        opened._announce(design, conductor, Transfers(conductor))
        (said,) = [line for line in log if " arms, at most " in line]
        minutes[key] = float(said.partition(" minutes")[0].rpartition(" ")[2])
    seconds = {run.group.tasks: cost(run, prepared) for run in conductor.tuning()}
    pretrained, height = seconds["height", "weight", "sick"], seconds[("height",)]
    tuned = sum(seconds[(task,)] for task in ("height", "weight", "sick", "weight"))
    # One pretraining for tuning and two for confirmation; three of the four fine-tunings are confirmed, twice each.
    expected = 3 * pretrained + 3 * height + tuned * (1 + 2 * 3 / 4)
    assert 60 * (minutes["some"] - minutes["none"]) == pytest.approx(expected)


def test_once_runs_are_known_the_time_announced_goes_by_theirs(done: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "about", lambda minutes: f"{minutes!r} minutes")
    design, prepared, _ = study().session(done, workers=1).design()
    said = Transfers(Conductor(design, prepared, done, print)).announce(2)
    assert said.startswith("Transfer: at most 16 runs, ")
    took = {(r["arm"], tuple(r["tasks"])): r["seconds"] for r in records(done).values() if r["phase"] == "tune"}
    height, weight, sick = (took["single", (task,)] for task in ("height", "weight", "sick"))
    first = took["together", ("height", "weight", "sick")] + height
    expected = first * (1 + 2) + (height + weight + sick) * (1 + 2) + weight
    assert float(said.split()[5]) * 60 * 2 == pytest.approx(expected)


def test_every_arm_has_the_same_trials(done: Path) -> None:
    trials: dict[tuple[str, str], int] = {}
    for run in records(done).values():
        if run["phase"] == "tune":
            key = (run["arm"], run["group"])
            trials[key] = trials.get(key, 0) + 1
    assert set(trials.values()) == {1}
    assert {("pretrained", "pretrained:sick"), ("from height", "from height:weight")} <= trials.keys()


def test_only_confirmation_runs_meet_test_rows(done: Path) -> None:
    for name, run in records(done).items():
        with np.load(done / "runs" / f"{name}.npz") as arrays:
            assert any(key.startswith("test/") for key in arrays) == (run["phase"] == "confirm")


# --- the evidence -----------------------------------------------------------------------------------------


def test_scores_are_those_of_the_stored_predictions(done: Path) -> None:
    table = plants()
    test = np.asarray(table["part"]) == "test"
    found = {c["task"]: c for c in json.loads((done / "challenges.json").read_text())}
    assert set(found) == {"height", "weight", "sick"}
    truth = np.asarray(table["weight"])[test]
    c = found["weight"]["verdict"]["comparison"]
    for name, score in zip(c["candidate_runs"], c["candidate_run_scores"], strict=True):
        with np.load(done / "runs" / f"{name}.npz") as arrays:
            expected = np.sqrt(np.mean((arrays["test/0"][:, 0] - truth) ** 2))
        assert score == pytest.approx(expected, rel=1e-5)
    assert len(c["candidate_runs"]) == 2
    own = {s["task"]: s for s in json.loads((done / "scores.json").read_text())}
    assert set(own) == set(found)
    for task, one in own.items():
        compared = found[task]["verdict"]["comparison"]
        assert one["score"] == pytest.approx(compared["baseline_score"], rel=1e-9)
        assert (one["arm"], one["runs"]) == (compared["baseline"], compared["baseline_runs"])
        assert one["low"] < one["score"] < one["high"]


def test_the_bundle_answers_as_the_judged_run_did(done: Path) -> None:
    bundle = Bundle.load(done / "bundle")
    decisions = {d["task"]: d for d in json.loads((done / "decisions.json").read_text())}
    runs = bundle.provenance["runs"]
    table = plants()
    test = table.filter(pa.array(np.asarray(table["part"]) == "test"))
    answers = bundle.predict(test.drop_columns(["height", "weight", "sick"]))
    for task in ("height", "weight"):
        shipped = runs[decisions[task]["group"]]
        assert shipped["source"].startswith("pretrain-")
        with np.load(done / "runs" / f"{shipped['run']}.npz") as arrays:
            np.testing.assert_allclose(np.asarray(answers[task]), arrays["test/0"][:, 0], rtol=1e-4, atol=1e-4)
    backs = bundle.provenance["fallbacks"]
    assert set(backs) == {"height", "weight", "sick"}, "what starts afresh ships too, to go back to"


def test_its_cost_counts_the_pretraining(done: Path) -> None:
    cost = {c["plan"]: c for c in json.loads((done / "cost.json").read_text())}
    found = records(done)
    decisions = json.loads((done / "decisions.json").read_text())
    own, first = 0.0, {}
    for d in decisions:
        runs = [r for r in found.values() if r["phase"] == "confirm" and r["group"] == d["group"]]
        own += np.mean([r["seconds"] for r in runs])
        first[d["arm"]] = np.mean([found[r["source"]]["seconds"] for r in runs])
    assert cost["shipped"]["train_seconds"] == pytest.approx(own + sum(first.values()))


def test_the_report_and_the_document_tell_it(done: Path) -> None:
    for text in ((done / "decision.md").read_text(), (done / "report.html").read_text()):
        assert "Would it be better to learn other tasks first?" in text
        assert "Against the best single-task model that starts afresh, of 3 tasks transfer is better for" in text
        assert "A task that another model took over goes back to its best single-task model." in text
    assert "'pretrained'" in (done / "bundle" / "card.md").read_text()


def test_interrupted_it_goes_on_to_the_same_findings(done: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    shutil.copytree(done, out)
    found = records(done)
    lost = [name for name, run in found.items() if run["phase"] == "confirm" and run["source"]]
    lost += sorted({found[name]["source"] for name in lost})[:1]
    for name in lost:
        (out / "runs" / f"{name}.json").unlink()
        shutil.rmtree(out / "models" / name)
    (out / "summary.json").unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(challenge, "_objection", lambda one, belief: "")
        study().run(out, workers=1)
    for name in ("challenges.json", "decisions.json", "verdicts.json"):
        assert (out / name).read_bytes() == (done / name).read_bytes()


def test_a_pretraining_that_diverged_fails_what_starts_from_it(done: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    shutil.copytree(done, out)
    found = records(done)
    gone = [name for name, run in found.items() if run["source"] and run["phase"] == "confirm"]
    for name in {found[name]["source"] for name in gone}:
        path = out / "runs" / f"{name}.json"
        path.write_text(path.read_text().replace('"status": "done"', '"status": "diverged"'))
    for name in gone:
        (out / "runs" / f"{name}.json").unlink()
    study().run(out, workers=1)
    assert all(records(out)[name]["status"] == "failed" for name in gone)
    challenges = json.loads((out / "challenges.json").read_text())
    assert [c["answers"] for c in challenges] == [False] * 3
    assert {c["reason"] for c in challenges} == {"its runs diverged"}


# --- what is planned --------------------------------------------------------------------------------------


def regressions(*names: str, **other: Any) -> TaskSet:
    return TaskSet(tuple(Task(n, TaskKind.REGRESSION, (n,), "rmse", **other) for n in names))


def test_auto_goes_from_the_largest_to_the_scarcest() -> None:
    tasks, said = (
        regressions("a", "b", "c", "d", "e"),
        TransferSection.model_validate({"pairs": "auto", "most_pairs": 2}),
    )
    rows = {"a": 100, "b": 1000, "c": 20, "d": 499, "e": 500}
    assert pairs(said, tasks, rows, print) == [("b", "c"), ("b", "a")]


def test_auto_says_when_no_task_is_scarce() -> None:
    told: list[str] = []
    said = TransferSection.model_validate("auto")
    assert pairs(said, regressions("a", "b"), {"a": 100, "b": 90}, told.append) == []
    assert told == ["No task has fewer than half the train rows of 'a', so no pair is chosen for transfer."]


def test_a_task_that_was_set_aside_leaves_its_pairs_out() -> None:
    told: list[str] = []
    said = TransferSection.model_validate([["a", "gone"], ["gone", "a"], ["a", "b"]])
    assert pairs(said, regressions("a", "b"), {}, told.append) == [("a", "b")]
    assert told[0] == "The transfer from 'a' to 'gone' is left out: one of them was set aside."
    assert len(told) == 2


def test_what_apart_separates_meets_in_no_networks_weights(tmp_path: Path) -> None:
    told: list[str] = []
    limits = {"method": "off", "apart": [["height", "sick"]]}
    transfer = {"pretrained": True, "pairs": [["height", "weight"]]}
    opened = study(search=limits, transfer=transfer).session(tmp_path, workers=1, log=told.append)
    design, prepared, _ = opened.design()
    arms = {a.name: (a.source, a.plan.tasks) for a in design.record.arms if a.role.value == "transfer"}
    assert arms == {
        "pretrained 1": (("height", "weight"), ("height", "weight")),
        "pretrained 2": (("weight", "sick"), ("sick",)),
        "from height": (("height",), ("weight",)),
    }
    said = "{height, weight} learn together first; {weight, sick} learn together first, for sick."
    assert f"Pretraining keeps apart what cannot share a model: {said}" in told
    trained = Transfers(Conductor(design, prepared, tmp_path, told.append))
    sources = trained._sources(trained.arms, Phase.TUNE, 1)
    assert [run.group.tasks for run in sources] == [("height", "weight"), ("weight", "sick"), ("height",)]


def test_chosen_and_grouped_pairs_leave_out_what_apart_separates() -> None:
    told: list[str] = []
    tasks = TaskSet(
        (
            *regressions("a", "b"),
            *(Task(f"g@{n}", TaskKind.REGRESSION, ("g",), "rmse", family="g") for n in (1, 2)),
        )
    )
    rows = {"a": 1000, "b": 20, "g@1": 30, "g@2": 40}
    auto = TransferSection.model_validate({"pairs": "auto"})
    assert pairs(auto, tasks, rows, told.append, [["a", "b"]]) == [("a", "g@1"), ("a", "g@2")]
    named = TransferSection.model_validate([["a", "g"]])
    assert pairs(named, tasks, rows, told.append, [["g@2", "a"]]) == [("a", "g@1")]
    assert told == ["The transfer from 'a' to 'g@2' is left out: 'apart' of the search names both."]


# --- who answers ------------------------------------------------------------------------------------------


def change(effect: float, half: float, baseline: str = "single") -> Comparison:
    var = (half / 1.645) ** 2
    return Comparison(
        "t", "rmse", "relative", baseline, "pretrained", 1.0, 1.0, effect, effect - half, effect + half, 0.02,
        1e6, var, 0.0, 0.0, 1000, 3, 3,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("effect", "half", "dearer", "answers", "says"),
    [
        (0.05, 0.01, False, True, "harm beyond 2 % against 'single' has probability under 0.1 %"),
        (0.01, 0.015, False, True, "expected change is +1.0 %"),
        (0.01, 0.015, True, False, "a further model and is not shown to be better than 'single': +1.0 % [−0.5 %"),
        (-0.005, 0.005, False, False, "nothing is gained over 'single'"),
        (0.01, 0.06, False, False, "more than 5 %"),
        (-0.1, 0.01, False, False, "more than 5 %"),
    ],
)
def test_it_takes_over_where_it_earned_its_place(
    effect: float, half: float, dearer: bool, answers: bool, says: str
) -> None:
    before = [Decision("t", "single", "single:t", False, None, None, "nothing is gained.")]
    c = change(effect, half)
    (found,) = settle([Challenger("t", "transfer", "pretrained", "pretrained:t", 1, c, c, dearer=dearer)], before, {})
    assert found.answers is answers
    assert says in found.reason
    (after,) = taken_over(before, [found])
    assert (after.arm, after.group) == (("pretrained", "pretrained:t") if answers else ("single", "single:t"))
    assert not after.shared


def test_a_task_that_is_harmed_is_taken_over_in_at_most_one_study_of_twenty() -> None:
    """Nine tasks gain and would carry a tenth that is harmed just beyond its margin, were it not for its own rows."""
    draw, half, wrong, right, studies = np.random.default_rng(11), 0.02, 0, 0, 150
    truth = {"t": -0.0205, **{f"g{i}": 0.04 for i in range(9)}}
    before = [Decision(t, "single", f"single:{t}", False, None, None, "") for t in truth]
    for _ in range(studies):
        seen = {t: replace(change(draw.normal(v, half / 1.645), half), task=t) for t, v in truth.items()}
        found = settle([Challenger(t, "transfer", "p", f"p:{t}", 1, c, c) for t, c in seen.items()], before, {})
        wrong += found[0].answers
        right += sum(c.answers for c in found[1:])
    assert wrong / studies <= 0.05 + 1.65 * (0.05 * 0.95 / studies) ** 0.5
    assert right / (9 * studies) > 0.9


def test_without_a_comparison_whoever_answers_stays() -> None:
    before = [Decision("t", "single", "single:t", False, None, None, "")]
    (found,) = settle([Challenger("t", "transfer", "pretrained", "g", 1, None, None, "its runs diverged")], before, {})
    assert (found.answers, found.reason, found.verdict) == (False, "its runs diverged", None)


# --- bad input --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("transfer", "tasks", "says"),
    [
        ([["hight", "weight"]], TASKS, "'hight' is none. Did you mean 'height'?"),
        ([["height", "height"]], TASKS, "A transfer is between two tasks; however, [height, height] is one."),
        ([["height", "weight"], ["height", "weight"]], TASKS, "A pair is named once"),
        ([["height"]], TASKS, "A transfer names two tasks, [FROM, TO]; however, pair 1 is ['height']."),
        (["height", "weight"], TASKS, "A transfer names two tasks, [FROM, TO]; however, pair 1 is 'height'."),
        ("both", TASKS, "'transfer' must be auto, off, pairs of tasks or a mapping; however, it is 'both'."),
        ("auto", TASKS[:1], "A transfer needs a task to learn from and another to learn; however, the study has one"),
        (
            [["height", "weight"]],
            ({"name": "height", "inputs": ["x0"]}, {"name": "weight", "inputs": ["x1", "x2"]}),
            "an input that both tasks read; however, 'height' reads 'x0' and 'weight' reads 'x1', 'x2'.",
        ),
        ([["height", "weight"]], ("height", {"name": "weight", "auxiliary": True}), "nobody asks it. Turn the pair"),
        ([["height", "weight"]], ({"name": "height", "by": "x0"}, "weight"), "Name one of them, 'height@GROUP'"),
        ({"pretraind": True}, TASKS, "pretrained"),
    ],
)
def test_bad_input_is_named(transfer: Any, tasks: Any, says: str) -> None:
    with pytest.raises(ConfigError) as error:
        StudyFile.from_dict({"data": {"path": "t.csv"}, "tasks": [*tasks], "transfer": transfer})
    assert says in str(error.value)


def test_a_candidate_cannot_have_an_arms_name(tmp_path: Path) -> None:
    mine = [{"name": "from height", "groups": [["height", "sick"]]}]
    with pytest.raises(ConfigError, match="Arms have names of their own; however, 'from height' is that of a transfer"):
        study(candidates=mine).run(tmp_path / "run")


def test_an_alternative_that_is_made_for_no_task_is_said_to_be_left_out(tmp_path: Path) -> None:
    told: list[str] = []
    study(alternatives=["chain", "linear"], transfer="off").run(tmp_path / "run", workers=1, log=told.append)
    chain = "Alternative 'chain' is left out: it needs two or more yes-or-no tasks that read the same inputs and "
    assert any(chain in line for line in told)


def test_one_grouped_declaration_is_many_tasks(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    table = pa.table({"x": random.normal(size=300), "g": np.arange(300) % 3, "y": random.normal(size=300)})
    said = {"pretrained": True, "pairs": [["y@0", "y"]]}
    made = Study(table, [{"name": "y", "by": "g"}], transfer=said, alternatives=[], search="off", budget=BUDGET)
    design, _, _ = made.session(tmp_path, workers=1).design()
    arms = {a.name: (a.source, a.plan.tasks) for a in design.record.arms if a.role.value == "transfer"}
    every = ("y@0", "y@1", "y@2")
    assert arms == {"pretrained": (every, every), "from y@0": (("y@0",), ("y@1", "y@2"))}


def test_a_pair_that_apart_separates_is_refused() -> None:
    limits = {"apart": [["sick", "weight", "height"]]}
    said = {"data": {"path": "t.csv"}, "tasks": [*TASKS], "transfer": [["height", "weight"]], "search": limits}
    with pytest.raises(ConfigError, match=r"'apart' names share no weights; however, \[height, weight\] hands those"):
        StudyFile.from_dict(said)


@pytest.mark.parametrize("said", ["off", False, None, {}])
def test_off_is_nothing(said: Any) -> None:
    assert not TransferSection.model_validate({} if said is None else said).wanted
