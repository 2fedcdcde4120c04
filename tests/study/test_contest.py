"""Trials that compete: who leaves, that the others train as if nobody had, and what is made of an interruption."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from sharewise.errors import ConfigError
from sharewise.records import RunRecord, Status, from_json
from sharewise.report import remarks
from sharewise.report.load import load
from sharewise.study.contest import HALVING
from sharewise.study.study import Study

optuna = pytest.importorskip("optuna")

TRIALS = 6


def study(**tuning: Any) -> Study:
    """Three tasks, so small that a run takes a moment; trials of two widths, so that a contest spans two stacks."""
    random = np.random.default_rng(0)
    x = random.normal(size=(300, 3))
    y = np.tanh(x @ random.normal(size=(3, 3))) + 0.3 * random.normal(size=(300, 3))
    table = pa.table({**{f"x{i}": x[:, i] for i in range(3)}, **{f"y{i}": y[:, i] for i in range(3)}})
    return Study(
        table,
        [{"name": f"y{i}", "kind": "regression"} for i in range(3)],
        alternatives=("linear",),
        architecture={"name": "hard", "width": 8, "depth": 1},
        search="off",
        budget={"level": "quick", "trials": TRIALS, "epochs": 4, "seeds": 2},
        tuning={"space": ["architecture"], **tuning},
    )


def trials(out: Path) -> dict[tuple[str, str], list[RunRecord]]:
    made = defaultdict(list)
    for path in sorted(out.glob("runs/tune-*.json")):
        record = from_json(RunRecord, path.read_bytes())
        made[record.arm, record.group].append(record)
    return {key: sorted(some, key=lambda r: r.trial) for key, some in made.items()}


@pytest.fixture(scope="module")
def halved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("contest") / "run"
    study(pruner="halving", storage="trials.db").run(out, workers=1)
    return out


@pytest.mark.slow
def test_half_leaves_at_each_pause_and_it_is_the_worse_half(halved: Path) -> None:
    neural = {key: some for key, some in trials(halved).items() if key[0] != "linear"}
    assert len(neural) == 4
    for some in neural.values():
        for pause in range(len(HALVING)):
            running = [r for r in some if len(r.standings) > pause]
            behind = [r for r in running if len(r.standings) == pause + 1 and r.status is Status.DROPPED]
            stay = [r for r in running if r not in behind]
            assert len(stay) <= (3, 2)[pause] + 1, "a half, and the default where it is behind"
            worst = max((float(r.standings[pause] or 0) for r in stay if r.trial), default=0.0)
            assert all(float(r.standings[pause] or 0) >= worst for r in behind)
        assert any(r.status is Status.DROPPED for r in some)
        assert some[0].status is Status.DONE, "the default always goes to its end"
    steps = sum(r.epochs for some in neural.values() for r in some)
    assert steps < 0.65 * len(neural) * TRIALS * max(r.epochs for some in neural.values() for r in some)


@pytest.mark.slow
def test_who_stays_trains_as_if_nobody_had_left(halved: Path, tmp_path: Path) -> None:
    study().run(tmp_path / "run", workers=1)
    whole = trials(tmp_path / "run")
    for key, some in trials(halved).items():
        for mine, theirs in zip(some, whole[key], strict=True):
            assert mine.params == theirs.params
            if mine.status is Status.DONE:
                for task, score in mine.validation.items():
                    assert score == pytest.approx(theirs.validation[task], rel=1e-4)


@pytest.mark.slow
def test_a_resumed_contest_drops_the_same(halved: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    out.mkdir()
    for path in halved.rglob("*"):
        target = out / path.relative_to(halved)
        target.mkdir(exist_ok=True) if path.is_dir() else target.write_bytes(path.read_bytes())
    kept = ("verdicts.json", "decisions.json")
    for path in [*out.glob("runs/tune-neural-*.json")][::3]:
        path.unlink()
    study(pruner="halving", storage="trials.db").run(out, workers=2)
    assert all((out / name).read_bytes() == (halved / name).read_bytes() for name in kept)
    before, after = trials(halved), trials(out)
    assert {k: [(r.status, r.standings) for r in v] for k, v in before.items()} == {
        k: [(r.status, r.standings) for r in v] for k, v in after.items()
    }


@pytest.mark.slow
def test_the_report_says_who_left_and_calls_it_no_failure(halved: Path) -> None:
    records = load(halved)
    tuning = remarks.equal_tuning(records, ())
    assert tuning is not None
    assert "were behind and left before their end" in tuning.text
    assert remarks.diverged(records, ()) is None


@pytest.mark.slow
def test_optuna_reads_the_trials(halved: Path) -> None:
    storage = f"sqlite:///{halved / 'trials.db'}"
    names = optuna.get_all_study_names(storage)
    digest = json.loads((halved / "summary.json").read_text())["design_digest"][:8]
    assert {n.split("/", 2)[1] for n in names} == {digest}
    known = trials(halved)
    assert len(names) == len(known)
    for name in names:
        _, _, arm, group = name.split("/")
        read = optuna.load_study(study_name=name, storage=storage)
        for trial, record in zip(read.trials, known[arm, group], strict=True):
            assert trial.params.items() <= record.params.items()
            assert (trial.state.name == "PRUNED") == (record.status is Status.DROPPED)
            assert [-v for v in trial.intermediate_values.values()] == list(record.standings)
        assert read.best_trial.state.name == "COMPLETE"


@pytest.mark.parametrize("pruner", ["median", "percentile", "asha", "hyperband"])
@pytest.mark.slow
def test_optunas_pruners_drop_trials_and_ask_the_same_again(pruner: str, tmp_path: Path) -> None:
    outs = [tmp_path / "a", tmp_path / "b"]
    for out, workers in zip(outs, (1, 2), strict=True):
        study(pruner=pruner, sampler="tpe").run(out, workers=workers)
    first, again = (trials(out) for out in outs)
    assert [[(r.params, r.status) for r in v] for v in first.values()] == [
        [(r.params, r.status) for r in v] for v in again.values()
    ]
    ended = [r.status for some in first.values() for r in some]
    assert Status.DROPPED in ended
    assert all(some[0].status is Status.DONE for some in first.values())


@pytest.mark.parametrize(
    ("storage", "fact"),
    [
        ("nosuch://user:secret@host/x", "'host/x' cannot be opened"),
        ("oracle://user:secret@host/x", "'host/x' needs the Python package"),
        ("nosuch/trials.db", "'nosuch/trials.db' is in a folder that does not exist"),
    ],
)
def test_a_storage_that_cannot_be_opened_is_refused_and_leaves_no_directory(
    storage: str, fact: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"storage: trials\.db") as raised:
        study(storage=storage).run(tmp_path / "run", workers=1)
    assert "secret" not in str(raised.value)
    assert fact in str(raised.value)
    assert not (tmp_path / "run").exists()
