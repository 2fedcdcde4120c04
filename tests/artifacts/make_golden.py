"""Makes `bundle-format-N` for the present format: run once when the format changes, never to change an old one.

    python tests/artifacts/make_golden.py

The bundle holds trees, a linear model and networks; `rows.parquet` are rows to answer, `answers.parquet` what was
answered when the bundle was made. Later versions must load it and answer the same.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pyarrow.parquet as pq

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "bundle"))

import tiny_bundle as tiny  # noqa: E402  (its folder is put on the path first)

from sharewise.bundle import Bundle, layout, save  # noqa: E402
from sharewise.bundle.stream import predict_file  # noqa: E402


def main() -> None:
    """Write the folder; refuses to touch one that exists."""
    folder = HERE / f"bundle-format-{layout.FORMAT}"
    folder.mkdir()
    try:
        save(folder / "bundle", **tiny.parts())
        pq.write_table(tiny.table(30, seed=9).arrow, folder / "rows.parquet")
        predict_file(Bundle.load(folder / "bundle"), str(folder / "rows.parquet"), folder / "answers.parquet")
    except BaseException:
        shutil.rmtree(folder)
        raise


if __name__ == "__main__":
    main()
