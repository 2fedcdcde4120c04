"""Saving, loading and answering."""

from __future__ import annotations

import io
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import tiny_bundle as tiny
from PIL import Image

from sharewise.bundle import Address, Bundle, Reroute, Retired, append_route, save
from sharewise.bundle.layout import folder, slug
from sharewise.errors import BundleError, DataError
from sharewise.tables.images.native import Native
from sharewise.tables.read import Table
from sharewise.tables.schema import Input, InputKind


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("runs") / "bundle", **tiny.parts())


@pytest.fixture
def copy(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "bundle"))


@pytest.fixture(scope="module")
def bundle(saved: Path) -> Bundle:
    return Bundle.load(saved)


TASKS = ["yes", "kind", "grade", "tags", tiny.ODD, "again", "score"]


def test_pictures_that_are_skipped_are_told(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the Python way as by the command line: with their rows, of a table of several pieces too."""
    monkeypatch.setattr("sharewise.bundle.load._PIECE", 50)
    data = tiny.table()
    blank = io.BytesIO()
    Image.new("L", (9, 9)).save(blank, "PNG")
    cells = [blank.getvalue() if i not in (3, 98) else b"nonsense" for i in range(tiny.N)]
    data = Table(data.arrow.append_column("p", pa.array(cells)), "t")
    photo = Native(unreadable="skip").fit("p", data.column("p"), np.arange(100), Path())
    codec = replace(
        bundle.codec,
        encoders=(*bundle.codec.encoders, photo),
        schema=replace(bundle.codec.schema, inputs=(*bundle.codec.schema.inputs, Input("p", InputKind.IMAGE))),
    )
    told = "2 pictures of 'p' cannot be read and count as missing: rows 4, 99"
    with pytest.warns(UserWarning, match=told) as caught:
        replace(bundle, codec=codec).predict(data.arrow, ["score"])
    assert [w.filename for w in caught] == [__file__]
    with pytest.warns(UserWarning, match=told):
        replace(bundle, codec=codec).predict_proba(data.arrow, ["kind"])


class TestAnswers:
    def test_a_frame_of_the_kind_that_was_given(self, bundle):
        arrow = tiny.table().arrow
        frame = arrow.to_pandas().set_index(np.arange(500, 500 + tiny.N))
        answers = {
            pa.Table: bundle.predict(arrow),
            pd.DataFrame: bundle.predict(frame),
            pl.DataFrame: bundle.predict(pl.from_arrow(arrow)),
        }
        for kind, answer in answers.items():
            assert isinstance(answer, kind)
        assert (answers[pd.DataFrame].index == frame.index).all()
        assert answers[pd.DataFrame]["yes__prediction"].tolist() == answers[pa.Table]["yes__prediction"].to_pylist()
        assert answers[pl.DataFrame]["yes__prediction"].to_list() == answers[pa.Table]["yes__prediction"].to_pylist()

    def test_original_labels_and_units_one_column_per_task(self, bundle):
        arrow = tiny.table().arrow.drop_columns(
            [*tiny.tasks()["tags"].columns, "yes", "kind", "grade", tiny.ODD, "score"]
        )
        answer = bundle.predict(arrow)
        assert answer.column_names == ["id", "yes", "kind", "grade", "tags", tiny.ODD, "again__x", "again__z", "score"]
        assert answer["id"].to_pylist() == arrow["id"].to_pylist()
        assert set(answer["yes"].to_pylist()) == {"yes", "no"}
        assert set(answer["grade"].to_pylist()) <= {0, 1, 2, 3}
        assert set(map(tuple, answer["tags"].to_pylist())) <= {(), ("tag_a",), ("tag_b",), ("tag_a", "tag_b")}
        # The task is learned on a log scale and answered in its own unit.
        assert min(answer[tiny.ODD].to_pylist()) > -1.0

    def test_an_input_column_is_never_overwritten(self, bundle):
        answer = bundle.predict(tiny.table().arrow, tasks=["yes"])
        assert answer.column_names == ["id", "yes__prediction"]

    def test_a_grouped_declaration_is_one_column_and_strangers_have_no_answer(self, bundle):
        arrow = tiny.table().arrow
        answer = bundle.predict(arrow, tasks=["score"])["score__prediction"].to_pylist()
        for school, value in zip(arrow["school"].to_pylist(), answer, strict=True):
            assert (value is None) == (school == "c")
        inputs = bundle.codec.encode(tiny.table())
        rows = np.flatnonzero(np.array(arrow["school"].to_pylist()) == "b")
        whole = bundle.predictions(inputs, {"score@b": np.arange(tiny.N)})["score@b"]
        np.testing.assert_allclose([answer[i] for i in rows], whole[rows, 0], rtol=1e-5)

    def test_probabilities_by_task_and_class(self, bundle):
        frame = tiny.table().arrow.to_pandas()
        found = bundle.predict_proba(frame)
        assert list(found) == ["yes", "kind", "grade", "tags"]
        assert list(found["kind"].columns) == ["high", "low", "mid"]
        np.testing.assert_allclose(found["yes"].sum(axis=1), 1.0, rtol=1e-5)
        np.testing.assert_allclose(found["grade"].sum(axis=1), 1.0, rtol=1e-5)
        picked = found["kind"].columns[found["kind"].to_numpy().argmax(axis=1)]
        assert list(picked) == bundle.predict(frame, tasks=["kind"])["kind__prediction"].tolist()

    def test_one_forward_for_each_checkpoint_that_is_asked(self, bundle, monkeypatch):
        from sharewise.models.build import GroupModel

        calls = []
        inner = GroupModel.predict
        monkeypatch.setattr(GroupModel, "predict", lambda self, x, **how: calls.append(1) or inner(self, x, **how))
        bundle.predict(tiny.table().arrow)
        assert len(calls) == 3
        calls.clear()
        bundle.predict(tiny.table().arrow, tasks=[tiny.ODD, "again", "yes"])
        assert len(calls) == 1

    def test_rows_are_answered_alike_alone_and_together(self, bundle):
        arrow = tiny.table().arrow
        whole = bundle.predict(arrow)[f"{tiny.ODD}__prediction"].to_numpy()
        alone = bundle.predict(arrow.slice(7, 1))[f"{tiny.ODD}__prediction"].to_numpy()
        np.testing.assert_allclose(alone, whole[7:8], rtol=1e-5)

    def test_extra_columns_and_unseen_categories_are_ordinary(self, bundle):
        arrow = tiny.table(5).arrow.append_column("extra", pa.array(["?"] * 5))
        arrow = arrow.set_column(arrow.column_names.index("colour"), "colour", pa.array(["mauve"] * 5))
        assert bundle.predict(arrow).num_rows == 5

    def test_all_missing_inputs_are_named_at_once(self, bundle):
        with pytest.raises(DataError, match=r"lacks 3 columns 'z', 'bits', 'school'") as caught:
            bundle.predict(tiny.table().arrow.drop_columns(["z", "bits", "school"]))
        assert len(caught.value.problems) == 1

    def test_an_unknown_task_is_answered_with_the_nearest(self, bundle):
        with pytest.raises(BundleError, match="Did you mean 'grade'"):
            bundle.predict(tiny.table().arrow, tasks=["grades"])

    def test_an_empty_table_is_refused(self, bundle):
        with pytest.raises(DataError, match="must have rows"):
            bundle.predict(tiny.table().arrow.slice(0, 0))


class TestSaving:
    def test_what_is_loaded_is_what_was_saved(self, saved, bundle):
        parts = tiny.parts()
        assert bundle.plan == parts["plan"]
        assert bundle.routes == parts["routes"]
        assert bundle.codec == parts["codec"]
        assert {a.address for a in parts["artifacts"]} == set(bundle.artifacts)
        assert json.loads((saved / "provenance.json").read_text()) == parts["provenance"]
        names = {p.relative_to(saved).as_posix() for p in saved.rglob("*") if p.is_file()}
        assert {
            "plan.json",
            "routes.jsonl",
            "schema.json",
            "codec.json",
            "card.md",
            "MLmodel",
            "checksums.json",
        } < names
        assert "groups/together@1/weights.safetensors" in names
        assert f"{folder(Address('single:yes'))}/model.txt" in names

    def test_mlflow_finds_its_loader_and_all_columns(self, saved):
        from ruamel.yaml import YAML

        from sharewise.bundle import pyfunc

        said = YAML(typ="safe").load((saved / "MLmodel").read_text())
        assert said["flavors"]["python_function"]["loader_module"] == pyfunc.__name__
        columns = json.loads(said["signature"]["inputs"])
        assert [c["name"] for c in columns if c["required"]] == ["x", "z", "colour", "on", "day", "bits", "school"]
        frame = tiny.table().arrow.to_pandas()
        answer = pyfunc._load_pyfunc(str(saved)).predict(frame)
        assert isinstance(answer, pd.DataFrame)
        assert len(answer) == tiny.N

    def test_nothing_in_it_is_a_pickle(self, saved):
        for path in saved.rglob("*"):
            if path.is_file():
                assert not path.read_bytes().startswith((b"\x80\x04\x95", b"\x80\x05\x95", b"PK"))
                assert path.suffix in {".json", ".jsonl", ".md", ".txt", ".safetensors", ""}

    def test_saving_is_byte_for_byte_repeatable(self, saved, tmp_path):
        again = save(tmp_path / "again", **tiny.parts())
        for path in saved.rglob("*"):
            if path.is_file():
                assert path.read_bytes() == (again / path.relative_to(saved)).read_bytes()

    def test_a_bundle_is_replaced_only_when_told(self, copy):
        with pytest.raises(BundleError, match="exists"):
            save(copy, **tiny.parts())
        save(copy, **{**tiny.parts(), "card": "# New\n"}, overwrite=True)
        assert Bundle.load(copy).card == "# New\n"
        assert [p.name for p in copy.parent.iterdir()] == ["bundle"]

    def test_something_else_is_never_replaced(self, tmp_path):
        (tmp_path / "thesis").mkdir()
        (tmp_path / "thesis" / "chapter.txt").write_text("years of work")
        with pytest.raises(BundleError, match="something else"):
            save(tmp_path / "thesis", **tiny.parts(), overwrite=True)

    @pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
    @pytest.mark.parametrize("n_good", [0, 3, 15])
    def test_cut_off_anywhere_nothing_is_left(self, tmp_path, monkeypatch, error, n_good):
        import os

        done = []

        def fsync(handle: int) -> None:
            done.append(handle)
            if len(done) > n_good:
                raise error

        monkeypatch.setattr(os, "fsync", fsync)
        with pytest.raises(BundleError if isinstance(error, OSError) else KeyboardInterrupt) as caught:
            save(tmp_path / "bundle", **tiny.parts())
        assert list(tmp_path.iterdir()) == []
        if isinstance(error, OSError):
            assert str(caught.value).count("\n") == 0
            assert "No space left on device" in str(caught.value)

    def test_leftovers_of_a_killed_save_are_cleared(self, tmp_path):
        (tmp_path / ".bundle.partial-dead").mkdir()
        save(tmp_path / "bundle", **tiny.parts())
        assert [p.name for p in tmp_path.iterdir()] == ["bundle"]

    def test_routes_must_lead_somewhere(self, tmp_path):
        parts = tiny.parts()
        wrong = [
            parts["routes"].apply(Reroute("yes", Address("nowhere"), "?", tiny.WHEN)),
            parts["routes"].apply(Reroute("yes", Address("together"), "?", tiny.WHEN)),
            parts["routes"].apply(Reroute("stranger", Retired("?"), "?", tiny.WHEN)),
            type(parts["routes"])(parts["routes"].log[1:]),
        ]
        for routes in wrong:
            with pytest.raises(BundleError, match="Every task of a bundle has a route"):
                save(tmp_path / "bundle", **{**parts, "routes": routes})
        assert list(tmp_path.iterdir()) == []


class TestNames:
    def test_any_name_gives_a_safe_folder_of_its_own(self):
        names = [
            "a",
            "A",
            "a/b",
            "a b",
            "../../etc",
            "é" * 300,
            "x" * 300,
            "x" * 301,
            "",
            ".",
            "CON",
            "a\n",
            "\U0001f9ea",
        ]
        folders = [slug(name) for name in names]
        assert len({f.lower() for f in folders}) == len(names)
        for made in folders:
            assert len(made) < 60
            assert set(made) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_")

    def test_colliding_names_live_side_by_side(self, tmp_path):
        parts = tiny.parts()
        names = ["Group", "group", "group/../x", "x" * 300, "ähm"]
        moved = [
            type(a)(Address(n), a.kind, a.tasks, a.model, a.files)
            for n, a in zip(names, parts["artifacts"], strict=True)
        ]
        homes = {task: a.address for a in moved for task in a.tasks}
        routes = type(parts["routes"])(tuple(Reroute(t, homes[t], "", tiny.WHEN) for t in tiny.tasks().names))
        save(tmp_path / "b", **{**parts, "artifacts": moved, "routes": routes})
        assert {a.group for a in Bundle.load(tmp_path / "b").artifacts} == set(names)


class TestRoutes:
    def test_a_change_is_appended_and_followed(self, copy):
        before = (copy / "routes.jsonl").read_bytes()
        append_route(copy, Reroute("yes", Retired("nobody asks"), "unused", tiny.WHEN))
        assert (copy / "routes.jsonl").read_bytes().startswith(before)
        bundle = Bundle.load(copy)
        assert "yes" not in bundle.questions
        assert "yes__prediction" not in bundle.predict(tiny.table().arrow).column_names
        append_route(copy, Reroute("yes", Address("single:yes"), "asked again", tiny.WHEN))
        assert "yes" in Bundle.load(copy).questions

    def test_killed_between_log_and_checksum_the_bundle_is_whole(self, copy):
        checksums = (copy / "checksums.json").read_bytes()
        append_route(copy, Reroute("yes", Retired("nobody asks"), "unused", tiny.WHEN))
        (copy / "checksums.json").write_bytes(checksums)
        assert "yes" not in Bundle.load(copy).questions

    def test_history_cannot_be_rewritten(self, copy):
        append_route(copy, Reroute("yes", Retired("nobody asks"), "unused", tiny.WHEN))
        text = (copy / "routes.jsonl").read_bytes()
        for changed in (text.replace(b"nobody", b"no-one"), text[:-5], text.replace(b"it won", b"it was", 1)):
            (copy / "routes.jsonl").write_bytes(changed)
            with pytest.raises(BundleError):
                Bundle.load(copy)

    def test_a_route_to_nowhere_is_not_appended(self, copy):
        before = (copy / "routes.jsonl").read_bytes()
        with pytest.raises(BundleError, match="not there"):
            append_route(copy, Reroute("yes", Address("single:yes", 2), "?", tiny.WHEN))
        assert (copy / "routes.jsonl").read_bytes() == before

    def test_applying_leaves_the_old_routes_as_they_were(self):
        routes = tiny.parts()["routes"]
        routes.apply(Reroute("yes", Retired("x"), "y", tiny.WHEN))
        assert routes.now["yes"] == Address("single:yes")
