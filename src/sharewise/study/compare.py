"""Two arms on one task: the change of the score and its interval, from run luck and test rows at once.

Every run of an arm gives one value per test row, whose mean is its score. The variance of the change has a part
that more test rows would shrink (paired over rows, since both arms answer the same ones) and a part that more runs
would shrink (unpaired over runs). Neither may be left out: a test that sees only one of them errs two to eight
times too often.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri, stdtrit

from sharewise.metrics import metric
from sharewise.metrics.base import Array, Metric
from sharewise.records import Comparison
from sharewise.study.moderate import Prior, fit_prior
from sharewise.tasks import Task

Floats = npt.NDArray[np.float64]

ERROR = 0.05
"""Chance of a wrong claim on either side: the interval is two-sided 90 %."""

MODERATED_FROM = 5
"""Tasks from which run variances are shrunk to a common prior."""

ASSUMED_RUN_SD = 0.04
"""Run-to-run SD taken, with one degree of freedom, where nothing estimates it: the top of what was met on real
tables (0.2-4 % of the score). It makes an interval so wide that only a gross change is a claim."""


@dataclass(frozen=True)
class Pair:
    """Predictions of two arms on the test rows of one task.

    `truth` and `present` are (N, K), every prediction (N, W), one per run; the runs of the two arms need not match
    in number; `..._runs` are their ids, kept for the record. `clusters` (N,) names the entity of each row where rows
    repeat entities. An arm that would give the same predictions again, such as a linear model, is declared
    `..._deterministic`: one run of it is all of it.
    """

    task: Task
    truth: Array
    present: Array
    baseline_name: str
    candidate_name: str
    baseline: Sequence[Array]
    candidate: Sequence[Array]
    baseline_runs: tuple[str, ...] = ()
    candidate_runs: tuple[str, ...] = ()
    clusters: Array | None = None
    baseline_deterministic: bool = False
    candidate_deterministic: bool = False


@dataclass(frozen=True)
class Unavailable:
    """A comparison that cannot be made, and why, as a clause that follows "because"."""

    task: str
    metric: str
    baseline: str
    candidate: str
    reason: str


@dataclass(frozen=True)
class Compared:
    """What `compare_all` found: comparisons and what could not be compared, both in the order given."""

    comparisons: tuple[Comparison, ...]
    unavailable: tuple[Unavailable, ...]


@dataclass(frozen=True)
class Arm:
    """One arm's share of the variance: S runs, the variance of their means over rows, the interaction of runs and
    rows (mean square over S n, what churn adds to the former), the degrees of freedom of `variance`, and each
    run's score."""

    n_runs: int
    variance: float
    interaction: float
    df: float
    scores: tuple[float, ...] = ()


@dataclass(frozen=True)
class Parts:
    """Theta and the parts of its variance, before moderation."""

    effect: float
    baseline_score: float
    candidate_score: float
    var_rows: float
    df_rows: float
    baseline: Arm
    candidate: Arm


def compare_all(pairs: Sequence[Pair]) -> Compared:
    """Compare every pair; from five tasks on, run variances are moderated over all of them.

    theta, its variance V = V_rows + V_baseline + V_candidate, Satterthwaite degrees of freedom and the interval
    theta +- t_0.95,df sqrt(V), as in Obuchowski and Rockette's analysis of readers and cases with runs for readers
    (Hillis 2007 for the degrees of freedom; Smyth 2004 for the moderation). Cost: one pass over S x N values an
    arm, plus the metric's per-row values.
    """
    parted: list[tuple[Pair, Parts, int, int | None]] = []
    missing: list[Unavailable] = []
    for pair in pairs:
        found = _parts_of(pair)
        if isinstance(found, Unavailable):
            missing.append(found)
        else:
            parted.append((pair, *found))
    prior, pooled = _prior([(pair, parts) for pair, parts, _, _ in parted])
    return Compared(
        tuple(_comparison(pair, parts, n, entities, prior, pooled) for pair, parts, n, entities in parted),
        tuple(missing),
    )


