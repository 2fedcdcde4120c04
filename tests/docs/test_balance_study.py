"""The study file shown in docs/balance.md is one."""

from __future__ import annotations

import re
from pathlib import Path

from ruamel.yaml import YAML

from sharewise.balance.choose import build
from sharewise.study.file import StudyFile
from sharewise.study.session import _balance

TEXT = (Path(__file__).parents[2] / "docs" / "balance.md").read_text(encoding="utf-8")


def test_the_balance_section_is_accepted_and_built() -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", TEXT, re.S)
    said = YAML(typ="safe").load(block) | {"data": "t.parquet", "tasks": ["a", "b", "c"]}
    declared = StudyFile.from_dict(said)
    assert [c.name for c in declared.candidates] == ["by nash", "by uncertainty"]
    for candidate in declared.candidates:
        assert candidate.balance is not None
        built = build(_balance(candidate.balance)).balancer
        assert type(built.method).__name__.lower() in candidate.name
