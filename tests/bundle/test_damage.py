"""Damaged, truncated, incomplete, overfull and newer bundles: one sentence each, at once."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import pytest
import tiny_bundle as tiny

from sharewise.bundle import Bundle, layout, save
from sharewise.errors import BundleError


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("runs") / "bundle", **tiny.parts())


@pytest.fixture
def copy(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "bundle"))


FILES = [
    "plan.json",
    "routes.jsonl",
    "codec.json",
    "schema.json",
    "provenance.json",
    "card.md",
    "MLmodel",
    "groups/together@1/weights.safetensors",
    "groups/together@1/model.json",
]


def refused(path: Path) -> str:
    started = time.perf_counter()
    with pytest.raises(BundleError) as caught:
        Bundle.load(path)
    assert time.perf_counter() - started < 1.0
    assert all("\n" not in str(problem) for problem in caught.value.problems)
    assert caught.value.exit_code == 2
    return str(caught.value)


@pytest.mark.parametrize("name", FILES)
class TestEveryFile:
    def test_missing(self, copy, name):
        (copy / name).unlink()
        assert f"'{name}' is missing" in refused(copy)

    def test_cut_off(self, copy, name):
        (copy / name).write_bytes((copy / name).read_bytes()[:-7])
        assert f"'{name}' is cut off" in refused(copy)

    def test_one_bit_flipped(self, copy, name):
        content = bytearray((copy / name).read_bytes())
        content[len(content) // 2] ^= 1
        (copy / name).write_bytes(content)
        assert f"'{name}' is damaged" in refused(copy)


def test_an_extra_file(copy):
    (copy / "groups" / "together@1" / "hook.py").write_text("print('hello')")
    assert "'groups/together@1/hook.py' is there" in refused(copy)


def test_a_link_instead_of_a_folder(copy, tmp_path):
    shutil.move(copy / "groups", tmp_path / "elsewhere")
    os.symlink(tmp_path / "elsewhere", copy / "groups")
    assert "is missing" in refused(copy)


def test_all_faults_are_reported_together(copy):
    (copy / "card.md").unlink()
    (copy / "extra").write_text("?")
    (copy / "plan.json").write_text("{}")
    text = refused(copy)
    assert "'card.md' is missing" in text
    assert "'extra' is there" in text
    assert "'plan.json' is cut off" in text


def test_very_many_faults_are_counted(copy):
    for path in list(copy.rglob("*.*")):
        if path.is_file() and path.name != "checksums.json":
            path.unlink()
    assert len(refused(copy).splitlines()) == 8


def test_a_newer_format(copy):
    said = json.loads((copy / "checksums.json").read_text())
    (copy / "checksums.json").write_text(json.dumps({**said, "format": layout.FORMAT + 1}))
    assert "Install a newer Sharewise" in refused(copy)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"format": "new", "files": {}}', '{"format": 1, "files": [1]}', '{"format": 0}']
)
def test_damaged_checksums(copy, text):
    (copy / "checksums.json").write_text(text)
    assert "checksums.json" in refused(copy)


def test_checksums_that_lead_outside(copy):
    said = json.loads((copy / "checksums.json").read_text())
    said["files"]["../secret"] = {"size": 1, "sha256": ""}
    (copy / "checksums.json").write_text(json.dumps(said))
    assert "lie inside it" in refused(copy)


def test_no_bundle_at_all(tmp_path, copy):
    assert "there is no" in refused(tmp_path / "nowhere")
    (tmp_path / "file").write_text("x")
    assert "is a file" in refused(tmp_path / "file")
    (tmp_path / "empty").mkdir()
    assert "holds checksums.json" in refused(tmp_path / "empty")
    assert f"Did you mean '{copy}'?" in refused(copy.parent)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("plan.json", b'{"name": 1}'),
        ("routes.jsonl", b"{}\n"),
        ("codec.json", b"{}"),
        ("codec.json", b"\xff"),
        ("groups/together@1/model.json", b"[]"),
    ],
)
def test_files_whole_but_not_of_their_form(copy, name, content):
    rewrite(copy, name, content)
    refused(copy)


@pytest.mark.parametrize("kind", ["yes", "grade", "kind"])
def test_models_whole_but_not_models_are_refused_when_they_should_answer(copy, kind):
    bundle = Bundle.load(copy)
    where = layout.folder(bundle.routes.addresses()[kind])
    name = next(p for p in (copy / where).iterdir() if p.name != "model.json").name
    rewrite(copy, f"{where}/{name}", b"tree\nnothing")
    with pytest.raises(BundleError, match="must hold its model") as caught:
        Bundle.load(copy).predict(tiny.table().arrow, tasks=[kind])
    assert "\n" not in str(caught.value)


def rewrite(root: Path, name: str, content: bytes) -> None:
    """Change a file together with its checksum, as a faulty writer would."""
    (root / name).write_bytes(content)
    entries = {
        p.relative_to(root).as_posix(): layout.Entry.of(p.read_bytes())
        for p in root.rglob("*")
        if p.is_file() and p.name != layout.CHECKSUMS
    }
    (root / layout.CHECKSUMS).write_bytes(layout.checksums(entries))