def compare(pair: Pair) -> Comparison | Unavailable:
    """One pair on its own, without moderation."""
    result = compare_all([pair])
    return result.comparisons[0] if result.comparisons else result.unavailable[0]


def parts(kind: Metric, baseline: Floats, candidate: Floats, clusters: Array | None = None) -> Parts | str:
    """Theta and its variance parts from per-row values (S, n) of the runs of two arms, or why there are none.

    Linearised per row (delta method): for ratios y_m = x_m / b, y_b = (m / b) x_b / b; for log ratios
    y = -power x / mean; for points y = x. V_rows is the variance over rows of mean_s y_m - mean_s y_b, over n.
    """
    line = linearised(kind, baseline, candidate)
    if isinstance(line, str):
        return line
    y_b, y_m = line.baseline, line.candidate
    typical = float(np.median(np.abs(y_b)))
    n_rows = baseline.shape[1]
    if clusters is not None:
        y_b, y_m = by_entity(y_b, clusters), by_entity(y_m, clusters)
    n = y_b.shape[1]
    if n < 2:
        return "all test rows belong to one entity"
    spread = y_m.mean(axis=0) - y_b.mean(axis=0)
    # Two arms that agree on every row seen may differ on the next: never less than one typical row's worth.
    var_rows = max(float(spread.var(ddof=1)) / n, (typical / n_rows) ** 2)
    return Parts(
        line.effect,
        line.baseline_score,
        line.candidate_score,
        var_rows,
        df_of_rows(spread),
        arm_of(y_b, _run_scores(baseline, kind.power)),
        arm_of(y_m, _run_scores(candidate, kind.power)),
    )


@dataclass(frozen=True)
class Linearised:
    """Theta of two arms and what each row adds to it: values (S, n) of either arm, whose difference of means moves as
    theta does."""

    effect: float
    baseline_score: float
    candidate_score: float
    baseline: Floats
    candidate: Floats


def linearised(kind: Metric, baseline: Floats, candidate: Floats) -> Linearised | str:
    """Theta by the delta method from per-row values (S, n), or why it is not defined (see `parts`)."""
    b, m = float(baseline.mean()), float(candidate.mean())
    scores = (_power(b, kind.power), _power(m, kind.power))
    if scores[0] is None or scores[1] is None:
        return "the mean of the per-row values is negative"
    effect = kind.effect_of(scores[0], scores[1])
    if effect is None:
        return "a relative change needs scores above zero"
    if kind.effect == "ratio":
        y_b, y_m = baseline * (m / b**2), candidate / b
    elif kind.effect == "log_ratio":
        y_b, y_m = baseline * (-kind.power / b), candidate * (-kind.power / m)
    else:
        sign = 1.0 if kind.bigger_is_better else -1.0
        y_b, y_m = sign * baseline, sign * candidate
    return Linearised(effect, scores[0], scores[1], y_b, y_m)


def df_of_rows(spread: Floats) -> float:
    """Degrees of freedom of the variance over rows (n,): 2 / (2 / (n - 1) + k / n) with excess kurtosis k.

    Var(s^2) = sigma^4 (2 / (n - 1) + k / n): a heavy-tailed score has a variance known less well than n - 1 says. k is
    floored at 0.
    """
    n = len(spread)
    squares = (spread - spread.mean()) ** 2
    mean = float(squares.mean())
    excess = float((squares**2).mean()) / mean**2 - 3.0 if mean > 0 else 0.0
    return 2.0 / (2.0 / (n - 1) + max(excess, 0.0) / n)


def _power(value: float, power: float) -> float | None:
    if power == 1.0:
        return value
    return value**power if value >= 0 else None


def _run_scores(values: Floats, power: float) -> tuple[float, ...]:
    return tuple(float(mean**power) if power == 1.0 or mean >= 0 else 0.0 for mean in values.mean(axis=1))


