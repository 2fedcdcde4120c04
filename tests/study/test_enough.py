"""More confirmation runs where run luck leaves a task open: the rule, its errors, and a study that follows it."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from made_comparisons import comparison
from scipy import stats

from sharewise import Study
from sharewise.plan import Group, Plan
from sharewise.records import Comparison, Outcome, Phase
from sharewise.study.enough import EARLY, further, left_open
from sharewise.study.judge import judge
from sharewise.study.work import Run

MARGIN = 0.02


def test_a_task_far_from_the_margin_is_clear_and_one_near_it_is_open() -> None:
    # df 8, se 0.01: P(t_8 > x) = 1 % at x = 2.896.
    x = float(stats.t.ppf(1 - EARLY, 8))
    for side in (1, -1):
        assert left_open(comparison(-MARGIN + side * 0.99 * x * 0.01, 0.01), 2000, 10)
        assert not left_open(comparison(-MARGIN + side * 1.01 * x * 0.01, 0.01), 2000, 10)


def test_the_rows_counted_are_those_of_the_test_part() -> None:
    # 2.5 standard errors from the margin: p = 1.8 %. With ten times the rows it is 4.1 of them: p = 0.2 %.
    c = comparison(0.0, 0.008, rows_share=0.7)
    assert left_open(c, 2000, 10)
    assert not left_open(c, 20000, 10)


def test_what_no_number_of_runs_settles_is_given_up() -> None:
    near = comparison(-MARGIN + 0.002, 0.01, rows_share=0.5)
    reach = 0.75 * 1.6449 * (0.01**2 * (0.5 + 0.5 * 3 / 10)) ** 0.5
    assert reach > 0.002
    assert not left_open(near, 2000, 10)
    assert left_open(comparison(-MARGIN + 1.01 * reach, 0.01), 2000, 10)


def test_without_run_luck_or_runs_to_be_had_nothing_is_open() -> None:
    c = comparison(0.0, 0.02)
    assert left_open(c, 2000, 10)
    assert not left_open(replace(c, n_baseline_runs=10, n_candidate_runs=10), 2000, 10)
    assert not left_open(replace(c, var_baseline=0.0, var_candidate=0.0, var_rows=0.02**2), 2000, 10)


def test_the_model_with_the_fewer_runs_counts_unless_it_has_no_luck() -> None:
    # The shared model got its ten for another task: the single one may still have more than three.
    c = replace(comparison(0.01, 0.02), n_candidate_runs=10)
    assert left_open(c, 2000, 10)
    assert not left_open(replace(c, n_baseline_runs=1, var_baseline=0.0), 2000, 10)


def test_what_more_runs_would_hardly_narrow_is_not_left_open_by_run_luck() -> None:
    # Of 3 to 10 runs' worth, a share r of the variance: sqrt(1 - 0.7 r) is 0.95 at r = 0.139.
    assert left_open(comparison(0.0, 0.01, rows_share=0.85), 2000, 10)
    assert not left_open(comparison(0.0, 0.01, rows_share=0.87), 2000, 10)


def test_its_own_run_luck_counts_not_the_moderated() -> None:
    sure = comparison(0.02, 0.002)
    assert not left_open(sure, 2000, 10)
    assert left_open(replace(sure, own_error=0.02, own_df=3.0), 2000, 10)


def asked(open_tasks: set[str], made: dict[tuple[str, str], int]) -> dict[str, int]:
    """Runs that `further` asks for, by group, of two tasks in one model; `made` runs by (arm, task)."""
    plan = Plan("together", (Group("together", ("a", "b")),))
    groups = {("together", t): plan.groups[0] for t in "ab"} | {("single", t): Group(f"single:{t}", (t,)) for t in "ab"}

    def run(arm: str, group: Group, number: int) -> Run:
        return Run(Phase.CONFIRM, arm, "neural", group, number, 0, {}, "key")

    def compared(tasks: list[str]) -> tuple[list[Comparison], dict[str, str]]:
        far = [comparison(0.02 if t in open_tasks else 0.5, 0.02, task=t) for t in tasks]
        made_by = {t: {"n_baseline_runs": made["single", t], "n_candidate_runs": made["together", t]} for t in tasks}
        return [replace(c, **made_by[c.task]) for c in far], {}

    conductor = SimpleNamespace(
        design=SimpleNamespace(
            budget=SimpleNamespace(most_runs=10), arm=lambda name: SimpleNamespace(name=name, alone="single", plan=plan)
        ),
        judged=SimpleNamespace(names=("a", "b")),
        pair=lambda task, *_: task,
        compared=compared,
        prepared=SimpleNamespace(rows_of=lambda task, part: range(2000)),
        repeated=lambda phase, wanted, n: [run(arm, group, i) for _, arm, group in wanted for i in range(n)],
    )
    runs = [run(arm, group, i) for (arm, t), group in groups.items() for i in range(made[arm, t]) if t in group.tasks]
    runs = list({r.run_id: r for r in runs}.values())
    best = {"single": {"a": "single", "b": "single"}}
    return dict(Counter(r.group.name for r in further(conductor, "together", best, runs)))  # type: ignore[arg-type]


def test_of_a_task_left_open_the_model_with_the_fewer_runs_is_doubled() -> None:
    three = {(arm, t): 3 for arm in ("together", "single") for t in "ab"}
    assert asked(set(), three) == {}
    assert asked({"a"}, three) == {"together": 3, "single:a": 3}
    # The shared model has six for a by now; b asks for its own model's first.
    grown = three | {("together", "a"): 6, ("together", "b"): 6, ("single", "a"): 6}
    assert asked({"b"}, grown) == {"single:b": 3}
    assert asked({"a", "b"}, grown) == {"together": 4, "single:a": 4, "single:b": 3}
    most = grown | {("together", "a"): 10, ("together", "b"): 10, ("single", "a"): 10}
    assert asked({"a", "b"}, most) == {"single:b": 3}


# --- the errors of the whole procedure ----------------------------------------------------------------------

LOOKS = (3, 6, 10)


def drawn(theta: float, n: int, run_sd: float, row_sd: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores (n, 10) of the runs of two arms, their true change `theta`, and the luck (n, 2) of two samples of rows."""
    random = np.random.default_rng(seed)
    runs = random.normal(scale=run_sd, size=(2, n, LOOKS[-1]))
    return runs[0], theta + runs[1], random.normal(scale=row_sd, size=(n, 2))


