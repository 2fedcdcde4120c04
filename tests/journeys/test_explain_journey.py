"""A planted harm, from the table to the cause, by the command line alone; and what cannot be explained."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pytest
from spoken import Command  # type: ignore[import-not-found]

from sharewise.cli import answer

STUDY = """\
data: {path: PATH}
tasks: [loud, quiet, third]
architecture: {name: hard, width: 32}
balance: {weighting: {name: static, weights: {loud: 1000}}}
budget: {level: quick, trials: 1, seeds: 3, epochs: 6}
"""


def planted(folder: Path) -> Path:
    """`quiet` and `third` are kindred and simple, and the loss of `loud` weighs a thousand times theirs."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(900, 6))
    base = x @ rng.normal(size=6) / 2
    table = {f"x{i}": x[:, i] for i in range(6)}
    table |= {
        "loud": np.sin(x @ rng.normal(size=6)) + 0.3 * rng.normal(size=900),
        "quiet": base + 0.5 * rng.normal(size=900),
        "third": base + 0.5 * rng.normal(size=900),
    }
    pc.write_csv(pa.table(table), folder / "table.csv")
    path = folder / "study.yaml"
    path.write_text(STUDY.replace("PATH", "table.csv"), encoding="utf-8")
    return path


@pytest.mark.slow
def test_a_planted_loss_scale_is_convicted_and_what_cannot_be_explained_is_said(
    sharewise: Command, tmp_path: Path
) -> None:
    study, run = planted(tmp_path), tmp_path / "run"
    sharewise = partial(sharewise, timeout=1500)
    assert sharewise("run", study, "--out", run, "--workers", 1).returncode == 0
    done = sharewise("explain", run, "--task", "quiet", "--workers", 1)
    assert done.returncode == 0, done.stderr
    assert "at most" in done.stderr
    assert "'quiet' is worse" in done.stdout
    assert "loss scale" in done.stdout.splitlines()[0]
    found = json.loads((run / "explain.json").read_text())
    explanation = found["explanations"][0]
    trial = explanation["trials"][explanation["convicted"]]
    assert trial["intervention"] == "scale"
    assert trial["shift"]["low"] > 0
    assert explanation["remedy"]["balance"] == {}
    assert "Why tasks got worse" in (run / "report.html").read_text()

    # The same again costs no training and says the same.
    again = sharewise("explain", run, "--task", "quiet", "--workers", 1, "--format", "json", "--quiet")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["explanations"] == found["explanations"]

    unknown = sharewise("explain", run, "--task", "quite")
    assert unknown.returncode == 2
    assert "'quiet'" in unknown.stderr

    moved = tmp_path / "elsewhere.csv"
    shutil.move(tmp_path / "table.csv", moved)
    lost = sharewise("explain", run, "--task", "third")
    assert lost.returncode == 2
    assert f"there is no '{tmp_path / 'table.csv'}'. Give it with --data, wherever it is now." in lost.stderr
    changed = tmp_path / "changed.csv"
    changed.write_text(moved.read_text().replace("0.1", "0.2"))
    other = sharewise("explain", run, "--task", "third", "--data", changed)
    assert other.returncode == 2
    assert "has changed since" in other.stderr
    assert sharewise("explain", run, "--task", "third", "--data", moved, "--workers", 1).returncode == 0
    kept = json.loads((run / "explain.json").read_text())["explanations"]
    assert {e["task"] for e in kept} == {"quiet", "third"}

    # The remedy is a revision: what was tuned is taken over, the confirmation is new, and the harm is gone.
    done = sharewise("remedy", run, "--data", moved, "--workers", 1)
    assert done.returncode == 0, done.stderr
    revision = tmp_path / "run-remedy"
    tuned = {p.name for p in (run / "runs").glob("tune-*.json")}
    assert tuned <= {p.name for p in (revision / "runs").iterdir()}
    confirmed = {p.name for p in (run / "runs").glob("confirm-*.json")}
    assert not confirmed & {p.name for p in (revision / "runs").iterdir()}
    assert json.loads((revision / "summary.json").read_text())["selected"] == "remedy"
    before, after = (
        {v["task"]: v["comparison"]["effect"] for v in json.loads((where / "isolated.json").read_text())}
        for where in (run, revision)
    )
    assert after["quiet"] > before["quiet"] / 2
    assert "opened the same test rows" in (revision / "summary.json").read_text()


@pytest.mark.slow
def test_killed_midway_and_called_again_it_reaches_the_same_answer(sharewise: Command, tmp_path: Path) -> None:
    study, run = planted(tmp_path), tmp_path / "run"
    assert partial(sharewise, timeout=1500)("run", study, "--out", run, "--workers", 1).returncode == 0

    def start(where: Path) -> subprocess.Popen[bytes]:
        said = ["explain", str(where), "--task", "quiet", "--workers", "1", "--quiet"]
        command = [sys.executable, "-c", "from sharewise.cli import main; main()", *said]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)

    def answered(where: Path) -> list[object]:
        made: list[object] = json.loads((where / "explain.json").read_text())["explanations"]
        return made

    def finished(where: Path) -> int:
        return len(list((where / "explain" / "runs").glob("*.json")))

    whole = tmp_path / "whole"
    shutil.copytree(run, whole)
    assert start(whole).wait(timeout=1500) == 0
    expected, total = answered(whole), finished(whole)
    for moment, share in enumerate((0.1, 0.6)):
        killed = tmp_path / f"killed{moment}"
        shutil.copytree(run, killed)
        process = start(killed)
        # Killed in training, once the cohort that is being written down has all its records: a cohort of which some are
        # missing is trained again as a whole, so that its numbers stay the same.
        seen = -1
        while process.poll() is None and (seen < share * total or seen != finished(killed)):
            seen = finished(killed)
            time.sleep(0.25)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert not (killed / "explain.json").exists(), "the kill came too late to test anything"
        kept = {p: p.stat().st_mtime_ns for p in (killed / "explain" / "runs").glob("*.json")}
        assert start(killed).wait(timeout=1500) == 0
        assert answered(killed) == expected
        assert finished(killed) == total
        # What was done is not done again.
        again = sum(p.stat().st_mtime_ns != when for p, when in kept.items())
        assert again < 0.5 * max(len(kept), 10)


def test_an_unfinished_run_and_one_of_another_version_are_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def refused(run: Path) -> str:
        assert answer(["explain", str(run)]) == 2
        return capsys.readouterr().err

    assert "there is no" in refused(tmp_path / "none")
    run = tmp_path / "run"
    run.mkdir()
    assert "has no design.json" in refused(run)
    (run / "design.json").write_text('{"version": "0.0.0"}')
    assert "has not come to its end" in refused(run)
    (run / "summary.json").write_text("{}")
    assert "written by 0.0.0" in refused(run)
    (run / "design.json").write_text("[")
    assert "an unknown version" in refused(run)