def arm_of(y: Floats, scores: tuple[float, ...] = ()) -> Arm:
    """One arm's share of the variance from its per-row values (S, n)."""
    runs, n = y.shape
    if runs == 1:
        return Arm(1, 0.0, 0.0, 0.0, scores)
    means = y.mean(axis=1)
    residual = y - means[:, None] - (y.mean(axis=0) - means.mean())
    square = float((residual**2).sum()) / ((runs - 1) * (n - 1))
    return Arm(runs, float(means.var(ddof=1)), square / (runs * n), runs - 1.0, scores)


def by_entity(y: Floats, clusters: Array) -> Floats:
    """Values (S, C), one per entity, whose mean over entities is the mean over rows.

    z_c = mean + (C / n) sum_{i in c} (y_i - mean): for entities of equal size the mean inside each; for unequal ones
    the score stays the mean over rows while entities, not rows, vary independently.
    """
    _, entity = np.unique(clusters, return_inverse=True)
    n_entities = int(entity.max()) + 1
    mean = y.mean(axis=1, keepdims=True)
    centred = y - mean
    sums = np.stack([np.bincount(entity, weights=row, minlength=n_entities) for row in centred])
    result: Floats = mean + sums * (n_entities / y.shape[1])
    return result


def _parts_of(pair: Pair) -> tuple[Parts, int, int | None] | Unavailable:
    kind = metric(pair.task.metric)

    def no(reason: str) -> Unavailable:
        return Unavailable(pair.task.name, kind.name, pair.baseline_name, pair.candidate_name, reason)

    rows = pair.present.astype(bool).any(axis=1)
    n = int(np.count_nonzero(rows))
    if n < 2:
        return no(f"{n} labelled test row{'s are' if n != 1 else ' is'} too few")
    values: list[Floats] = []
    for name, runs in ((pair.baseline_name, pair.baseline), (pair.candidate_name, pair.candidate)):
        if not runs:
            return no(f"'{name}' has no finished run")
        per_run = [kind.per_row(pair.truth, pair.present, run) for run in runs]
        usable = [x for x in per_run if x is not None]
        if len(usable) < len(per_run):
            return no(_why_undefined(kind, pair, name, runs))
        values.append(np.stack(usable))
    clusters = None if pair.clusters is None else pair.clusters[rows]
    found = parts(kind, values[0], values[1], clusters)
    if isinstance(found, str):
        return no(found)
    return found, n, None if clusters is None else len(np.unique(clusters))


def _why_undefined(kind: Metric, pair: Pair, name: str, runs: Sequence[Array]) -> str:
    rows = pair.present.astype(bool).any(axis=1)
    for i, run in enumerate(runs):
        if not np.isfinite(run[rows]).all():
            return f"run {i + 1} of '{name}' predicts a value that is not finite"
    return f"{kind.title}, or its variance, is undefined on the {int(rows.sum())} labelled test rows"


def _prior(parted: Sequence[tuple[Pair, Parts]]) -> tuple[Prior | None, float]:
    """Common prior of all arms' run variances and their pooled degrees of freedom; None below five tasks."""
    arms: dict[tuple[str, str], Arm] = {}
    for pair, found in parted:
        if not pair.baseline_deterministic and found.baseline.df > 0:
            arms[pair.task.name, pair.baseline_name] = found.baseline
        if not pair.candidate_deterministic and found.candidate.df > 0:
            arms[pair.task.name, pair.candidate_name] = found.candidate
    if len({task for task, _ in arms}) < MODERATED_FROM:
        return None, 0.0
    variances = np.array([arm.variance for arm in arms.values()])
    dfs = np.array([arm.df for arm in arms.values()])
    return fit_prior(variances, dfs), float(dfs.sum())


def _settled(arm: Arm, other: Arm, deterministic: bool, prior: Prior | None, pooled: float) -> Arm:
    """The arm with the run variance to use: none, moderated, its own, borrowed, or assumed."""
    if deterministic:
        return Arm(arm.n_runs, 0.0, 0.0, float("inf"))
    if prior is not None:
        variance, df = prior.shrink(arm.variance, arm.df, pooled)
        return Arm(arm.n_runs, variance, arm.interaction, df)
    if arm.df > 0:
        return arm
    if other.df > 0:
        return Arm(arm.n_runs, other.variance, 0.0, other.df)
    return Arm(arm.n_runs, ASSUMED_RUN_SD**2, 0.0, 1.0)


