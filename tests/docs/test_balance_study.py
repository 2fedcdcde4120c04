"""The study file shown in docs/balance.md is one."""

from __future__ import annotations

import re
from pathlib import Path

from ruamel.yaml import YAML

from sharewise.balance import sampling
from sharewise.balance.choose import build
from sharewise.study.file import StudyFile

TEXT = (Path(__file__).parents[2] / "docs" / "balance.md").read_text(encoding="utf-8")


def test_the_balance_section_is_accepted_and_built() -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", TEXT, re.S)
    said = YAML(typ="safe").load(block) | {"data": "t.parquet", "tasks": ["a", "b", "c"]}
    declared = StudyFile.from_dict(said)
    assert [c.name for c in declared.candidates] == ["by nash", "by uncertainty", "front", "patient"]
    built = {}
    for candidate in declared.candidates:
        assert candidate.balance is not None
        built[candidate.name] = build(candidate.balance.plain())
    assert [b.method for b in built.values()] == ["nash", "uncertainty", "equal", "equal"]
    patient = built["patient"]
    assert all([patient.sampler, patient.rates, patient.freezer, patient.stopper])
    assert patient.checkpoint == "task"


def test_the_table_of_samplers_is_complete() -> None:
    (row,) = re.findall(r"\| `sampler` \| (.*?) \|", TEXT)
    assert set(re.findall(r"`(\w+)`", row)) == set(sampling.CATALOGUE)
