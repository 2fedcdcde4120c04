"""Bundles of every format there ever was still load and answer the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from sharewise.bundle import Bundle, layout
from sharewise.bundle.stream import predict_file

FOLDERS = sorted(Path(__file__).parent.glob("bundle-format-*"))


def test_the_present_format_has_its_golden_bundle():
    assert f"bundle-format-{layout.FORMAT}" in [folder.name for folder in FOLDERS]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_golden_bundle_answers_as_it_did(folder, tmp_path):
    bundle = Bundle.load(folder / "bundle")
    assert {artifact.kind for artifact in bundle.artifacts.values()} == {"neural", "lightgbm", "linear"}
    predict_file(bundle, str(folder / "rows.parquet"), tmp_path / "answers.parquet")
    found, expected = pq.read_table(tmp_path / "answers.parquet"), pq.read_table(folder / "answers.parquet")
    assert found.schema == expected.schema
    for name in expected.column_names:
        want, got = expected[name].to_pylist(), found[name].to_pylist()
        if any(isinstance(v, float) for v in want):
            # Another processor may add a network's products in another order: equal to single precision.
            np.testing.assert_allclose(
                np.array(got, np.float64), np.array(want, np.float64), rtol=1e-4, atol=1e-6, err_msg=name
            )
        else:
            assert got == want, name