def _comparison(
    pair: Pair, found: Parts, n: int, entities: int | None, prior: Prior | None, pooled: float
) -> Comparison:
    var_b, var_m, df = _combined(pair, found, prior, pooled)
    half = float(t_quantile(1 - ERROR, df)) * (found.var_rows + var_b + var_m) ** 0.5
    own_error, own_df = None, None
    if prior is not None:
        own_b, own_m, own_df = _combined(pair, found, None, 0.0)
        own_error = (found.var_rows + own_b + own_m) ** 0.5
    kind = metric(pair.task.metric)
    return Comparison(
        task=pair.task.name,
        metric=kind.name,
        scale=kind.scale,
        baseline=pair.baseline_name,
        candidate=pair.candidate_name,
        baseline_score=found.baseline_score,
        candidate_score=found.candidate_score,
        effect=found.effect,
        low=found.effect - half,
        high=found.effect + half,
        margin=pair.task.margin,
        df=df,
        var_rows=found.var_rows,
        var_baseline=var_b,
        var_candidate=var_m,
        n_rows=n,
        n_baseline_runs=len(pair.baseline),
        n_candidate_runs=len(pair.candidate),
        baseline_runs=pair.baseline_runs,
        candidate_runs=pair.candidate_runs,
        baseline_run_scores=found.baseline.scores,
        candidate_run_scores=found.candidate.scores,
        n_entities=entities,
        n_rarest=_rarest(kind, pair),
        own_error=own_error,
        own_df=own_df,
    )


def _combined(pair: Pair, found: Parts, prior: Prior | None, pooled: float) -> tuple[float, float, float]:
    """Variance parts of the two arms and df (see `combine`), run variances shrunk to `prior` where there is one."""
    b = _settled(found.baseline, found.candidate, pair.baseline_deterministic, prior, pooled)
    m = _settled(found.candidate, found.baseline, pair.candidate_deterministic, prior, pooled)
    return combine(found, b, m)


def combine(found: Parts, baseline: Arm, candidate: Arm) -> tuple[float, float, float]:
    """Variance parts of the two arms, interaction taken off and floored at zero, and Satterthwaite's df of V.

    V_A = max(0, Var_s / S - interaction); df = V^2 / sum V_k^2 / df_k, with Var_s / S in the denominator: what varies
    there is Var_s, on its S - 1 degrees of freedom, whatever is then taken off. Where nothing varies, as with a model
    that answers every row alike, df is infinite.
    """
    raw = [arm.variance / arm.n_runs for arm in (baseline, candidate)]
    net = [max(0.0, r - arm.interaction) for r, arm in zip(raw, (baseline, candidate), strict=True)]
    total = found.var_rows + sum(net)
    below = found.var_rows**2 / found.df_rows
    for r, arm in zip(raw, (baseline, candidate), strict=True):
        if arm.variance > 0:
            below += r**2 / arm.df
    return net[0], net[1], max(1.0, total**2 / below) if below else float("inf")


def t_quantile(p: float, df: float) -> float:
    """Quantile of Student's t; of the normal for infinite df."""
    return float(ndtri(p)) if np.isinf(df) else float(stdtrit(df, p))


def _rarest(kind: Metric, pair: Pair) -> int | None:
    """Rows of the rarer class, summed over labels; None where the metric's precision does not hang on it."""
    if not kind.rare_class_counts or any(run.shape[1] != pair.truth.shape[1] for run in pair.baseline[:1]):
        return None
    mask = pair.present.astype(bool)
    positive = np.count_nonzero((pair.truth > 0.5) & mask, axis=0)
    return int(np.minimum(positive, mask.sum(axis=0) - positive).sum())
