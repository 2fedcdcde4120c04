"""Rooms import only lower rooms, and light doors stay light."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import grimp
import pytest
from importlinter.cli import lint_imports

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "pandas", "sklearn", "scipy", "lightgbm", "pyarrow")


def loaded_by(code: str) -> set[str]:
    """Heavy packages in memory after `code` ran in a fresh interpreter."""
    script = f"import sys\n{code}\nprint(*sorted({{m.partition('.')[0] for m in sys.modules}} & {set(HEAVY)!r}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    return set(done.stdout.splitlines()[-1].split()) if done.stdout.strip() else set()


def test_floors_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert lint_imports(config_filename="pyproject.toml", no_cache=True) == 0


def test_no_files_import_each_other_not_even_when_they_are_called() -> None:
    graph = grimp.build_graph("sharewise", exclude_type_checking_imports=True, cache_dir=None)
    left = {name: graph.find_modules_directly_imported_by(name) for name in graph.modules}
    while lowest := [name for name, imported in left.items() if not imported & left.keys()]:
        for name in lowest:
            del left[name]
    # What imports a circle is left over too; a circle itself is imported by what is left.
    circle = {name for name in left if any(name in imported for imported in left.values())}
    assert not circle, sorted(circle)


def test_the_package_imports_nothing_heavy() -> None:
    assert loaded_by("import sharewise") == set()


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["init", "--help"], ["schema"]])
def test_help_and_schema_import_nothing_heavy(arguments: list[str]) -> None:
    code = f"from sharewise.cli import main\ntry:\n    main({arguments!r})\nexcept SystemExit:\n    pass"
    assert loaded_by(code) == set()


def test_a_study_file_is_checked_without_torch(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text("data: t.parquet\ntasks: [a]\narchitecture: {name: hard, width: 32}\nbalance: {weighting: equal}\n")
    assert "torch" not in loaded_by(f"from sharewise.study.file import load\nload({str(path)!r})")


def test_every_family_member_is_one_file() -> None:
    from sharewise import grouping
    from sharewise.balance import aggregation, scaling, weighting
    from sharewise.models import encoders, heads, sharing

    for catalogue in (encoders, heads, sharing, weighting, aggregation, scaling, grouping):
        for name, path in catalogue.CATALOGUE.items():
            module = path.partition(":")[0]
            assert (ROOT / "src" / (module.replace(".", "/") + ".py")).exists(), name
