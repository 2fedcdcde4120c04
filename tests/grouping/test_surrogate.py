"""The surrogate against the closed form of Bayesian linear regression, and what it makes of planted gains."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from sharewise.errors import ConfigError
from sharewise.grouping import CATALOGUE
from sharewise.grouping.base import Estimate, Measured
from sharewise.grouping.constraints import Constraints
from sharewise.grouping.cosine import Cosine
from sharewise.grouping.design import least_runs, most_runs, pairs, sample_groups, share
from sharewise.grouping.find import find
from sharewise.grouping.higher_order import HigherOrder
from sharewise.grouping.surrogate import MEAN_VARIANCE, Scales, Surface, Surrogate, _Posterior, noise


def planted(n_tasks: int, theta: np.ndarray, seed: int, error: float = 1.0) -> Measured:
    """Gains of all together and of a study's own sample of groups, with run luck and each single model's own error."""
    random = np.random.default_rng(seed)
    base = random.normal(size=n_tasks) * error * 0.7
    groups = [tuple(range(n_tasks)), *sample_groups(n_tasks, share(n_tasks, most_runs(n_tasks)).groups, seed)]
    rows = [
        (g, k, sum(theta[k, j] for j in g if j != k) + base[k] + random.normal() * error, 0.5 * error**2)
        for g in groups
        for k in g
    ]
    return Measured.of(rows, n_tasks)


def joined(one: Measured, other: Measured) -> Measured:
    """The gains of both."""
    parts = (
        (one.members, other.members),
        (one.task, other.task),
        (one.gain, other.gain),
        (one.variance, other.variance),
    )
    return Measured(*(np.concatenate(part) for part in parts))


def test_the_posterior_is_that_of_a_linear_model_written_out() -> None:
    n = 4
    random = np.random.default_rng(0)
    groups = [(0, 1), (1, 2, 3), (0, 2), (0, 1, 3)]
    measured = Measured.of([(g, k, random.normal(), 0.3 + 0.1 * k) for g in groups for k in g], n)
    hints = random.normal(size=(n, n))
    np.fill_diagonal(hints, 0.0)
    scales = Scales(1.3, 0.2, 0.07, 0.11, 0.4, 0.09, 0.3, 0.6)
    # Weights: m, a_k, r, q_k, p_j, u_{kj} of unordered pairs, w_kj of ordered ones, b.
    mutual = list(itertools.combinations(range(n), 2))
    oneway = list(itertools.permutations(range(n), 2))
    sizes = [1, n, 1, n, n, len(mutual), len(oneway), 1]
    starts = np.cumsum([0, *sizes])

    def row(group: tuple[int, ...], k: int, *, only: int | None = None) -> np.ndarray:
        x = np.zeros(starts[-1])
        if only is None:
            x[0] = x[starts[1] + k] = 1.0
        for j in [j for j in group if j != k] if only is None else [only]:
            x[starts[2]] += 1
            x[starts[3] + k] += 1
            x[starts[4] + j] += 1
            x[starts[5] + mutual.index((min(k, j), max(k, j)))] += 1
            x[starts[6] + oneway.index((k, j))] += 1
            x[starts[7]] += hints[k, j]
        return x

    x = np.stack([row(g, k) for g in groups for k in g])
    variances = [MEAN_VARIANCE, scales.task, scales.slope, scales.response, scales.partner, scales.mutual]
    variances += [scales.oneway, scales.hint]
    prior = np.diag(np.repeat(variances, sizes))
    error = noise(measured, scales.run)
    precision = np.linalg.inv(prior) + x.T @ np.linalg.inv(error) @ x
    covariance = np.linalg.inv(precision)
    mean = covariance @ x.T @ np.linalg.inv(error) @ measured.gain
    estimate = _Posterior(Surface(hints), scales, measured).estimate()
    for k, j in oneway:
        direction = row((), k, only=j)
        assert estimate.theta[k, j] == pytest.approx(direction @ mean)
        assert estimate.covariance[k, 1 + j, 1 + j] == pytest.approx(direction @ covariance @ direction)
    whole = (0, 1, 2, 3)
    means, sds = estimate.gains(whole)
    for k in whole:
        assert means[k] == pytest.approx(row(whole, k) @ mean)
        assert sds[k] == pytest.approx((row(whole, k) @ covariance @ row(whole, k)) ** 0.5)
    table = np.array([[1.0, 1.0, 0.0, 1.0], [1.0, 1.0, 1.0, 1.0]])
    assert estimate.all_gains(table)[1][1] == pytest.approx(sds)
    assert estimate.all_gains(table)[0][0, [0, 1, 3]] == pytest.approx(estimate.gains((0, 1, 3))[0])


def test_the_noise_has_the_single_models_luck_in_every_gain_of_its_task() -> None:
    measured = Measured.of([((0, 1), 0, 0.0, 0.4), ((0, 2), 0, 0.0, 0.4), ((0, 1), 1, 0.0, 0.9)], 3)
    made = noise(measured, 0.5)
    assert made[0, 0] == pytest.approx(0.4 + 2 * 0.5, abs=1e-5)
    assert made[0, 1] == pytest.approx(0.2 + 0.5)
    assert made[0, 2] == 0.0


@pytest.mark.parametrize("seed", range(3))
def test_planted_clusters_are_found_and_the_gap_is_not_overstated(seed: int) -> None:
    n = 12
    cluster = np.arange(n) % 3
    theta = np.where(cluster[:, None] == cluster, 1.0, -0.3)
    np.fill_diagonal(theta, 0.0)
    method = Surrogate()
    estimate = method.fit(planted(n, theta, seed))
    found = find(method, estimate, Constraints(), risk=1.0, room=20, seed=0)
    best = found.proposal
    assert best is not None
    assert best.groups == tuple(tuple(range(c, n, 3)) for c in range(3))
    # Each task has three kindred partners of one margin each; effects of two sizes are shrunk towards each other.
    assert 1.5 < best.gain < 3.0 + best.sd
    assert found.runner_up is not None
    assert found.runner_up.worth < best.worth


def differs(one: tuple[tuple[int, ...], ...], other: tuple[tuple[int, ...], ...]) -> float:
    """Share of the pairs that share a model in either plan which do so in one only."""
    a, b = ({frozenset(pair) for g in plan for pair in itertools.combinations(g, 2)} for plan in (one, other))
    return len(a ^ b) / len(a | b)


def test_every_further_plan_is_another_one_that_fits() -> None:
    n = 12
    theta = np.where((np.arange(n) % 4)[:, None] == np.arange(n) % 4, 0.8, -0.3)
    np.fill_diagonal(theta, 0.0)
    method = Surrogate()
    estimate = method.fit(planted(n, theta, 3))
    tried = []
    worths = []
    for _ in range(5):
        found = find(method, estimate, Constraints(), risk=1.0, room=99, seed=0, tried=tried).proposal
        assert found is not None
        assert all(differs(found.shared, other) >= 0.25 for other in tried)
        tried.append(found.shared)
        worths.append(found.worth)
    # The estimate has not changed between them, so that they come best first.
    assert worths == sorted(worths, reverse=True)
    sizes = {len(groups) for groups in tried}
    less = find(method, estimate, Constraints(), risk=1.0, room=min(sizes) - 1, seed=0, tried=tried)
    assert less.proposal is None or len(less.proposal.shared) < min(sizes)


def test_a_plan_worth_less_than_every_task_alone_is_not_trained_after_a_better_one() -> None:
    # Worth of (0, 1): 3 - 1.5 - 1 = 0.5, of (0, 2): 3 - 2.2 - 1 = -0.2, where a certain harm is priced at a margin.
    theta = np.array([[0.0, 4.0, 3.0], [-1.5, 0.0, -3.0], [-2.2, -3.0, 0.0]])
    method, estimate = HigherOrder(), Estimate(np.zeros(3), theta, np.zeros((3, 4, 4)))
    first = find(method, estimate, Constraints(), risk=1.0, room=9, seed=0)
    assert first.proposal is not None
    assert first.proposal.shared == ((0, 1),)
    then = find(method, estimate, Constraints(), risk=1.0, room=9, seed=0, tried=[((0, 1),)])
    assert then.proposal is None
    assert then.reason
    bound = find(method, estimate, Constraints(max_models=2), risk=1.0, room=9, seed=0, tried=[((0, 1),)])
    assert bound.proposal is not None


def test_plans_found_one_after_the_other_end_at_a_better_one_than_the_first() -> None:
    """Each plan's own gains are added before the next is looked for: what was too good to be true is found out."""
    n, first, last = 8, [], []
    cluster = np.arange(n) % 2
    theta = np.where(cluster[:, None] == cluster, 0.7, -0.5)
    np.fill_diagonal(theta, 0.0)
    for seed in range(8):
        random = np.random.default_rng([seed, 7])
        measured, tried = planted(n, theta, seed, error=1.5), []
        method = Surrogate()
        for _ in range(3):
            found = find(method, method.fit(measured), Constraints(), risk=1.0, room=99, seed=0, tried=tried).proposal
            if found is None:
                break
            tried.append(found.shared)
            rows = [(g, k, theta[k, list(g)].sum() + 1.5 * random.normal(), 1.1) for g in found.shared for k in g]
            measured = joined(measured, Measured.of(rows, n))
        if not tried:
            continue
        estimate = method.fit(measured)
        true = {plan: sum(theta[np.ix_(g, g)].sum() for g in plan) / n for plan in tried}
        chosen = max(tried, key=lambda plan: sum(estimate.gains(g)[0].sum() for g in plan))
        first.append(true[tried[0]])
        last.append(true[chosen])
    assert len(first) >= 5
    assert np.mean(last) > np.mean(first)


