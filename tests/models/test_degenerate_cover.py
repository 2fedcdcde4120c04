"""Every way to share has a setting in which it is hard sharing, and a test of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from sharewise.models import sharing


@pytest.mark.parametrize("name", [n for n in sharing.CATALOGUE if n != "hard"])
def test_the_degenerate_setting_is_documented_and_tested(name: str) -> None:
    here = Path(__file__)
    assert f'"{name}"' in here.with_name("test_sharing_degenerate.py").read_text()
    rows = (here.parents[2] / "docs" / "sharing.md").read_text().splitlines()
    (row,) = [r for r in rows if r.startswith(f"| `{name}`")]
    assert row.rstrip(" |").split("|")[-1].strip(), "the last column says with which setting it is hard"
