"""The gradient engine: every level, head policy and way of giving losses against hand-written gradients."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from sharewise.balance import Balancer
from sharewise.balance.aggregation.mean import Mean
from sharewise.balance.aggregation.mgda import MGDA
from sharewise.balance.aggregation.nash import Nash
from sharewise.balance.aggregation.upgrad import UPGrad
from sharewise.balance.contracts import Needs
from sharewise.balance.engine.rows import leaves
from sharewise.balance.scaling.initial import Initial
from sharewise.balance.weighting.equal import Equal
from sharewise.balance.weighting.famo import FAMO
from sharewise.balance.weighting.uncertainty import Uncertainty
from sharewise.errors import ConfigError, DataError

N_TASKS, B, D = 3, 16, 8


class Net(nn.Module):
    """A trunk and one head per task, on targets at odds with one another."""

    def __init__(self, trunk: nn.Module | None = None, width: int = D, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.trunk = trunk or nn.Sequential(nn.Linear(5, 12), nn.Tanh(), nn.Linear(12, width), nn.Tanh())
        self.heads = nn.ModuleList(nn.Linear(width, 1) for _ in range(N_TASKS))

    def loss(self, t: int, z: Tensor, y: Tensor) -> Tensor:
        return (t + 1) * nn.functional.mse_loss(self.heads[t](z).squeeze(-1), y[:, t])


def batch(seed: int = 1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(B, 5, generator=generator)
    y = torch.stack([x[:, 0], -x[:, 0] + x[:, 1], x[:, 2]], -1)
    return x, y


def grads(net: nn.Module) -> dict[str, Tensor | None]:
    return {n: None if p.grad is None else p.grad.clone() for n, p in net.named_parameters()}


def expected(net: Net, x: Tensor, y: Tensor, weights: Tensor, own: bool) -> dict[str, Tensor]:
    """Gradients of sum_t w_t l_t, heads unweighted where `own`."""
    net = copy.deepcopy(net)
    z = net.trunk(x)
    losses = [net.loss(t, z, y) for t in range(N_TASKS)]
    found = {}
    for name, parameter in net.named_parameters():
        w = torch.ones(N_TASKS) if own and name.startswith("heads") else weights
        total = sum(w[t].float() * losses[t] for t in range(N_TASKS))
        assert isinstance(total, Tensor)
        (grad,) = torch.autograd.grad(total, parameter, retain_graph=True, allow_unused=True)
        found[name] = torch.zeros_like(parameter) if grad is None else grad
    return found


def gram_at_parameters(net: Net, x: Tensor, y: Tensor) -> Tensor:
    z = net.trunk(x)
    rows = []
    for t in range(N_TASKS):
        found = torch.autograd.grad(net.loss(t, z, y), list(net.trunk.parameters()), retain_graph=True)
        rows.append(torch.cat([g.flatten() for g in found]))
    jacobian = torch.stack(rows)
    return (jacobian @ jacobian.mT).double()


def gram_at_features(net: Net, x: Tensor, y: Tensor) -> Tensor:
    z = net.trunk(x).detach().requires_grad_()
    jacobian = torch.stack([torch.autograd.grad(net.loss(t, z, y), z)[0].flatten() for t in range(N_TASKS)])
    return (jacobian @ jacobian.mT).double()


def by_copies(balancer: Balancer, net: Net, x: Tensor, y: Tensor) -> None:
    copies = balancer.copies(net.trunk(x))
    balancer.backward([net.loss(t, c, y) for t, c in enumerate(copies)])


def by_copies_and_shared(balancer: Balancer, net: Net, x: Tensor, y: Tensor) -> None:
    copies = balancer.copies(net.trunk(x))
    shared = net.trunk.parameters()
    balancer.backward([net.loss(t, c, y) for t, c in enumerate(copies)], shared=shared)


def by_features(balancer: Balancer, net: Net, x: Tensor, y: Tensor) -> None:
    z = net.trunk(x)
    balancer.backward([net.loss(t, z, y) for t in range(N_TASKS)], features=z)


def by_shared(balancer: Balancer, net: Net, x: Tensor, y: Tensor) -> None:
    z = net.trunk(x)
    balancer.backward([net.loss(t, z, y) for t in range(N_TASKS)], shared=net.trunk.parameters())


def by_callable(balancer: Balancer, net: Net, x: Tensor, y: Tensor) -> None:
    def losses_from(z: Tensor) -> Tensor:
        copies = z.unbind(0) if z.dim() == 3 else [z] * N_TASKS
        return torch.stack([net.loss(t, c, y) for t, c in enumerate(copies)])

    balancer.backward_from(net.trunk(x), losses_from)


WAYS = {
    "representation": [by_copies, by_features, by_callable],
    "parameters": [by_copies, by_copies_and_shared, by_features, by_shared, by_callable],
}
CELLS = [(level, way) for level, ways in WAYS.items() for way in ways]


@pytest.mark.parametrize(("level", "way"), CELLS)
@pytest.mark.parametrize("heads", ["own", "weighted"])
@pytest.mark.parametrize("trunk", ["loop", "vmap"])
def test_every_way_gives_the_weighted_gradients(
    level: str, way: Callable[[Balancer, Net, Tensor, Tensor], None], heads: str, trunk: str
) -> None:
    net, (x, y) = Net(), batch()
    matrix = gram_at_parameters(net, x, y) if level == "parameters" else gram_at_features(net, x, y)
    weights = UPGrad()(matrix, torch.ones(N_TASKS))
    balancer = Balancer(UPGrad(), level=level, heads=heads, trunk=trunk).build(N_TASKS)
    way(balancer, net, x, y)
    for name, wanted in expected(net, x, y, weights, heads == "own").items():
        found = net.get_parameter(name).grad
        assert found is not None
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-6)


def test_the_last_block_measures_there_and_moves_the_whole_trunk() -> None:
    net, (x, y) = Net(), batch()
    assert isinstance(net.trunk, nn.Sequential)
    block = list(net.trunk[2].parameters())
    z = net.trunk(x)
    rows = []
    for t in range(N_TASKS):
        found = torch.autograd.grad(net.loss(t, z, y), block, retain_graph=True)
        rows.append(torch.cat([g.flatten() for g in found]))
    jacobian = torch.stack(rows).double()
    weights = MGDA()(jacobian @ jacobian.mT, torch.ones(N_TASKS))
    balancer = Balancer(MGDA(), level="last_block").build(N_TASKS)
    copies = balancer.copies(net.trunk(x))
    balancer.backward([net.loss(t, c, y) for t, c in enumerate(copies)], shared=block)
    for name, wanted in expected(net, x, y, weights, own=True).items():
        torch.testing.assert_close(net.get_parameter(name).grad, wanted, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("heads", ["own", "weighted"])
def test_held_weights_are_used_between_refreshes(heads: str) -> None:
    net, (x, y) = Net(), batch()
    balancer = Balancer(Nash(), refresh=3, heads=heads).build(N_TASKS)
    first = None
    for step in range(5):
        net.zero_grad()
        copies = balancer.copies(net.trunk(x))
        report = balancer.backward([net.loss(t, c, y) for t, c in enumerate(copies)])
        assert report.fresh == (step % 3 == 0)
        if step == 0:
            first = report.weights
        if step in (1, 2):
            assert first is not None
            torch.testing.assert_close(report.weights, first)
            wanted = expected(net, x, y, first, heads == "own")
            for name, grad in wanted.items():
                torch.testing.assert_close(net.get_parameter(name).grad, grad, rtol=1e-4, atol=1e-6)
            x, y = batch(7)
            with torch.no_grad():
                for parameter in net.parameters():
                    parameter += 0.05


def test_weights_measured_on_a_sub_batch() -> None:
    net, (x, y) = Net(), batch()
    balancer = Balancer(MGDA(), refresh=0).build(N_TASKS)
    part = net.trunk(x[:4])
    measured = balancer.measure([net.loss(t, part, y[:4]) for t in range(N_TASKS)], features=part)
    assert all(p.grad is None for p in net.parameters())
    copies = balancer.copies(net.trunk(x))
    report = balancer.backward([net.loss(t, c, y) for t, c in enumerate(copies)])
    assert not report.fresh
    torch.testing.assert_close(report.weights, measured.weights)


def test_an_absent_task_leaves_its_head_alone() -> None:
    net, (x, y) = Net(), batch()
    for level in ("losses", "representation", "parameters"):
        net.zero_grad()
        method = Equal() if level == "losses" else UPGrad()
        balancer = Balancer(method, level=level).build(N_TASKS)
        z = net.trunk(x)
        copies = [z] * N_TASKS if level == "losses" else balancer.copies(z)
        losses = [net.loss(t, c, y) for t, c in enumerate(copies)]
        losses[1] = torch.zeros(())
        report = balancer.backward(losses, torch.tensor([True, False, True]))
        assert report.weights[1] == 0
        assert net.heads[1].weight.grad is None or not net.heads[1].weight.grad.any()  # type: ignore[union-attr]
        assert net.heads[0].weight.grad.any()  # type: ignore[union-attr]


def test_weighting_at_level_losses_is_the_plain_objective() -> None:
    net, (x, y) = Net(), batch()
    method = Uncertainty()
    balancer = Balancer(method, scaling=Initial()).build(N_TASKS)
    z = net.trunk(x)
    report = balancer.backward({str(t): net.loss(t, z, y) for t in range(N_TASKS)})
    wanted = expected(net, x, y, report.weights, own=False)
    for name, grad in wanted.items():
        torch.testing.assert_close(net.get_parameter(name).grad, grad, rtol=1e-4, atol=1e-6)
    assert method.log_variance.grad is not None
    torch.testing.assert_close(report.weights * report.losses, torch.full((N_TASKS,), 1 / 6))


def test_micro_batches_at_the_parameters_add_up() -> None:
    net, (x, y) = Net(), batch()
    balancer = Balancer(Mean(), level="parameters").build(N_TASKS)
    for part in (slice(0, 8), slice(8, 16)):
        copies = balancer.copies(net.trunk(x[part]))
        balancer.backward([0.5 * net.loss(t, c, y[part]) for t, c in enumerate(copies)])
    for name, grad in expected(net, x, y, torch.full((3,), 1 / 3), own=True).items():
        torch.testing.assert_close(net.get_parameter(name).grad, grad, rtol=1e-4, atol=1e-6)


def test_clip_and_scale_convention() -> None:
    net, (x, y) = Net(), batch()
    norms = {}
    for name, options in {"plain": {}, "clip": {"clip": 0.01}, "mean": {"scale": "mean_norm"}}.items():
        balancer = Balancer(MGDA(), **options).build(N_TASKS)  # type: ignore[arg-type]
        copies = balancer.copies(net.trunk(x))
        report = balancer.backward([net.loss(t, c, y) for t, c in enumerate(copies)])
        matrix, w = report.gramian, report.weights.double()
        assert matrix is not None
        norms[name] = float((w @ matrix @ w).sqrt())
        plain = float(matrix.mean().sqrt())
    assert norms["clip"] == pytest.approx(0.01, rel=1e-4)
    assert norms["mean"] == pytest.approx(plain, rel=1e-4)
    assert norms["plain"] < plain


def test_freezing_the_learnt_weights() -> None:
    net, (x, y) = Net(), batch()
    balancer = Balancer(Nash(), freeze_after=2).build(N_TASKS)
    seen: list[Tensor] = []
    for _ in range(4):
        for _ in range(3):
            copies = balancer.copies(net.trunk(x))
            report = balancer.backward([net.loss(t, c, y) for t, c in enumerate(copies)])
            seen.append(report.weights)
            with torch.no_grad():
                for parameter in net.parameters():
                    parameter += 0.01
        balancer.after_epoch(report.losses)
    torch.testing.assert_close(seen[6], torch.stack(seen[3:6]).mean(0), rtol=1e-5, atol=0.0)
    torch.testing.assert_close(seen[11], seen[6])


def test_state_and_members_leave_together() -> None:
    first = Balancer(Nash(), scaling=Initial(), refresh=2).build(N_TASKS, [1, 2, 3])
    first.held.copy_(torch.rand(3, 3))
    first.keep(torch.tensor([True, False, True]))
    assert first.held.shape == (2, 3)
    second = Balancer(Nash(), scaling=Initial(), refresh=2).build(N_TASKS, [1, 3])
    second.load_state_dict(first.state_dict())
    assert torch.equal(second.held, first.held)


# --- bad input -------------------------------------------------------------------------------


def test_bad_input_is_a_sentence() -> None:
    net, (x, y) = Net(), batch()
    balancer = Balancer(Mean()).build(N_TASKS)
    z = net.trunk(x)
    good = [net.loss(t, z, y) for t in range(N_TASKS)]
    with pytest.raises(ConfigError, match=r"one per task \(3\); however, 2 are given"):
        balancer.backward(good[:2], features=z)
    with pytest.raises(ConfigError, match=r"must be a scalar; however, that of task '1' has shape \(16,\)"):
        balancer.backward([good[0], z.sum(-1), good[2]], features=z)
    with pytest.raises(ConfigError, match="attached to the graph; however, that of 2 is not"):
        balancer.backward([good[0], good[1], good[2].detach()], features=z)
    with pytest.raises(DataError, match="must be finite; however, that of 1 is nan"):
        balancer.backward([good[0], good[1] * torch.nan, good[2]], features=z)
    with pytest.raises(ConfigError, match="neither copies nor features are given"):
        balancer.backward(good)
    with pytest.raises(ConfigError, match="in their order; however, it is 1, 0, 2"):
        balancer.backward({"1": good[1], "0": good[0], "2": good[2]}, features=z)
    with pytest.raises(ConfigError, match="in their order; however, 'x' is none"):
        balancer.backward({"0": good[1], "x": good[0], "2": good[2]}, features=z)
    with pytest.raises(ConfigError, match="the level 'losses' has none"):
        Balancer(Mean(), level="losses")
    with pytest.raises(ConfigError, match="must be built"):
        Balancer(Mean()).backward(good, features=z)
    for parameter in net.trunk.parameters():
        parameter.requires_grad_(False)
    exact = Balancer(Mean(), level="parameters").build(N_TASKS)
    copies = exact.copies(net.trunk(x).requires_grad_())
    with pytest.raises(ConfigError, match="no parameter that requires a gradient is shared"):
        exact.backward([net.loss(t, c, y) for t, c in enumerate(copies)], shared=net.trunk.parameters())
    last = Balancer(Mean(), level="last_block").build(N_TASKS)
    copies = last.copies(net.trunk(x).requires_grad_())
    with pytest.raises(ConfigError, match="its parameters are not given"):
        last.backward([net.loss(t, c, y) for t, c in enumerate(copies)])


def test_a_task_that_is_not_finite_can_be_left_out() -> None:
    net, (x, y) = Net(), batch()
    balancer = Balancer(UPGrad(), nonfinite="skip").build(N_TASKS)
    copies = balancer.copies(net.trunk(x))
    losses = [net.loss(t, c, y) for t, c in enumerate(copies)]
    losses[1] = losses[1] * torch.nan
    report = balancer.backward(losses)
    assert report.present.tolist() == [True, False, True]
    assert all(p.grad is None or p.grad.isfinite().all() for p in net.parameters())


def test_needs_that_the_loop_does_not_meet_are_a_sentence() -> None:
    famo = Balancer(FAMO())
    with pytest.raises(ConfigError, match=r"the optimiser's step; however, .* call balancer.after_step"):
        famo.check(Needs(epoch_means=True))
    famo.check(Needs(losses_after_step=True))
    net, (x, y) = Net(), batch()

    def train(balancer: Balancer, optimiser: torch.optim.Optimizer) -> None:
        balancer.build(N_TASKS)
        for _ in range(64):
            optimiser.zero_grad()
            z = net.trunk(x)
            balancer.backward([net.loss(t, z, y) for t in range(N_TASKS)])
            optimiser.step()

    optimiser = torch.optim.SGD(net.parameters(), lr=1e-3)
    with pytest.raises(ConfigError, match="'FAMO' needs the batch's losses again"):
        train(famo, optimiser)
    with pytest.raises(ConfigError, match=r"Give balancer.parameters\(\) to the optimiser"):
        train(Balancer(Uncertainty()), optimiser)


def test_leaves_finds_what_is_shared() -> None:
    net, (x, _) = Net(), batch()
    next(net.trunk.parameters()).requires_grad_(False)
    found = leaves([net.trunk(x)])
    assert {id(p) for p in found} == {id(p) for p in net.trunk.parameters() if p.requires_grad}
