"""The guide's example runs, and everything it names exists."""

from __future__ import annotations

import re
from pathlib import Path

import torch

from sharewise.balance import choose

GUIDE = Path(__file__).parents[2] / "docs" / "balance.md"


def test_the_example_runs_and_learns() -> None:
    torch.manual_seed(0)
    code = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(code) == 1
    assert len([line for line in code[0].splitlines() if line.strip()]) <= 15
    space: dict[str, object] = {}
    exec(code[0], space)
    step = space["step"]
    assert (step.weights > 0).all()  # type: ignore[attr-defined]
    assert (step.losses < 2.0).all()  # type: ignore[attr-defined]


def test_every_method_of_the_table_exists() -> None:
    table = GUIDE.read_text(encoding="utf-8").split("## Which one")[1].split("Where gradients")[0]
    named = set(re.findall(r"`([a-z_]+)`", table))
    assert named - set(choose.names()) == {"temperature", "unimax"}
