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
from kills import same_after_kills


@pytest.mark.slow
def test_ten_kills_and_reruns_give_the_same_verdict_file(study: Path, tmp_path: Path) -> None:
    # From the first second of training to just before the end.
    moments = [0.3 + 0.65 * n / 10 for n in range(10)]
    same_after_kills(study, tmp_path, moments, ("verdicts.json", "comparisons.json", "decisions.json"))


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
