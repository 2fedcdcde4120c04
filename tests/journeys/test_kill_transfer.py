"""A study with transfers and ensembles, killed anywhere and run again: what starts from what is not lost."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from test_kill import start

MOMENTS = 3
FILES = ("verdicts.json", "decisions.json", "challenges.json", "calibration.json")


@pytest.mark.slow
def test_kills_and_reruns_give_the_same_challenges(study: Path, tmp_path: Path) -> None:
    with study.open("a", encoding="utf-8") as file:
        file.write("search: off\ntransfer: {pretrained: true, pairs: [[height, weight]]}\nship_ensembles: true\n")
    whole = tmp_path / "whole"
    began = time.monotonic()
    assert start(study, whole).wait(timeout=300) == 0
    seconds = time.monotonic() - began
    expected = {name: (whole / name).read_bytes() for name in FILES}
    unfinished = 0
    for moment in range(MOMENTS):
        out = tmp_path / f"killed{moment}"
        process = start(study, out)
        # Transfers are trained in the second half of a study.
        time.sleep(seconds * (0.55 + 0.35 * moment / MOMENTS))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        unfinished += not (out / "summary.json").exists()
        assert start(study, out).wait(timeout=300) == 0
        for name, content in expected.items():
            assert (out / name).read_bytes() == content, f"{name} differs after kill {moment}"
    assert unfinished >= MOMENTS // 2, "most kills came too late to test anything"
