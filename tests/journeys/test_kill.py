"""Killed anywhere and run again, a study reaches the same verdicts, byte for byte."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from spoken import Command

MOMENTS = 10


def start(study: Path, out: Path) -> subprocess.Popen[bytes]:
    """A study in a session of its own, so that its workers die with it."""
    code = "from sharewise.cli import main; main()"
    command = [sys.executable, "-c", code, "run", str(study), "--out", str(out), "--workers", "2", "--quiet"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)


@pytest.mark.slow
def test_ten_kills_and_reruns_give_the_same_verdict_file(study: Path, sharewise: Command, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    began = time.monotonic()
    assert start(study, whole).wait(timeout=300) == 0
    seconds = time.monotonic() - began
    expected = {name: (whole / name).read_bytes() for name in ("verdicts.json", "comparisons.json", "decisions.json")}
    unfinished = 0
    for moment in range(MOMENTS):
        out = tmp_path / f"killed{moment}"
        process = start(study, out)
        # From the first second of training to just before the end.
        time.sleep(seconds * (0.3 + 0.65 * moment / MOMENTS))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        unfinished += not (out / "summary.json").exists()
        assert start(study, out).wait(timeout=300) == 0
        for name, content in expected.items():
            assert (out / name).read_bytes() == content, f"{name} differs after kill {moment}"
        assert not list((out / "runs").glob(".*")), "half-written files were left behind"
    assert unfinished >= MOMENTS // 2, "most kills came too late to test anything"


def test_ctrl_c_ends_with_one_sentence_and_130(study: Path, tmp_path: Path) -> None:
    code = "from sharewise.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "run", str(study), "--out", str(tmp_path / "run"), "--workers", "2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # In the background a shell has its commands ignore Ctrl-C, and they hand that on.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "run" / "design.json").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert "go" in errors
