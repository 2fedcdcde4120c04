"""From comparisons to verdicts: harm, no harm, or not enough evidence and what would settle it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from scipy.special import ndtr, ndtri, stdtr

from sharewise.records import Comparison, Gate, Outcome, Receipt, Verdict
from sharewise.study.compare import ERROR, t_quantile

FEW_ROWS = 200
FEW_RARE = 50
CAUTION_MARGINS = 3.0
"""Below 200 test rows or entities, or 50 of the rarer class where the metric hangs on it, the interval's own error
rate is not known well enough: a claim then needs a change of more than three margins."""

POWER = 0.8
MOST_RUNS = 100
MOST_GROWTH = 100
"""A receipt asks for at most 100 runs an arm or 100 times the test rows; beyond that nothing can settle it."""


def judge(comparison: Comparison) -> Verdict:
    """Verdict on one task: U < -margin is harm, L > -margin is no harm, else not enough evidence with a receipt.

    Labels: "better" where L > 0, "slightly worse, within the margin" where U < 0, else the outcome itself.
    """
    c = comparison
    if c.high < -c.margin and not _needs_caution(c, c.effect):
        return Verdict(c.task, Outcome.HARM, "harm", c)
    if c.low > -c.margin and not _needs_caution(c, c.effect):
        if c.low > 0:
            label = "better"
        elif c.high < 0:
            label = "slightly worse, within the margin"
        else:
            label = "no harm"
        return Verdict(c.task, Outcome.NO_HARM, label, c)
    return Verdict(c.task, Outcome.UNDECIDED, "not enough evidence", c, receipt(c))


def judge_all(comparisons: Iterable[Comparison]) -> list[Verdict]:
    """A verdict for every comparison, in order."""
    return [judge(c) for c in comparisons]


def p_harm(comparison: Comparison) -> float:
    """One-sided p-value of "harm beyond the margin": P(t_df <= (theta + margin) / SE), small where harm is shown."""
    c = comparison
    return below(c.effect + c.margin, c.standard_error, c.df)


def p_no_harm(comparison: Comparison) -> float:
    """One-sided p-value of "no harm beyond the margin": P(t_df >= (theta + margin) / SE), small where it is shown.

    SE and df are those of the task's own rows and runs: run luck differs between tasks by more than few runs let a
    common prior see, and this is what a task must clear by itself. Under a flat prior it is also the probability of
    harm beyond the margin by this comparison alone.
    """
    c = comparison
    error = c.standard_error if c.own_error is None else c.own_error
    return below(-c.effect - c.margin, error, c.df if c.own_df is None else c.own_df)


def below(distance: float, error: float, df: float) -> float:
    """P(t_df <= distance / error)."""
    if error == 0:
        return 0.0 if distance < 0 else 1.0
    t = distance / error
    return float(ndtr(t) if math.isinf(df) else stdtr(df, t))


def harmed(verdicts: Sequence[Verdict], error: float = ERROR) -> list[str]:
    """Tasks that may be listed together as harmed: Holm's step-down at `error` over all verdicts (Holm 1979).

    The chance that the list names any task that is not harmed is at most `error`, however the tasks depend on one
    another. A task whose own verdict is not harm (rule of caution) is never listed.
    """
    ranked = sorted((p_harm(v.comparison), i) for i, v in enumerate(verdicts))
    listed: list[int] = []
    for k, (p, i) in enumerate(ranked):
        if p > error / (len(ranked) - k):
            break
        listed.append(i)
    return [verdicts[i].task for i in sorted(listed) if verdicts[i].outcome is Outcome.HARM]


def no_task_is_harmed(verdicts: Sequence[Verdict]) -> Gate:
    """The intersection-union gate: passed when each task on its own shows no harm at 5 %, without correction.

    Wrongly passing needs every harmed task to be cleared wrongly, so its error is at most that of one test (Berger
    1982). Tasks still undecided are named; they are not failures.
    """
    bad = tuple(v.task for v in verdicts if v.outcome is Outcome.HARM)
    still_open = tuple(v.task for v in verdicts if v.outcome is Outcome.UNDECIDED)
    n = len(verdicts)
    if not bad and not still_open:
        return Gate(True, (), (), f"No task is harmed: all {n} are cleared." if n else "There is no task to judge.")
    said = []
    if bad:
        said.append(f"{len(bad)} of {n} tasks {_is(bad)} harmed ({_names(bad)})")
    if still_open:
        said.append(f"{len(still_open)} {_is(still_open)} still undecided ({_names(still_open)})")
    return Gate(False, bad, still_open, "; ".join(said) + ".")


def receipt(comparison: Comparison) -> Receipt:
    """Runs per arm, or test rows, with which the change seen would be a claim with 80 % power.

    Runs: the least S with (t_0.95 + z_0.80) sqrt(V_rows + (s_b^2 + s_m^2) / S) <= |theta + margin|. Rows: the same with
    V_rows n / n'. Degrees of freedom grow in proportion. Both are estimates from the change seen, not promises.
    """
    c = comparison
    if _needs_caution(c, math.inf):
        return _caution_receipt(c)
    distance = abs(c.effect + c.margin)
    runs = _runs_needed(c, distance)
    rows = _rows_needed(c, distance)
    return Receipt(runs, rows, _sentence(c, runs, rows))


def _needs_caution(c: Comparison, effect: float) -> bool:
    units = c.n_rows if c.n_entities is None else c.n_entities
    few = units < FEW_ROWS or (c.n_rarest is not None and c.n_rarest < FEW_RARE)
    return few and (math.isinf(effect) or abs(effect) <= CAUTION_MARGINS * c.margin)


def _caution_receipt(c: Comparison) -> Receipt:
    units = c.n_rows if c.n_entities is None else c.n_entities
    growth = FEW_ROWS / units
    lack = f"{units} test {'rows' if c.n_entities is None else 'entities'}"
    if c.n_rarest is not None and c.n_rarest < FEW_RARE:
        growth = max(growth, FEW_RARE / max(c.n_rarest, 1))
        lack = f"{c.n_rarest} test rows of the rarer class"
    # What is too little to trust an interval may also be too little to narrow it enough.
    distance = abs(c.effect + c.margin)
    narrow = _rows_needed(c, distance)
    rows = max(math.ceil(c.n_rows * growth), narrow or 0)
    sentence = f"{lack} are too few for a change below three margins; about {rows:,} test rows are needed."
    if narrow is None:
        sentence = (
            f"{lack} are too few for a change below three margins; with about {rows:,} test rows it could be judged, "
            "but would stay open: the change is too near the margin, or the runs differ too much."
        )
        return Receipt(None, None, sentence)
    return Receipt(None, rows, sentence)


def _width(c: Comparison, v_rows: float, v_runs: float, df: float) -> float:
    return (t_quantile(1 - ERROR, df) + float(ndtri(POWER))) * math.sqrt(v_rows + v_runs)


def _runs_needed(c: Comparison, distance: float) -> int | None:
    now = max(c.n_baseline_runs, c.n_candidate_runs)
    v_b, v_m = c.var_baseline * c.n_baseline_runs, c.var_candidate * c.n_candidate_runs
    for runs in range(now + 1, MOST_RUNS + 1):
        if _width(c, c.var_rows, (v_b + v_m) / runs, c.df * runs / now) <= distance:
            return runs
    return None


def _rows_needed(c: Comparison, distance: float) -> int | None:
    v_runs = c.var_baseline + c.var_candidate
    room = (distance / (t_quantile(1 - ERROR, c.df) + float(ndtri(POWER)))) ** 2 - v_runs
    if room <= 0:
        return None
    rows = max(c.n_rows + 1, math.ceil(c.n_rows * c.var_rows / room))
    return rows if rows <= MOST_GROWTH * c.n_rows else None


def _sentence(c: Comparison, runs: int | None, rows: int | None) -> str:
    share = c.var_rows / c.standard_error**2 if c.standard_error > 0 else 1.0
    source = f"{share:.0%} of the uncertainty comes from the test rows and {max(0.0, 1 - share):.0%} from run luck"
    if runs is not None and rows is not None:
        return f"About {runs} runs an arm, or about {rows:,} test rows, would settle it: {source}."
    if runs is not None:
        return f"About {runs} runs an arm would settle it, more test rows alone would not: {source}."
    if rows is not None:
        return f"No number of runs can settle it, about {rows:,} test rows would: {source}."
    if _both_would(c):
        return f"Only more runs and more test rows together can settle it: {source}."
    return f"Neither more runs nor more test rows can settle it, the change is too near the margin: {source}."


def _both_would(c: Comparison) -> bool:
    """Whether the most runs and the most rows that a receipt asks for would do together."""
    now = max(c.n_baseline_runs, c.n_candidate_runs)
    runs = (c.var_baseline * c.n_baseline_runs + c.var_candidate * c.n_candidate_runs) / MOST_RUNS
    width = _width(c, c.var_rows / MOST_GROWTH, runs, c.df * MOST_RUNS / now)
    return width <= abs(c.effect + c.margin)


def _is(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _names(names: Sequence[str], most: int = 6) -> str:
    shown = ", ".join(names[:most])
    return ", ".join(names) if len(names) <= most + 1 else f"{shown} and {len(names) - most} more"
