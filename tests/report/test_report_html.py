"""The page: valid, safe, accessible, complete, small and quick, whatever the data are called."""

from __future__ import annotations

import ast
import base64
import hashlib
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import report_synthetic as synthetic
from report_html_check import Page
from report_synthetic import Made
from test_report_sentences import resolved

from sharewise.records import SetAside
from sharewise.report import render, words
from sharewise.report.load import StudyRecords

SOURCE = Path(__file__).parents[2] / "src" / "sharewise" / "report"


def cases() -> dict[str, StudyRecords]:
    four = synthetic.study(synthetic.FOUR, aside=(SetAside("rare", "has no label in the test part"),))
    return {
        "four": four,
        "twelve": synthetic.study(synthetic.TWELVE, "tox21", 7831),
        "school": synthetic.study(synthetic.school(), "school", 15362, light=True),
        "one": synthetic.study(synthetic.FOUR[:1]),
        "hostile": synthetic.study(synthetic.HOSTILE, "<b>evil</b>"),
        "interrupted": synthetic.interrupted(four, 60),
        "bare": StudyRecords("bare", decisions=four.decisions),
    }


CASES = cases()


@cache
def html_of(name: str) -> str:
    return render(CASES[name])


@cache
def page_of(name: str) -> Page:
    return Page(html_of(name))


@pytest.mark.parametrize("name", CASES)
def test_the_page_is_valid_and_accessible(name: str) -> None:
    assert page_of(name).checked() == []


@pytest.mark.parametrize("name", CASES)
def test_the_page_needs_and_runs_nothing(name: str) -> None:
    html = html_of(name)
    assert not re.search(r"<(script|link|img|iframe|object|embed|base)\b", html)
    assert "http:" not in html
    assert "https:" not in html
    assert "@import" not in html
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', html)
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)
    assert policy is not None
    assert style is not None
    assert "default-src 'none'" in policy[1]
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy[1].replace("&#39;", "'").replace("&#43;", "+")
    assert "url(" not in style[1].replace("url(#", "")


def test_names_from_the_data_are_text_and_nothing_else() -> None:
    html = html_of("hostile")
    page = page_of("hostile")
    for made in synthetic.HOSTILE:
        assert any(words.visible(made.name, keep="\n") in e.text for e in page.all("th", "task")), made.name
    assert "<b>" not in html
    assert "onerror" not in {name for e in page.elements for name in e.attributes}
    assert not re.search("[\x00-\x08\x0b-\x1f\u202a-\u202e\u2066-\u2069]", html)
    assert "49" not in [e.text for e in page.all("th", "task")]


def test_the_answer_comes_first() -> None:
    page = page_of("twelve")
    body = [e for e in page.elements if e.tag in ("h1", "h2", "p", "table", "li")]
    first = [e.tag for e in body][:3]
    assert first == ["p", "p", "h1"]
    assert page.all("h1")[0].text.strip() == "Share 3 of 12 tasks in one model; 9 stay alone."
    assert page.all("title")[0].text.endswith("Share 3 of 12 tasks in one model; 9 stay alone.")


@pytest.mark.parametrize("name", ["four", "twelve", "hostile"])
def test_rows_of_a_table_have_a_cell_for_every_head(name: str) -> None:
    html = html_of(name)
    tables = re.findall(r"<table.*?</table>", html, re.DOTALL)
    assert len(tables) > 6
    for table in tables:
        n = len(re.findall(r'<th scope="col"', table))
        for row in re.findall(r"<tr role=\"row\">(.*?)</tr>", table, re.DOTALL):
            assert len(re.findall(r"<t[hd]\b", row)) == n


@pytest.mark.parametrize("name", ["four", "twelve", "school", "one"])
def test_every_number_names_the_record_it_comes_from(name: str, tmp_path: Path) -> None:
    records = CASES[name]
    root = synthetic.write(replace(records, runs=()), tmp_path / "run")
    page = page_of(name)
    pointers = [e.attributes["title"] for e in page.elements if "#/" in e.attributes.get("title", "")]
    assert len(pointers) > 20
    for title in pointers:
        for pointer in re.findall(r"\S+\.json#[^\s,]*", title):
            resolved(root, pointer)
    for cell in page.all("td", "change") + page.all("td", "score"):
        pointer = cell.attributes.get("title")
        if pointer is None:
            assert cell.text.strip() == words.MISSING
            continue
        value = resolved(root, pointer)
        assert isinstance(value, float)
        shown = words.score(value)
        if pointer.endswith("/effect"):
            shown = words.change(value, str(resolved(root, pointer.replace("/effect", "/scale"))))
        assert cell.text.startswith(shown), pointer