def test_noise_alone_is_nothing_to_gain() -> None:
    said = []
    for seed in range(20):
        method = Surrogate()
        estimate = method.fit(planted(9, np.zeros((9, 9)), seed))
        said.append(find(method, estimate, Constraints(), risk=1.0, room=20, seed=0))
    quiet = [found for found in said if found.proposal is None]
    assert len(quiet) >= 11
    assert all(found.reason for found in quiet)


def test_errors_of_thetas_are_as_large_as_said() -> None:
    n, z = 10, []
    for seed in range(8):
        random = np.random.default_rng(seed)
        theta = random.normal(size=(n, n)) * 0.6
        np.fill_diagonal(theta, 0.0)
        estimate = Surrogate().fit(planted(n, theta, seed))
        off = ~np.eye(n, dtype=bool)
        sd = np.sqrt(np.stack([np.diag(c)[1:] for c in estimate.covariance]))
        z += ((estimate.theta - theta)[off] / sd[off]).tolist()
    assert 0.7 < np.std(z) < 1.3


def test_hints_that_tell_are_used_and_hints_that_do_not_cost_little() -> None:
    n = 14
    cluster = np.arange(n) % 4
    theta = np.where(cluster[:, None] == cluster, 0.8, -0.2)
    np.fill_diagonal(theta, 0.0)
    off = ~np.eye(n, dtype=bool)

    def fit(hints: np.ndarray | None) -> float:
        found = [Surrogate().fit(planted(n, theta, s, 2.0), hints).theta[off] for s in range(3)]
        return float(np.mean([np.corrcoef(f, theta[off])[0, 1] for f in found]))

    noise_hint = np.random.default_rng(0).normal(size=(n, n))
    plain = fit(None)
    assert fit(theta + 0.3 * noise_hint) > plain + 0.1
    assert fit(noise_hint) > plain - 0.1


