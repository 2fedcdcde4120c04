"""The checklist before training: each question on a table made so that the answer is known."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import stats

from sharewise.cli import answer
from sharewise.study.advise import Advice, advise
from sharewise.study.file import StudyFile
from sharewise.study.power import power_of
from sharewise.tables.read import Table
from sharewise.tasks import Task, TaskKind

N = 4000


def table(n: int = N, **columns: object) -> Table:
    draw = np.random.default_rng(0)
    x, z = draw.normal(size=n), draw.normal(size=n)
    base: dict[str, object] = {"x": x, "z": z}
    base["a"] = np.where(x + draw.normal(size=n) > 0, "yes", "no")
    base["b"] = np.where(z + draw.normal(size=n) > 0, "yes", "no")
    base["y"] = x + z + draw.normal(size=n)
    return Table(pa.table({**base, **columns}), "made")


def asked(made: Table, tasks: list[object], inputs: tuple[str, ...] = ("x", "z"), **keys: object) -> dict[str, Advice]:
    said = {"data": "made.parquet", "inputs": [*inputs], "tasks": tasks, **keys}
    found = advise(StudyFile.from_dict(said), made)
    assert found.conclusion
    return {a.question: a for a in found.advice}


def of(found: dict[str, Advice], start: str) -> Advice:
    return next(a for question, a in found.items() if question.startswith(start))


def test_a_plain_table_is_worth_a_study() -> None:
    found = asked(table(), ["a", "b", "y"])
    assert of(found, "Do the tasks share").level == "good"
    assert of(found, "Are the same rows").answer.startswith("Every row is labelled for nearly all tasks")
    assert of(found, "Are the tasks and classes").level == "good"
    assert of(found, "Does one task follow").level == "good"


def test_inputs_that_only_one_task_has_are_seen() -> None:
    left = np.arange(N) < N // 2
    draw = np.random.default_rng(1)
    made = table(
        p=pa.array(draw.normal(size=N), mask=~left), q=pa.array(draw.normal(size=N), mask=left),
        first=pa.array(draw.normal(size=N), mask=~left), second=pa.array(draw.normal(size=N), mask=left),
    )  # fmt: skip
    found = asked(made, ["first", "second"], ("p", "q"), split="random")
    assert of(found, "Do the tasks share").level == "stop"
    assert "have no input in common" in of(found, "Do the tasks share").answer
    asked_of_sharing = ("Are the same rows", "Is there a simpler", "What can be decided")
    assert not any(question.startswith(asked_of_sharing) for question in found), "nothing can be shared"


def test_rows_that_tasks_have_in_common_are_counted() -> None:
    left, few = np.arange(N) < N // 2, np.arange(N) % 10 > 0
    made = table(
        first=pa.array(np.arange(N, dtype=float), mask=~left),
        second=pa.array(np.arange(N, dtype=float), mask=left),
        third=pa.array(np.arange(N, dtype=float), mask=few),
    )
    disjoint = of(asked(made, ["first", "second"]), "Are the same rows")
    assert disjoint.answer.startswith("No row is labelled for two tasks: a shared model learns from the rows of all")
    partly = of(asked(made, ["first", "second", "third"]), "Are the same rows")
    assert partly.answer.startswith(
        "Partly: two tasks have 0 to 10 % of their labelled rows in common (10 % for the median of 3 pairs). A task"
    )


def test_a_small_task_beside_a_large_one_and_a_rare_class_are_named() -> None:
    rare = np.where(np.arange(N) % 100 == 0, "sick", "well")
    made = table(few=pa.array(np.arange(N, dtype=float), mask=np.arange(N) % 20 > 0), rare=rare)
    found = of(asked(made, ["a", "few", "rare"]), "Are the tasks and classes")
    assert found.level == "caution"
    assert "('few')" in found.answer
    assert "in 'rare'" in found.answer
    assert "accuracy" not in found.remedy, "'rare' is judged by AUROC already"


def test_a_task_that_follows_from_another_is_derived() -> None:
    digit = np.random.default_rng(2).integers(0, 10, N)
    made = table(digit=np.array([f"d{d}" for d in digit]), parity=np.where(digit % 2, "odd", "even"))
    found = of(asked(made, ["digit", "parity", "a"]), "Does one task follow")
    assert "'parity' follows from 'digit'" in found.answer
    assert found.numbers["follows"] == [["digit", "parity"]]


def test_many_yes_or_no_tasks_on_the_same_rows_are_one_multilabel_task() -> None:
    x = table().column("x").to_numpy()
    made = table(c=np.where(x > 0.5, "yes", "no"))
    assert "one multilabel task" in of(asked(made, ["a", "b", "c"]), "Is there a simpler").answer


def test_a_grouped_task_is_one_pooled_model_and_a_large_primary_task_wants_transfer() -> None:
    made = table(school=np.array([f"s{i}" for i in np.arange(N) % 5]))
    found = asked(made, [{"name": "y", "by": "school"}])
    assert "One pooled model that reads 'school'" in of(found, "Is there a simpler").answer
    small = table(few=pa.array(np.arange(N, dtype=float), mask=np.arange(N) % 4 > 0))
    told = of(asked(small, [{"name": "y", "primary": True}, "few"]), "Is there a simpler")
    assert "training on the helper first" in told.answer


def test_one_task_is_nothing_to_share() -> None:
    found = asked(table(), ["a"])
    assert of(found, "Is there something").level == "stop"
    assert of(found, "Are the tasks and classes").answer.startswith("The task has 2,600 train rows.")
    assert "What can be decided with these test rows at this budget?" not in found


# --- power ------------------------------------------------------------------------------------------------


def test_rows_needed_are_those_of_the_reference_formula() -> None:
    task = Task("t", TaskKind.MULTICLASS, ("t",), "accuracy", 0.02, ("a", "b"))
    truth = np.arange(400) % 2
    found = power_of(task, truth.astype(float), 400, 3)
    assert found.rows_needed == pytest.approx(6.2 * 0.033 / 0.02**2, rel=0.01)  # 510 rows
    assert found.hopeless
    assert found.smallest_margin == pytest.approx((6.18 * 0.033 / 400) ** 0.5, rel=0.01)
    wide = power_of(Task("t", TaskKind.MULTICLASS, ("t",), "accuracy", 0.04, ("a", "b")), truth.astype(float), 400, 3)
    assert wide.rows_needed == pytest.approx(found.rows_needed / 4, rel=0.02)


def test_power_is_that_of_simulated_studies() -> None:
    """Normal data with the assumed variances, judged by the two-way interval of the reference."""
    task, n, runs, margin = Task("t", TaskKind.MULTICLASS, ("t",), "accuracy", 0.03, ("a", "b")), 1500, 5, 0.03
    found = power_of(task, (np.arange(n) % 2).astype(float), n, runs)
    draw, cleared, repeats = np.random.default_rng(3), 0, 4000
    rows = draw.normal(0, (0.033 / n) ** 0.5, repeats)
    a, b = draw.normal(0, 0.01, (2, repeats, runs))
    v_rows = 0.033 / n
    v_a, v_b = a.var(axis=1, ddof=1) / runs, b.var(axis=1, ddof=1) / runs
    v = v_rows + v_a + v_b
    df = v**2 / ((v_a**2 + v_b**2) / (runs - 1))
    effect = rows + a.mean(axis=1) - b.mean(axis=1)
    cleared = float(np.mean(effect - stats.t.ppf(0.95, df) * np.sqrt(v) > -margin))
    assert found.power == pytest.approx(cleared, abs=0.03)


def test_a_ranked_task_hangs_on_its_positives() -> None:
    task = Task("t", TaskKind.BINARY, ("t",), "auroc", 0.02, ("no", "yes"))
    many = power_of(task, (np.arange(2000) % 2).astype(float), 2000, 5)
    few = power_of(task, (np.arange(2000) % 50 == 0).astype(float), 2000, 5)
    assert (few.n_rarest, few.few, many.few) == (40, True, False)
    assert few.rows_needed > 5 * many.rows_needed


# --- the command line -------------------------------------------------------------------------------------


def test_the_verb_answers_in_text_and_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pq.write_table(table(800).arrow, tmp_path / "made.parquet")
    study = tmp_path / "study.yaml"
    study.write_text("data: made.parquet\ninputs: [x, z]\ntasks: [a, b, y]\nbudget: quick\n")
    started = time.process_time()
    assert answer(["advise", str(study)]) == 0
    assert time.process_time() - started < 10
    said = capsys.readouterr().out
    assert "no study can clear a 2 % margin" in said
    assert "[ok] Do the tasks share their inputs?" in said
    assert answer(["advise", str(study), "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {a["level"] for a in found["advice"]} <= {"good", "note", "caution", "stop"}
    assert answer(["advise", str(tmp_path / "none.yaml")]) == 2
