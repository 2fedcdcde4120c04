"""The decision document as Markdown, to be kept with the code; every sentence names the records it rests on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from sharewise.records import write_atomic
from sharewise.report import words
from sharewise.report.blocks import Cell, Table
from sharewise.report.book import subtitle
from sharewise.report.decision import document
from sharewise.report.load import StudyRecords, load
from sharewise.report.pointers import Pointers
from sharewise.report.rows import task_rows
from sharewise.report.sentences import Sentence, answer

DECISION = "decision.md"
_SOURCES_SHOWN = 6


def write_decision(run_dir: Path | str) -> Path:
    """Write `decision.md` into a run directory; raises DataError where it holds no study."""
    path = Path(run_dir) / DECISION
    write_atomic(path, decision_text(load(run_dir)))
    return path


def decision_text(records: StudyRecords) -> str:
    """The questions and answers as Markdown, sentence numbers leading to the list of sources at the end."""
    rows = task_rows(records)
    answered = document(records, rows)
    name = records.name if records.design is None else records.design.name
    lines = [f"# {_plain(name)}: {_plain(answer(records)[0].text)}", "", _plain(subtitle(records)), ""]
    sources: list[Sentence] = []

    def bullets(said: Sequence[Sentence]) -> list[str]:
        made = []
        for sentence in said:
            sources.append(sentence)
            made.append(f"- {_plain(sentence.text)} [[{len(sources)}]](#numbers)")
        return made

    for one in answered:
        lines += [f"## {one.title}", "", *bullets(one.sentences), ""]
        if one.command:
            lines += ["```sh", *map(words.visible, one.command.splitlines()), "```", ""]
        lines += [*bullets(one.after), ""] if one.after else []
        lines += [*_table(one.table), ""] if one.table is not None else []
    if sources:
        lines += ["## Numbers", "", "Files of the run directory, each with a JSON pointer into it.", ""]
        pointers = Pointers(records)
        lines += [f"{i}. {_listed(sentence, pointers)}" for i, sentence in enumerate(sources, start=1)]
    return "\n".join(lines).rstrip("\n") + "\n"


def _listed(sentence: Sentence, pointers: Pointers) -> str:
    shown = []
    for source in sentence.sources[:_SOURCES_SHOWN]:
        value = pointers.shown(source)
        shown.append(f"`{source}`" + (f" = {_plain(value)}" if value else ""))
    more = len(sentence.sources) - len(shown)
    return "; ".join(shown) + (f"; and {words.count(more)} more" if more > 0 else "")


def _table(table: Table) -> list[str]:
    head = "| " + " | ".join(map(_plain, table.head)) + " |"
    rule = "|" + "---|" * len(table.head)
    return [head, rule, *("| " + " | ".join(_cell(cell) for cell in row) + " |" for row in table.rows)]


def _cell(cell: Cell) -> str:
    return _plain(": ".join(part for part in (cell.text, cell.note) if part))


def _plain(text: str) -> str:
    """Text on one line that Markdown shows as it stands."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", " ".join(words.visible(text).split(" ")))
