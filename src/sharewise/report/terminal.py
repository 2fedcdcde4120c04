"""The answer on a terminal: the sentences, then one line a task, or one line a family where there are very many."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sharewise.report import words
from sharewise.report.families import families, median_change
from sharewise.report.load import StudyRecords, load
from sharewise.report.rows import MANY, State, TaskRow, of_state, task_rows
from sharewise.report.sentences import answer

_STYLE = {
    State.BETTER: "green",
    State.SAFE: "cyan",
    State.WORSE: "cyan",
    State.UNDECIDED: "yellow",
    State.HARM: "bold red",
    State.NONE: "dim",
}
_HEAD = ("task", "single", "shared", "change", "verdict", "answered by", "what would settle it")
_FAMILY_HEAD = ("family", "tasks", "share", "better", "no harm", "slightly worse", "open", "harm", "median change")


def show(study: StudyRecords | Path | str, console: Console | None = None) -> None:
    """Print the answer of a study, given as its records or its run directory, on `console` (default: stdout).

    Coloured and ruled on a terminal; off a terminal, and with NO_COLOR, aligned plain text, one line a task, for `grep`
    and logs. Raises DataError where a directory holds no study.
    """
    records = study if isinstance(study, StudyRecords) else load(study)
    console = console or Console()
    rows = task_rows(records)
    many = len(rows) > MANY
    head = _FAMILY_HEAD if many else _HEAD
    lines = _family_lines(rows) if many else [_line(row) for row in rows if row.verdict or row.decision]
    fancy = console.is_terminal and not console.no_color
    for i, sentence in enumerate(answer(records)):
        style = "bold" if i == 0 and fancy else ""
        text = Text(words.visible(_fitting(sentence.text, console)), style=style)
        console.print(text, highlight=False, soft_wrap=not fancy)
    if not lines:
        return
    console.print()
    if fancy:
        console.print(_table(head, lines, [] if many else [row.state for row in rows if row.verdict or row.decision]))
    else:
        for line in _aligned(head, lines, console):
            console.print(Text(line), highlight=False, soft_wrap=True)


def _line(row: TaskRow) -> tuple[str, ...]:
    single = shared = change = words.MISSING
    if row.own is not None:
        single = f"{words.score(row.own.score)} {words.between(row.own.low, row.own.high)} ({row.own.arm})"
    settle = ""
    if row.verdict is not None:
        c = row.verdict.comparison
        single = f"{words.score(c.baseline_score)} ({c.baseline})"
        shared = words.score(c.candidate_score)
        change = f"{words.change(c.effect, c.scale)} {words.interval(c.low, c.high, c.scale)}"
        settle = row.verdict.receipt.sentence if row.verdict.receipt is not None else ""
    answered = words.MISSING
    if row.decision is not None:
        answered = "shared model" if row.shares else row.decision.arm
    label = f"{row.name} ({row.metric_label})" if row.metric_label else row.name
    return (label, single, shared, change, row.state.value, answered, settle)


def _family_lines(rows: Sequence[TaskRow]) -> list[tuple[str, ...]]:
    states = (State.BETTER, State.SAFE, State.WORSE, State.UNDECIDED, State.HARM)
    return [
        (
            name,
            words.count(len(members)),
            words.count(sum(row.shares for row in members)),
            *(words.count(len(of_state(members, state))) for state in states),
            median_change(members) or words.MISSING,
        )
        for name, members in families(rows).items()
    ]


def _table(head: Sequence[str], lines: Sequence[Sequence[str]], states: Sequence[State]) -> Table:
    table = Table(show_edge=False, pad_edge=False, header_style="bold")
    for i, name in enumerate(head):
        table.add_column(name, overflow="fold", max_width=46 if i == len(head) - 1 else None)
    for i, line in enumerate(lines):
        cells = [Text(words.visible(text)) for text in line]
        if states:
            cells[4].stylize(_STYLE[states[i]])
            cells[0].stylize("bold")
        table.add_row(*cells)
    return table


def _aligned(head: Sequence[str], lines: Sequence[Sequence[str]], console: Console) -> list[str]:
    shown = [[words.visible(_fitting(text, console)) for text in line] for line in [head, *lines]]
    widths = [max(len(line[i]) for line in shown) for i in range(len(head))]
    return ["  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in shown]


def _fitting(text: str, console: Console) -> str:
    """The text as it stands, or in ASCII where the stream cannot carry more."""
    try:
        text.encode(console.encoding)
    except (UnicodeEncodeError, LookupError):
        return words.ascii_only(text).encode("ascii", "replace").decode()
    return text
