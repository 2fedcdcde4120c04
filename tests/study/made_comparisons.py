"""Comparisons made up for tests of what is done with them."""

from __future__ import annotations

from scipy import stats

from sharewise.records import Comparison


def comparison(
    effect: float = 0.0,
    se: float = 0.005,
    df: float = 8.0,
    margin: float = 0.02,
    task: str = "t",
    rows_share: float = 0.5,
) -> Comparison:
    """A comparison with this effect and standard error, `rows_share` of its variance from the test rows."""
    half = float(stats.t.ppf(0.95, df)) * se
    rest = se**2 * (1 - rows_share) / 2
    return Comparison(
        task=task,
        metric="accuracy",
        scale="relative",
        baseline="single",
        candidate="together",
        baseline_score=0.8,
        candidate_score=0.8 * (1 + effect),
        effect=effect,
        low=effect - half,
        high=effect + half,
        margin=margin,
        df=df,
        var_rows=se**2 * rows_share,
        var_baseline=rest,
        var_candidate=rest,
        n_rows=2000,
        n_baseline_runs=3,
        n_candidate_runs=3,
    )
