"""The page as one HTML file that needs nothing else: style and drawings inside, no scripts, no requests.

A content security policy in the page forbids scripts and every request, and allows the one style block by its hash.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from sharewise.records import write_atomic
from sharewise.report import figures, words
from sharewise.report.load import StudyRecords, load
from sharewise.report.pages import Page, page

_HERE = Path(__file__).parent
REPORT = "report.html"


def render(records: StudyRecords) -> str:
    """The report of a study as one self-contained HTML document; everything from the data is escaped."""
    return to_html(page(records))


def to_html(made: Page) -> str:
    """A page as one self-contained HTML document."""
    style = _style()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    html = _template().render(page=made, style=Markup(style), digest=digest, symbols=figures.symbols())
    return html if html.endswith("\n") else html + "\n"


def write(run_dir: Path | str, output: Path | str | None = None) -> Path:
    """Write the report of a run directory, to `report.html` in it unless told otherwise; whole or not at all.

    Raises DataError where `run_dir` holds no study.
    """
    html = render(load(run_dir))
    path = Path(run_dir) / REPORT if output is None else Path(output)
    write_atomic(path, html)
    return path


@cache
def _style() -> str:
    lines = (_HERE / "style.css").read_text(encoding="utf-8").splitlines()
    return "\n".join(line.strip() for line in lines if line.strip())


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    return environment.get_template("page.html.j2")


def _shown(value: object) -> object:
    """Text without the control characters that HTML forbids, or that turn the direction of writing."""
    return words.visible(value, keep="\n\t") if isinstance(value, str) and not isinstance(value, Markup) else value
