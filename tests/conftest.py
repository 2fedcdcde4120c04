"""What all tests share: one thread, the slow switch, the real tables."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="also run tests that need minutes")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    data = os.environ.get("SHAREWISE_DATA")
    slow = pytest.mark.skip(reason="slow: run with --slow")
    absent = pytest.mark.skip(reason="SHAREWISE_DATA names no folder with the real tables")
    for item in items:
        if "slow" in item.keywords and not config.getoption("--slow"):
            item.add_marker(slow)
        if "data" in item.keywords and not (data and Path(data).is_dir()):
            item.add_marker(absent)


def pytest_report_header(config: pytest.Config) -> str:
    data = os.environ.get("SHAREWISE_DATA")
    if data and Path(data).is_dir():
        return f"real tables: {len(list(Path(data).glob('*.parquet')))} in SHAREWISE_DATA"
    return "REAL TABLES ARE NOT TESTED: SHAREWISE_DATA names no folder"


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Small nets train slower with more threads, and sums would change with their number."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torch
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def real_tables() -> Path:
    """The folder of real tables; only for tests marked `data`."""
    return Path(os.environ["SHAREWISE_DATA"])