def seen(b: np.ndarray, m: np.ndarray, luck: float, row_sd: float, n_runs: int) -> Comparison:
    """The comparison of so many runs of either arm on one sample of rows."""
    var_b, var_m = b[:n_runs].var(ddof=1) / n_runs, m[:n_runs].var(ddof=1) / n_runs
    v = var_b + var_m + row_sd**2
    df = v**2 / ((var_b**2 + var_m**2) / (n_runs - 1) + row_sd**4 / 1999)
    effect = float(m[:n_runs].mean() - b[:n_runs].mean() + luck)
    made = comparison(effect, v**0.5, df, MARGIN)
    return replace(
        made,
        var_rows=row_sd**2,
        var_baseline=float(var_b),
        var_candidate=float(var_m),
        n_baseline_runs=n_runs,
        n_candidate_runs=n_runs,
    )


def rates(theta: float, run_sd: float, row_sd: float, n: int = 2500) -> dict[Outcome, float]:
    """How often each verdict comes on test rows, the number of runs having been settled on others."""
    count = dict.fromkeys(Outcome, 0.0)
    b, m, luck = drawn(theta, n, run_sd, row_sd, 1)
    for i in range(n):
        for n_runs in LOOKS:
            if not left_open(seen(b[i], m[i], luck[i, 0], row_sd, n_runs), 2000, LOOKS[-1]):
                break
        count[judge(seen(b[i], m[i], luck[i, 1], row_sd, n_runs)).outcome] += 1 / n
    return count


@pytest.mark.parametrize(("run_sd", "row_sd"), [(0.03, 0.006), (0.03, 0.02)])
def test_either_claim_is_wrong_in_at_most_five_per_cent_at_the_margin(run_sd: float, row_sd: float) -> None:
    found = rates(-MARGIN, run_sd, row_sd)
    # Two standard errors of 2,500 draws are 0.9 %.
    assert found[Outcome.HARM] <= 0.059
    assert found[Outcome.NO_HARM] <= 0.059


def test_a_true_gain_of_a_margin_is_cleared_twice_as_often_as_by_three_runs() -> None:
    b, m, luck = drawn(MARGIN, 2500, 0.03, 0.006, 1)
    three = np.mean([judge(seen(b[i], m[i], luck[i, 1], 0.006, 3)).outcome is Outcome.NO_HARM for i in range(2500)])
    assert rates(MARGIN, 0.03, 0.006)[Outcome.NO_HARM] > 1.8 * three


# --- a study ------------------------------------------------------------------------------------------------


def study(tmp_path: Path, **budget: object) -> Study:
    random = np.random.default_rng(3)
    x = random.normal(size=(600, 4))
    y = np.tanh(x @ random.normal(size=(4, 3))) + 0.3 * random.normal(size=(600, 3))
    table = pd.DataFrame({**{f"x{i}": x[:, i] for i in range(4)}, **{f"y{k}": y[:, k] for k in range(3)}})
    tasks = [{"name": f"y{k}", "kind": "regression"} for k in range(3)]
    return Study(table, tasks, search="off", alternatives=[], budget={"level": "quick", "trials": 1, **budget})


def confirmed(run: Path) -> dict[str, int]:
    """Confirmation runs by arm and group."""
    count: dict[str, int] = {}
    for path in (run / "runs").glob("confirm-*.json"):
        said = json.loads(path.read_text())
        count[f"{said['arm']} {said['tasks']}"] = count.get(f"{said['arm']} {said['tasks']}", 0) + 1
    return count


def test_a_study_trains_more_where_a_task_is_open_and_a_resume_makes_the_same_runs(tmp_path: Path) -> None:
    told: list[str] = []
    made = study(tmp_path, epochs=3).run(tmp_path / "run", workers=1, log=told.append)
    count = confirmed(tmp_path / "run")
    assert set(count.values()) <= {3, 6, 10}
    more = [line for line in told if line.startswith("Validation rows show that run luck leaves something open")]
    assert bool(more) == (max(count.values()) > 3)
    for verdict in made.verdicts:
        c = verdict.comparison
        assert c.n_candidate_runs == count[f"together {['y0', 'y1', 'y2']}"]
        assert c.n_baseline_runs == count[f"single {[c.task]}"]
    verdicts = (tmp_path / "run" / "verdicts.json").read_bytes()
    for path in (tmp_path / "run" / "runs").glob("confirm-*.json"):
        path.unlink()
    (tmp_path / "run" / "summary.json").unlink()
    study(tmp_path, epochs=3).run(tmp_path / "run", workers=1)
    assert (tmp_path / "run" / "verdicts.json").read_bytes() == verdicts


def test_seeds_asks_for_as_many_of_each(tmp_path: Path) -> None:
    study(tmp_path, epochs=3, seeds=2).run(tmp_path / "run", workers=1)
    assert set(confirmed(tmp_path / "run").values()) == {2}
