"""The contract of every aggregator in the catalogue that works on the Gramian, on ugly inputs."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from sharewise.balance.aggregation import CATALOGUE
from sharewise.balance.contracts import Aggregator, Claim, TaskFacts

PARAMS: dict[str, dict[str, Any]] = {"primary": {"task": "t0"}}
NAMES = [name for name in sorted(CATALOGUE) if issubclass(CATALOGUE.load(name), Aggregator)]


def facts(order: list[int]) -> TaskFacts:
    n = len(order)
    return TaskFacts(n, names=tuple(f"t{i}" for i in order), label_counts=(10,) * n, n_classes=(2,) * n)


def built(name: str, order: list[int], seeds: int | list[int] = 3) -> Aggregator:
    method = CATALOGUE.build(name, **PARAMS.get(name, {}))
    assert isinstance(method, Aggregator)
    return method.build(facts(order), seeds)


def jacobian(kind: str, n_tasks: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    rows = normal(n_tasks, 3 * n_tasks + 2)
    match kind:
        case "random":
            return rows
        case "agreeing":
            return rows + 2.0 * normal(1, rows.shape[1])
        case "conflicting":
            rows = rows - 0.9 * rows.mean(0)
            return rows * torch.logspace(-1, 1, n_tasks, dtype=torch.float64)[:, None]
        case "deficient":
            return normal(n_tasks, max(n_tasks // 2, 1))
        case "opposing":
            return torch.cat([rows[:1], -rows[:1].expand(n_tasks - 1, -1)])
        case "zero":
            return torch.zeros_like(rows)
        case "one zero":
            rows[-1] = 0.0
            return rows
        case "bad scales":
            return rows * torch.logspace(-8, 8, n_tasks, dtype=torch.float64)[:, None]
        case "float32 copies":
            return rows[:1].float().repeat(n_tasks, 1)
    raise AssertionError(kind)


REGULAR = ["random", "agreeing", "conflicting"]
UGLY = ["deficient", "opposing", "zero", "one zero", "bad scales", "float32 copies"]
KINDS = REGULAR + UGLY


def gramian(rows: Tensor) -> Tensor:
    return (rows @ rows.mT).double()


def losses(n_tasks: int) -> Tensor:
    return torch.linspace(0.5, 2.0, n_tasks, dtype=torch.float64)


def direction(rows: Tensor, weights: Tensor) -> Tensor:
    return weights @ rows.double()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n_tasks", [1, 2, 5, 40])
def test_weights_are_finite_on_ugly_gramians(name: str, n_tasks: int) -> None:
    for kind in KINDS:
        weights = built(name, list(range(n_tasks)))(gramian(jacobian(kind, n_tasks)), losses(n_tasks))
        assert weights.shape == (n_tasks,)
        assert weights.isfinite().all(), kind


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", REGULAR)
@pytest.mark.parametrize("n_tasks", [2, 6])
def test_an_absent_task_moves_nothing_and_counts_for_nothing(name: str, kind: str, n_tasks: int) -> None:
    rows = jacobian(kind, n_tasks)
    whole, part = built(name, list(range(n_tasks))), built(name, list(range(n_tasks - 1)))
    present = torch.ones(n_tasks, dtype=torch.bool)
    present[-1] = False
    for step in range(2):
        matrix = gramian(rows)
        matrix[-1] = matrix[:, -1] = torch.nan if step else 1e6
        with_absent = method_weights(whole, matrix, present)
        without = method_weights(part, gramian(rows[:-1]), present[:-1])
        assert with_absent[-1] == 0
        torch.testing.assert_close(with_absent[:-1], without, rtol=1e-8, atol=1e-10)


def method_weights(method: Aggregator, matrix: Tensor, present: Tensor) -> Tensor:
    weights: Tensor = method(matrix, losses(present.shape[-1]), present)
    return weights


@pytest.mark.parametrize("name", NAMES)
def test_no_task_present_gives_no_weight(name: str) -> None:
    method = built(name, [0, 1, 2], [1, 2])
    matrix = gramian(jacobian("random", 3)).expand(2, 3, 3)
    present = torch.tensor([[True, True, True], [False, False, False]])
    weights = method(matrix, losses(3).expand(2, 3), present)
    assert (weights[1] == 0).all()
    assert (weights[0] != 0).any()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", REGULAR)
def test_permuting_the_tasks_permutes_the_result(name: str, kind: str) -> None:
    n_tasks, order = 6, [3, 0, 5, 1, 4, 2]
    matrix, some = gramian(jacobian(kind, n_tasks)), losses(n_tasks)
    straight, permuted = built(name, list(range(n_tasks))), built(name, order)
    for _ in range(3):
        weights = straight(matrix, some)
        other = permuted(matrix[order][:, order], some[order])
        torch.testing.assert_close(other, weights[order], rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_one_task_gives_a_positive_multiple_of_its_gradient(name: str, scale: float) -> None:
    matrix = torch.full((1, 1), scale**2, dtype=torch.float64)
    assert built(name, [0])(matrix, losses(1)).item() > 0
    present = torch.tensor([True, False, False])
    weights = built(name, [0, 1, 2])(scale**2 * gramian(jacobian("conflicting", 3)), losses(3), present)
    assert weights[0] > 0
    assert (weights[1:] == 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_stack_equals_its_members_one_by_one(name: str) -> None:
    seeds, n_tasks = [5, 6, 7, 8], 5
    kinds = ["random", "conflicting", "agreeing", "opposing"]
    stack = built(name, list(range(n_tasks)), seeds)
    alone = [built(name, list(range(n_tasks)), seed) for seed in seeds]
    present = torch.ones(4, n_tasks, dtype=torch.bool)
    present[1, 2] = False
    for step in range(3):
        matrices = torch.stack([gramian(jacobian(kind, n_tasks, step)) for kind in kinds])
        some = losses(n_tasks) * torch.arange(1, 5)[:, None]
        together = stack(matrices, some, present)
        for i, method in enumerate(alone):
            single = method(matrices[i], some[i], present[i])
            # opposing copies share a weight that only the ridge decides
            rtol = 1e-3 if kinds[i] == "opposing" else 1e-7
            torch.testing.assert_close(together[i], single, rtol=rtol, atol=1e-10)


@pytest.mark.parametrize("name", NAMES)
def test_a_member_leaves_the_stack_without_moving_the_others(name: str) -> None:
    n_tasks = 4
    stack, alone = built(name, list(range(n_tasks)), [5, 6, 7]), built(name, list(range(n_tasks)), 7)
    for step in range(4):
        matrix, some = gramian(jacobian("conflicting", n_tasks, step)), losses(n_tasks)
        if step == 2:
            stack.keep(torch.tensor([True, False, True]))
        n = 3 if step < 2 else 2
        together = stack(matrix.expand(n, -1, -1), some.expand(n, -1))
        torch.testing.assert_close(together[-1], alone(matrix, some), rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("name", NAMES)
def test_saved_and_loaded_state_goes_on_identically(name: str) -> None:
    n_tasks = 4
    first = built(name, list(range(n_tasks)), [5, 6])
    steps = [gramian(jacobian("conflicting", n_tasks, s)).expand(2, -1, -1) for s in range(5)]
    some = losses(n_tasks).expand(2, -1)
    for matrix in steps[:3]:
        first(matrix, some)
    second = built(name, list(range(n_tasks)), [0, 0])
    second.load_state_dict(first.state_dict())
    for matrix in steps[3:]:
        assert torch.equal(first(matrix, some), second(matrix, some))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n_tasks", [2, 7, 24])
def test_declared_claims_hold(name: str, n_tasks: int) -> None:
    for kind in KINDS:
        check_claims(name, kind, n_tasks)


def check_claims(name: str, kind: str, n_tasks: int) -> None:
    method = built(name, list(range(n_tasks)))
    rows = jacobian(kind, n_tasks)
    matrix = gramian(rows)
    weights = method(matrix, losses(n_tasks))
    if Claim.CONVEX in method.claims:
        assert (weights >= 0).all()
        assert weights.sum().item() == pytest.approx(1.0)
    if Claim.NON_CONFLICTING in method.claims:
        length = matrix.diagonal().sqrt() * (weights.abs() * matrix.diagonal().sqrt()).sum()
        assert (matrix @ weights >= -2e-6 * length).all()
    if Claim.STATELESS in method.claims:
        assert not method.state_dict()
        assert torch.equal(weights, method(matrix, losses(n_tasks)))
    if Claim.DETERMINISTIC in method.claims:
        assert torch.equal(weights, built(name, list(range(n_tasks)), 99)(matrix, losses(n_tasks)))
    if Claim.SCALE_INVARIANT in method.claims and kind in REGULAR:
        scale = torch.logspace(-3, 3, n_tasks, dtype=torch.float64)
        scaled = method(gramian(rows * scale[:, None]), losses(n_tasks) * scale)
        torch.testing.assert_close(scaled * scale, weights, rtol=1e-7, atol=0.0)
