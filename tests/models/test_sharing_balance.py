"""Sharing architectures in training: balanced by every aggregator, tied by their penalty, one head for many groups."""

from __future__ import annotations

import pytest
import torch
from sharing_models import built, cohort, got, rows, toy

from sharewise.balance import aggregation
from sharewise.balance.aggregation.upgrad import UPGrad
from sharewise.balance.contracts import Aggregator
from sharewise.balance.engine.balancer import Balancer
from sharewise.balance.engine.conventions import Level
from sharewise.models import sharing
from sharewise.models.build import GroupModel, Slot
from sharewise.models.stacked import Stack
from sharewise.plan import Choice
from sharewise.training.shared import Shared, is_shared

EXACT = {
    "ple": {"levels": 2},
    "adapters": {},
    "lora": {},
    "task_embedding": {},
    "hard": {"depth": 3, "split": [1, 2, 3]},
}


class Spy(Aggregator):
    """Keeps the Gramian it is given; equal weights."""

    def weights(self, gramian: torch.Tensor, losses: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
        self.seen = gramian
        return present.double() / present.shape[-1]


@pytest.mark.parametrize(("name", "params"), EXACT.items())
def test_where_gradients_cannot_meet_at_z_the_gramian_is_that_of_all_shared_parameters(
    name: str, params: dict[str, object]
) -> None:
    """Against one whole backward pass per task."""
    made, stack = built(name, members=2, width=6, **params)
    stack.flat += 0.2 * torch.randn(stack.flat.shape, generator=torch.Generator().manual_seed(3))
    assert not made.sharing.common
    spy = Spy()
    balancer = Balancer(spy).build(3, [0, 1])
    part = Shared(made, stack, balancer)
    assert balancer.level is Level.LAST_BLOCK
    x, y = rows(16, members=2), torch.randn(2, 3, 16, generator=torch.Generator().manual_seed(1))

    def losses_from(z: torch.Tensor) -> torch.Tensor:
        return (made.outputs(z)[0][..., 0] - y).square().mean(-1)

    balancer.backward_from(made.features(x), losses_from, None, part.compared)
    moved = stack.take_gradient()
    losses = losses_from(made.features(x))
    shared = [e.parameter for e in stack.entries if is_shared(e)]
    jacobian = torch.stack(
        [
            torch.cat([g.flatten(1) for g in torch.autograd.grad(losses[:, t].sum(), shared, retain_graph=True)], 1)
            for t in range(3)
        ],
        dim=1,
    )
    torch.testing.assert_close(spy.seen.float(), jacobian @ jacobian.mT, rtol=1e-4, atol=1e-6)
    losses.mean(1).sum().backward()
    plain = stack.take_gradient()
    mask = stack.mask(is_shared) > 0
    torch.testing.assert_close(moved[:, mask], plain[:, mask], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("architecture", sharing.CATALOGUE)
def test_every_gramian_aggregator_trains_it(architecture: str) -> None:
    data = toy(conflict=True, n=32)
    for name in aggregation.CATALOGUE:
        method = aggregation.CATALOGUE.build(name, **({"task": "t0"} if name == "primary" else {}))
        one = cohort(data, architecture, Balancer(method), members=(0,), steps=1, width=4)
        before = one.stack.flat.clone()
        result = one.fit(())[0]
        assert not result.message, name
        assert all(torch.isfinite(torch.tensor(w)) for w in result.weights.values()), name
        assert not torch.equal(before, one.checkpoints.flat[:, 0]), name


@pytest.mark.parametrize("architecture", ["mmoe", "lora"])
def test_conflicting_tasks_are_balanced_and_learnt(architecture: str) -> None:
    one = cohort(toy(conflict=True), architecture, Balancer(UPGrad()), steps=120, width=8)
    for result in one.fit(()):
        assert all(w > 0 for w in result.weights.values())
        for curve in result.curves.values():
            assert min(v for v in curve.validation_loss if v is not None) < 0.4


@pytest.mark.parametrize("tie", ["l2", "trace"])
def test_the_tie_pulls_trunks_together(tie: str) -> None:
    data = toy()
    apart = []
    for strength in (0.0, 1e-3, 1.0):
        one = cohort(data, "soft", steps=60, width=6, tie=tie, strength=strength, members=(0,))
        one.fit(())
        one.stack.bind(one.checkpoints.flat[:, 0])
        apart.append(float(one.model.sharing.measured()["distance of the trunks"][0]))
    assert apart[0] > apart[1] > apart[2]
    assert apart[2] < (0.05 if tie == "l2" else 0.7 * apart[0])


def test_penalties_are_the_papers() -> None:
    """Squared distances to the mean by hand; the nuclear norm by singular values."""
    for tie in ("l2", "trace"):
        made, stack = built("soft", width=4, members=2, tie=tie, strength=0.5)
        stack.flat += torch.randn(stack.flat.shape, generator=torch.Generator().manual_seed(3))
        expected = torch.zeros(2)
        for layer in range(2):
            parts = [got(stack, f"sharing.layers.{layer}.{p}").flatten(2) for p in ("weight", "bias")]
            row = torch.cat(parts, dim=2)
            if tie == "l2":
                expected += 0.5 * sum((row[:, s] - row.mean(1)).square().sum(1) for s in range(3))
            else:
                expected += 0.5 * torch.linalg.matrix_norm(row, ord="nuc")
        penalty = made.sharing.penalty()
        assert penalty is not None
        torch.testing.assert_close(penalty.detach(), expected, rtol=1e-4, atol=1e-4)


def test_a_trace_norm_of_equal_trunks_has_a_finite_gradient() -> None:
    made, stack = built("soft", width=4, tie="trace")
    penalty = made.sharing.penalty()
    assert penalty is not None
    penalty.sum().backward()
    assert torch.isfinite(stack.take_gradient()).all()


def test_mixtures_say_how_much_is_read_from_others() -> None:
    made, _ = built("cross_stitch", n_slots=2, own=0.7)
    torch.testing.assert_close(made.sharing.measured()["weight on other tasks' trunks"], torch.tensor([0.3]))


def test_groups_of_one_declaration_share_one_head_and_others_keep_theirs() -> None:
    slots = [Slot("ordinal", 3, 1, 0), Slot("ordinal", 3, 1, 0), Slot("regression", 1, 1)]
    made = GroupModel({"n_embedding": 5}, Choice("task_embedding", {"width": 8, "size": 2}), slots)
    stack = Stack(made)
    stack.populate([0], [["g@1", "g@2", "y"]])
    sizes = {e.name: tuple(e.shape) for e in stack.entries if e.name.startswith("heads.")}
    assert sizes == {
        "heads.0.bias": (1, 1, 1),
        "heads.0.family": (1, 8, 1),
        "heads.0.thresholds": (1, 2),
        "heads.1.weight": (1, 8, 1),
        "heads.1.bias": (1, 1, 1),
    }
    own = sum(e.shape[1:].numel() for e in stack.entries if e.slots is not None and "heads.1" not in e.name)
    assert own == 2
    a, b, _ = made.predict(rows())
    assert torch.equal(a, b)
    stack.flat += 0.5 * torch.randn(stack.flat.shape, generator=torch.Generator().manual_seed(9))
    a, b, _ = made.predict(rows())
    assert not torch.allclose(a, b)