def test_the_verdict_table_says_everything() -> None:
    row = page_of("four")
    texts = [e.text for e in row.elements if e.tag in ("th", "td")]
    joined = " ".join(texts).replace(words.THIN, " ")
    parts = ["area", "RMSE", "336 test rows", "lightgbm, 5 runs", "−31.0 %[−43.0, −19.0] %", "harm above 42.13", "harm"]
    for part in [*parts, "not enough evidence", "No number of runs can settle this", "primary"]:
        assert part in joined, part
    assert re.search(r"41\.30 ± 0\.\d\d", joined)


def test_harm_no_harm_and_undecided_differ_without_colour() -> None:
    page = page_of("twelve")
    named = [e.attributes for e in page.all("path") if e.attributes.get("id", "").startswith("m-")]
    shapes = {a["id"]: a["d"] for a in named}
    assert len(set(shapes.values())) == len(shapes) >= 5
    style = page.all("style")[0].text
    assert "stroke-dasharray" in re.search(r"line\.bar\.open \{[^}]*\}", style)[0]  # type: ignore[index]


def test_many_tasks_come_as_families_first() -> None:
    html = html_of("school")
    page = page_of("school")
    assert "Verdicts by family" in html
    assert html.index("exam_score</span>") < html.index("<details>", html.index('id="verdicts"'))
    before = html[: html.index("<details>")]
    assert "exam_score[school=77]" not in before
    assert html.count("exam_score[school=77]") > 3
    columns = page.all("rect", "column")
    counted = sum(int(re.search(r"(\d+) tasks?", e.text)[1]) for e in columns)  # type: ignore[index]
    assert counted == 139


def test_size_and_time_for_139_tasks() -> None:
    records = synthetic.study(synthetic.school(), "school", 15362)
    assert len(records.runs) > 5000
    render(CASES["one"])
    started = time.process_time()
    html = render(records)
    assert time.process_time() - started < 2.0
    assert len(html.encode()) < 1_500_000


@pytest.mark.parametrize("n", [2, 30, 31])
def test_any_number_of_tasks(n: int) -> None:
    made = [Made(f"t{i}", effect=0.01 * (i % 7 - 3), half=0.008 + 0.01 * (i % 3)) for i in range(n)]
    html = render(synthetic.study(made, light=True))
    assert Page(html).checked() == []
    assert ("Verdicts by family" in html) == (n > 30)


def test_the_same_records_give_the_same_page() -> None:
    assert render(CASES["twelve"]) == render(CASES["twelve"])


# --- colours ----------------------------------------------------------------------------------------------


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def _contrast(a: str, b: str) -> float:
    low, high = sorted((_luminance(a), _luminance(b)))
    return (high + 0.05) / (low + 0.05)


def test_text_stands_out_in_light_and_dark() -> None:
    style = (SOURCE / "style.css").read_text(encoding="utf-8")
    schemes = [
        dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))
        for block in re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    ]
    assert len(schemes) == 3
    for colours in schemes:
        for name in ("ink", "soft", "accent", "better", "safe", "worse", "open", "harm"):
            for ground in ("page", "card"):
                assert _contrast(colours[name], colours[ground]) >= 4.5, (name, ground)
        assert _contrast(colours["warn"], colours["warn-soft"]) >= 4.5
        for level in range(10):
            ink = colours["th-low" if level < 7 else "th-high"]
            assert _contrast(ink, colours[f"h{level}"]) >= 4.5, level


# --- floors -----------------------------------------------------------------------------------------------


def test_the_room_only_looks() -> None:
    allowed = {"errors", "records", "causes", "tasks", "plan", "report"}
    for path in SOURCE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names: Sequence[str] = ()
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            for name in names:
                if name.startswith("sharewise."):
                    assert name.split(".")[1] in allowed, (path.name, name)


def test_a_report_is_made_without_torch_numpy_or_pandas(tmp_path: Path) -> None:
    root = synthetic.write(CASES["four"], tmp_path / "run")
    code = (
        "import sys; from sharewise import report; report.write(sys.argv[1]); "
        "bad = {'torch', 'numpy', 'pandas', 'sklearn', 'scipy', 'pyarrow'} & set(sys.modules); "
        "sys.exit(str(bad) if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(root)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (root / "report.html").exists()
