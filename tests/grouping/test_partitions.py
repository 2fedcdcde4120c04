"""The searches over partitions against enumeration, and against one another."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from made_estimates import drawn  # type: ignore[import-not-found]

from sharewise.errors import ConfigError
from sharewise.grouping.base import Group
from sharewise.grouping.constraints import Constraints, constraints, models_within
from sharewise.grouping.exact import best_partitions
from sharewise.grouping.find import partitions
from sharewise.grouping.local import LocalSearch
from sharewise.grouping.objective import Objective

LIMITS = [
    Constraints(),
    Constraints(max_models=2),
    Constraints(max_models=3, together=((0, 1),), apart=((2, 3), (3, 4))),
    Constraints(together=((0, 2, 4),), apart=((0, 1), (1, 3))),
]


def every_partition(blocks: tuple[Group, ...]) -> Iterator[list[Group]]:
    """All set partitions, the slow way."""
    if not blocks:
        yield []
        return
    for rest in every_partition(blocks[1:]):
        yield [blocks[0], *rest]
        for i, group in enumerate(rest):
            yield [*rest[:i], tuple(sorted((*blocks[0], *group))), *rest[i + 1 :]]


def allowed(plan: list[Group], limits: Constraints) -> bool:
    few = limits.max_models is None or len(plan) <= limits.max_models
    return few and not any(a in g and b in g for g in plan for a, b in limits.apart)


@pytest.mark.parametrize("limits", LIMITS)
@pytest.mark.parametrize(("n_tasks", "average"), [(5, False), (6, True), (8, False)])
def test_the_exact_search_finds_the_best_three_of_all_partitions(
    n_tasks: int, average: bool, limits: Constraints
) -> None:
    objective = Objective(drawn(n_tasks, 3, average=average), limits)
    blocks = limits.blocks(n_tasks)
    values = sorted(
        (sum(objective.of(g) for g in plan) for plan in every_partition(blocks) if allowed(plan, limits)), reverse=True
    )
    found = best_partitions(objective, blocks, 3)
    assert [value for value, _ in found] == pytest.approx(values[:3])
    for value, groups in found:
        assert sorted(t for g in groups for t in g) == list(range(n_tasks))
        assert sum(objective.of(g) for g in groups) == pytest.approx(value)
        assert allowed(groups, limits)


def test_the_local_search_finds_the_exact_optimum_of_small_problems() -> None:
    hits, tried = 0, 0
    for seed in range(3):
        for limits in LIMITS:
            objective = Objective(drawn(9, seed, average=seed % 2 == 1), limits)
            blocks = limits.blocks(9)
            exact = best_partitions(objective, blocks, 1)[0][0]
            value, groups = LocalSearch(objective, blocks, seed).best_partitions(1)[0]
            assert value <= exact + 1e-9
            assert allowed(groups, limits)
            hits += value == pytest.approx(exact)
            tried += 1
    assert hits >= 0.9 * tried


def test_a_local_search_of_forty_tasks_finds_planted_clusters() -> None:
    n = 40
    estimate = drawn(n, 0)
    cluster = np.arange(n) % 5
    theta = np.where(cluster[:, None] == cluster, 0.5, -0.5)
    np.fill_diagonal(theta, 0.0)
    planted = Objective(type(estimate)(np.zeros(n), theta, 0.01 * estimate.covariance), Constraints())
    _, groups = LocalSearch(planted, planted.limits.blocks(n), 0).best_partitions(1)[0]
    assert groups == [tuple(range(c, n, 5)) for c in range(5)]


def test_moves_are_priced_as_the_objective_prices_the_outcome() -> None:
    from sharewise.grouping.local import _Board

    limits = Constraints(together=((0, 3),))
    objective = Objective(drawn(8, 1), limits)
    blocks = limits.blocks(8)
    labels = np.array([0, 0, 1, 1, 2, 2, 2])
    board = _Board(objective, blocks, labels, len(blocks))

    def total(of: np.ndarray) -> float:
        groups = [tuple(sorted(t for b in np.flatnonzero(of == g) for t in blocks[b])) for g in np.unique(of)]
        return sum(objective.of(g) for g in groups)

    for block in range(len(blocks)):
        gains = board.moves(block)
        for place in range(4):
            moved = labels.copy()
            moved[block] = place
            assert gains[place] == pytest.approx(total(moved) - total(labels)), (block, place)


def test_contradictory_constraints_are_refused_with_the_remedy() -> None:
    names = ("a", "b", "c", "d")
    with pytest.raises(ConfigError, match=r"'a' and 'c' must ship together and must not share.*Remove one"):
        constraints(names, together=[["a", "b"], ["b", "c"]], apart=[["a", "c"]])
    with pytest.raises(ConfigError, match=r"3 tasks must not share with one another and the limits leave room for 2"):
        constraints(names, apart=[["a", "b", "c"]], max_models=2)
    with pytest.raises(ConfigError, match=r"'aa' is none\. Did you mean 'a'"):
        constraints(names, together=[["aa", "b"]])
    # An odd cycle cannot be split in two although no three tasks are mutually apart: the search itself says so.
    names = tuple("abcde")
    cycle = [["a", "b"], ["b", "c"], ["c", "d"], ["d", "e"], ["e", "a"]]
    with pytest.raises(ConfigError, match="Constraints must leave a plan"):
        partitions(Objective(drawn(5, 0), constraints(names, apart=cycle, max_models=2)), 1, 0)
    assert partitions(Objective(drawn(5, 0), constraints(names, apart=cycle, max_models=3)), 1, 0)


def test_limits_on_parameters_and_latency_are_limits_on_models() -> None:
    # Two tasks of 10 parameters on trunks of 100: 230 parameters leave room for two models, 210 exactly too, 209 not.
    assert models_within({"parameters": 230}, {"parameters": 100}, {"parameters": 20}) == 2
    assert models_within({"parameters": 219}, {"parameters": 100}, {"parameters": 20}) == 1
    both = models_within({"parameters": 230, "ms": 1.0}, {"parameters": 100, "ms": 0.9}, {"parameters": 20, "ms": 0.05})
    assert both == 1
    assert models_within({}, {}, {}) is None