def test_higher_order_is_the_mean_over_partners() -> None:
    gains = {(0, 1): (1.0, 2.0), (0, 2): (3.0, -1.0), (1, 2): (0.5, 0.0)}
    rows = [(g, k, v, 0.2) for g, both in gains.items() for k, v in zip(g, both, strict=True)]
    estimate = HigherOrder().fit(Measured.of([*rows, ((0, 1, 2), 0, 9.0, 0.2)], 3))
    mean, sd = estimate.gains((0, 1, 2))
    assert mean == pytest.approx([2.0, 1.25, -0.5])
    assert sd == pytest.approx([0.1**0.5] * 3)
    assert estimate.gains((0, 2))[0] == pytest.approx([3.0, -1.0])


def test_cosines_rank_pairs_and_their_absence_is_a_sentence() -> None:
    cosines = np.array([[1.0, 0.8, 0.0], [0.8, 1.0, 0.1], [0.0, 0.1, 1.0]])
    theta = Cosine().fit(Measured.of([], 3), cosines).theta
    assert theta[0, 1] > 0 > theta[0, 2]
    with pytest.raises(ConfigError, match="none were recorded"):
        Cosine().fit(Measured.of([], 3), None)


def test_every_method_is_in_the_catalogue_and_builds() -> None:
    assert {type(CATALOGUE.build(name)).__name__ for name in CATALOGUE} == {
        "Surrogate",
        "HigherOrder",
        "Cosine",
        "Lookahead",
    }


@pytest.mark.parametrize("n_tasks", [3, 5, 6, 7, 12, 40])
def test_sampled_groups_differ_cover_the_pairs_and_fit_the_budget(n_tasks: int) -> None:
    cost = share(n_tasks, most_runs(n_tasks))
    groups = sample_groups(n_tasks, cost.groups, 3)
    assert groups == sample_groups(n_tasks, cost.groups, 3)
    assert len(set(groups)) == len(groups) == cost.groups
    assert cost.total <= 3 * n_tasks + 20
    met = np.zeros((n_tasks, n_tasks))
    for g in groups:
        assert 2 <= len(g) < n_tasks or n_tasks < 7
        met[np.ix_(g, g)] += 1
    off = met[~np.eye(n_tasks, dtype=bool)]
    assert off.min() >= 1
    assert off.max() <= 3 * off.mean()
    if n_tasks <= 6:
        assert set(pairs(n_tasks)) <= set(groups)


def test_a_budget_too_small_says_what_would_do() -> None:
    with pytest.raises(ConfigError, match=r"at least 24 models.*its budget is 20.*Set runs: 24"):
        share(10, 20)
    assert share(10, least_runs(10)).groups >= 6
