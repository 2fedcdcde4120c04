"""An explanation on a terminal: a sentence a task, what was tried, the remedy and what it costs."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from sharewise.causes import Explanation, Inquiry
from sharewise.report import words
from sharewise.report.explain import cost_sentence, moved_text

_HEAD = ("", "tried", "change", "moved by", "outcome")


def show(found: Inquiry, tasks: Sequence[str] | None = None, console: Console | None = None) -> None:
    """Print the explanations of `tasks` (default: all) on `console` (default: stdout)."""
    console = console or Console()
    chosen = [e for e in found.explanations if tasks is None or e.task in tasks]
    if not chosen:
        _say(console, f"No task is shown to be harmed by sharing in '{found.candidate}': nothing to explain.")
    for n, explanation in enumerate(chosen):
        if n:
            console.print()
        for line in lines(explanation):
            _say(console, line)


def lines(e: Explanation) -> list[str]:
    """One explanation as plain lines."""
    made = [e.sentence]
    if e.remedy is not None:
        made += [f"Remedy: {e.remedy.text}. {cost_sentence(e)}"]
    if e.before is not None:
        c = e.before
        rows = [
            ("", "unchanged", f"{words.change(c.effect, c.scale)} {words.interval(c.low, c.high, c.scale)}", "", "")
        ]
        for n, trial in enumerate(e.trials):
            after = words.MISSING
            if trial.after is not None:
                a = trial.after
                after = f"{words.change(a.effect, a.scale)} {words.interval(a.low, a.high, a.scale)}"
            mark = ">" if n == e.convicted else ""
            rows.append((mark, trial.change, after, moved_text(trial, c.scale), trial.effect.value))
        made += ["", *aligned([_HEAD, *rows])]
    if e.hypotheses:
        made += ["", "Hypotheses from runs at hand (they ranked the trials, they convict nothing):"]
        made += [f"  {h.intervention}: {h.sentence}" for h in e.hypotheses]
    return made


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows with columns of one width."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]


def _say(console: Console, text: str) -> None:
    shown = words.visible(text)
    try:
        shown.encode(console.encoding)
    except (UnicodeEncodeError, LookupError):
        shown = words.ascii_only(shown).encode("ascii", "replace").decode()
    console.print(Text(shown), highlight=False, soft_wrap=True)
