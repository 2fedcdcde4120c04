"""A study with transfers and ensembles, killed anywhere and run again: what starts from what is not lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from kills import same_after_kills


@pytest.mark.slow
def test_kills_and_reruns_give_the_same_challenges(study: Path, tmp_path: Path) -> None:
    with study.open("a", encoding="utf-8") as file:
        file.write("search: off\ntransfer: {pretrained: true, pairs: [[height, weight]]}\nship_ensembles: true\n")
    files = ("verdicts.json", "decisions.json", "challenges.json", "calibration.json")
    # Transfers are trained in the second half of a study.
    same_after_kills(study, tmp_path, [0.55 + 0.35 * n / 3 for n in range(3)], files)
