"""The section on why tasks got worse: cause, evidence, remedy, and what the remedy costs the other tasks."""

from __future__ import annotations

from collections.abc import Sequence

from sharewise.causes import Cost, Explanation, Trial
from sharewise.records import Comparison
from sharewise.report import figures, words
from sharewise.report.blocks import Block, Cell, Fold, Section, Table, paragraph, say
from sharewise.report.figures import Effect as Drawn
from sharewise.report.load import StudyRecords
from sharewise.report.rows import State

FILE = "explain.json"


def section(records: StudyRecords) -> Section | None:
    """None where nothing has been explained."""
    found = records.inquiry
    if found is None or not found.explanations:
        return None
    lead = (
        "Each possible cause was removed in turn and the models trained again with fresh seeds. A cause is named only "
        "when its removal moved the task; what runs at hand hinted at ranked the trials and convicted nothing."
    )
    blocks: list[Block] = []
    for n, explanation in enumerate(found.explanations):
        blocks += _one(explanation, f"{FILE}#/explanations/{n}")
    cost = f"{words.plural(found.n_runs, 'run')}, {words.seconds(found.seconds)}. "
    blocks += paragraph(
        [say("inquiry cost", cost + " ".join(found.notes), f"{FILE}#/n_runs", f"{FILE}#/notes")], "note"
    )
    return Section("explain", "Why tasks got worse", lead, tuple(blocks))


def _one(e: Explanation, at: str) -> list[Block]:
    said = [say("explanation", e.sentence, f"{at}/sentence")]
    if e.remedy is not None:
        said.append(say("remedy", f"Remedy: {e.remedy.text}.", f"{at}/remedy"))
        said.append(say("remedy cost", cost_sentence(e), f"{at}/trials/{e.convicted}/costs"))
    made: list[Block] = [*paragraph(said)]
    if e.before is not None:
        made.append(_table(e, e.before, at))
    if e.hypotheses:
        rows = tuple(
            (Cell(h.intervention, kind="task"), Cell(h.sentence, source=f"{at}/hypotheses/{i}/value"))
            for i, h in enumerate(e.hypotheses)
        )
        table = Table(f"Hypotheses about {e.task}, the strongest first", ("Suspected", "What runs at hand say"), rows)
        made.append(
            Fold(f"What was suspected of {e.task} before anything was tried (hypotheses, not causes)", (table,))
        )
    return made


def _table(e: Explanation, before: Comparison, at: str) -> Table:
    shown = [before, *(t.after for t in e.trials if t.after is not None)]
    span = figures.axis_range(shown)
    rows = [_row("unchanged", before, f"{at}/before", span, "", "", "with fresh seeds")]
    for n, trial in enumerate(e.trials):
        moved = moved_text(trial, before.scale)
        place = f"{at}/trials/{n}"
        if trial.after is None:
            rows.append(
                (
                    Cell(trial.change, kind="task"),
                    Cell(words.MISSING),
                    Cell(),
                    Cell(trial.effect.value, f"{trial.text}; {trial.reason}"),
                )
            )
            continue
        rows.append(
            _row(
                trial.change,
                trial.after,
                f"{place}/after",
                span,
                moved,
                _outcome(trial, n == e.convicted),
                trial.text,
            )
        )
    foot = (
        Cell(),
        Cell(drawing=figures.forest_axis(*span, before.scale, before.margin), kind="plot"),
        Cell(),
        Cell(),
    )
    head = (
        "What was changed",
        f"Change of {e.task}, shared against alone",
        "Moved by",
        "Outcome, and what was changed",
    )
    return Table(f"What was tried for {e.task}", head, tuple(rows), "forest", foot)


def _row(
    name: str, c: Comparison, at: str, span: tuple[float, float], moved: str, outcome: str, note: str
) -> tuple[Cell, ...]:
    drawn = Drawn(name, c, state(c), at)
    return (
        Cell(name, kind="task"),
        Cell(drawing=figures.forest_row(drawn, *span, c.baseline), source=at, kind="plot"),
        Cell(moved, source=at.replace("/after", "/shift") if moved else ""),
        Cell(outcome, note),
    )


def _outcome(trial: Trial, convicted: bool) -> str:
    return f"{trial.effect.value}: convicted" if convicted else trial.effect.value


def moved_text(trial: Trial, scale: str) -> str:
    """How far a trial moved the task, with its interval."""
    if trial.shift is None:
        return words.MISSING
    s = trial.shift
    return f"{words.change(s.effect, scale)} {words.interval(s.low, s.high, scale)}"


def state(c: Comparison) -> State:
    """How an interval lies to the margin."""
    if c.high < -c.margin:
        return State.HARM
    if c.low <= -c.margin:
        return State.UNDECIDED
    if c.low > 0:
        return State.BETTER
    return State.WORSE if c.high < 0 else State.SAFE


def cost_sentence(e: Explanation) -> str:
    """What the remedy costs the other tasks, in one sentence."""
    if e.convicted is None:
        return ""
    costs = e.trials[e.convicted].costs
    if not costs:
        return "No other task is left in the changed model."
    hurt = [c for c in costs if c.comparison.high < 0]
    helped = [c for c in costs if c.comparison.low > 0]
    parts = []
    if hurt:
        parts.append(f"it makes {_listed(hurt)} worse")
    if helped:
        parts.append(f"it makes {_listed(helped)} better")
    rest = len(costs) - len(hurt) - len(helped)
    if rest:
        parts.append(f"no change is shown for {words.plural(rest, 'other task')}" if parts else _none_shown(costs))
    said = "; ".join(parts)
    return f"{said[0].upper()}{said[1:]}."


def _none_shown(costs: Sequence[Cost]) -> str:
    worst = min(costs, key=lambda c: c.comparison.effect)
    c = worst.comparison
    return (
        f"no other task is shown to change (lowest: {worst.task} {words.change(c.effect, c.scale)} "
        f"{words.interval(c.low, c.high, c.scale)})"
    )


def _listed(costs: Sequence[Cost]) -> str:
    return words.listing(f"{c.task} ({words.change(c.comparison.effect, c.comparison.scale)})" for c in costs)
