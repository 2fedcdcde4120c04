"""Mistakes of an own training loop: each is a sentence that says what is needed and how to give it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sharewise.balance import Balancer, TaskFacts, choose
from sharewise.balance.aggregation.nash import Nash
from sharewise.errors import ConfigError, DataError


class Loop:
    """A trunk, two heads, one batch."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.trunk, self.heads = nn.Linear(8, 16), nn.ModuleList(nn.Linear(16, 1) for _ in range(2))
        self.x, self.y = torch.randn(32, 8), torch.randn(32, 2)

    def z(self) -> Tensor:
        return torch.relu(self.trunk(self.x))

    def losses(self, *read: Tensor) -> list[Tensor]:
        pairs = enumerate(zip(self.heads, read, strict=True))
        return [nn.functional.mse_loss(head(z)[:, 0], self.y[:, t]) for t, (head, z) in pairs]

    def step(self, balancer: Balancer, change: Callable[[list[Tensor]], Any] = list, **more: Any) -> Any:
        return balancer.backward(change(self.losses(*balancer.copies(self.z()))), **more)


def nash(**params: Any) -> Balancer:
    return choose.make("nash", params).build(2)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: choose.make("nahs"), "'nahs' is neither. Did you mean 'nash'"),
        (lambda: choose.make("cagrad", {"cc": 1}), "'cc' is not. Did you mean 'c'"),
        (lambda: choose.make("cagrad", {"c": "much"}), "'c' of 'cagrad' must be a number; however, it is 'much'"),
        (lambda: choose.make("nash", {"scaling": "inital"}), "Did you mean 'initial'"),
        (lambda: choose.make("nash", {"level": "representations"}), "Did you mean 'representation'"),
        (lambda: Balancer(Nash(), heads="owned"), "'heads' must be known; however, 'owned' is not"),
        (lambda: Balancer(Nash(), trunk="lop"), "Did you mean 'loop'"),
        (lambda: Balancer(Nash(), scale="mean"), "'scale' must be known"),
        (lambda: Balancer(Nash(), clip=0.0), "'clip' must be a positive length; however, it is 0.0"),
        (lambda: Balancer(Nash(), freeze_after=0), "'freeze_after' must be a number of epochs, at least 1"),
        (lambda: Balancer(Nash(), refresh=1.5), "'refresh' must be a number of steps, or 0"),  # type: ignore[arg-type]
        (lambda: Balancer(Nash(), nonfinite="drop"), "'nonfinite' must be raise or skip"),  # type: ignore[arg-type]
        (lambda: Balancer("nash"), r"'nash' is no object of either. Make it by choose.make\('nash'\)"),  # type: ignore[arg-type]
        (lambda: Balancer(Nash), r"Nash is no object of either. Call it"),  # type: ignore[arg-type]
        (lambda: Balancer(Nash()).build(0), "at least one task; however, there are 0"),
        (lambda: TaskFacts(2, names=("a", "a")), "must differ; however, 'a' is given twice"),
        (lambda: Balancer(Nash()).after_epoch(torch.ones(2)), "must be built for its tasks"),
        (lambda: nash().after_epoch(torch.ones(3)), r"must be a tensor \(..., 2\); however, the shape is \(3,\)"),
        (lambda: choose.make("prioritise").build(2).after_epoch(torch.ones(2)), "needs validation scores"),
        (lambda: choose.make("inverse_volume").build(2), r"needs label_counts .* Pass TaskFacts\(2, label_counts="),
    ],
)
def test_choices_that_cannot_be(make: Callable[[], object], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        make()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda found: [found[0], 0.3], "A loss must be a real tensor; however, that of task '1' is a float"),
        (lambda found: [found[0], None], "that of task '1' is a NoneType"),
        (lambda found: [found[0], found[1] * 1j], "that of task '1' is a complex tensor"),
        (
            lambda found: found[0],
            r"Losses must be \(..., T\) for the T = 2 tasks declared; however, their shape is \(\)",
        ),
        (lambda found: [], r"one per task \(2\); however, 0 are given"),
        (lambda found: [found[0], torch.tensor(3)], "attached to the graph; however, that of 1 is not"),
    ],
)
@pytest.mark.filterwarnings("ignore:Casting complex values")
def test_losses_that_cannot_be(change: Callable[[list[Tensor]], Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        Loop().step(nash(), change)


@pytest.mark.parametrize(
    ("present", "fact"),
    [
        ([True, False], "it is a list"),
        (torch.tensor([1.0, 0.0]), r"it is one of float32 with shape \(2,\)"),
        (torch.tensor([True, False, True]), r"it is one of bool with shape \(3,\)"),
    ],
)
def test_presence_that_cannot_be(present: Any, fact: str) -> None:
    with pytest.raises(ConfigError, match=rf"bool with the losses' shape \(2,\); however, {fact}"):
        Loop().step(nash(), present=present)


@pytest.mark.parametrize("forgotten", [0, 1, (0, 1)], ids=["first", "second", "both"])
def test_a_head_that_reads_the_features_themselves(forgotten: Any) -> None:
    loop, balancer = Loop(), nash()
    z = loop.z()
    copies = balancer.copies(z)
    each = forgotten if isinstance(forgotten, tuple) else (forgotten,)
    found = loop.losses(*(z if t in each else copies[t] for t in (0, 1)))
    with pytest.raises(ConfigError, match="must read its own copy of the shared features"):
        balancer.backward(found)


def test_shared_parameters_that_cannot_be() -> None:
    loop = Loop()
    for shared, sentence in (
        ([], "no parameter that requires a gradient is shared"),
        (loop.trunk, "it is one Linear. Pass shared=module.parameters"),
        (list(loop.trunk.named_parameters()), "one entry is a tuple. Pass module.parameters"),
        (loop.heads.parameters(), "they depend on none of those given as 'shared'"),
    ):
        with pytest.raises(ConfigError, match=sentence):
            loop.step(nash(level="parameters"), shared=shared)
    with pytest.raises(ConfigError, match="Shared features must be tensors; however, one is a list"):
        nash().copies([loop.z()])  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["log", "geometric", "tchebycheff"])
def test_negative_losses_have_no_logarithm(name: str) -> None:
    with pytest.raises(DataError, match="not negative have a logarithm; however, one is -"):
        Loop().step(choose.make(name).build(2), lambda found: [found[0], -found[1]])


def test_losses_without_gradients_and_a_second_backward() -> None:
    loop, balancer = Loop(), nash()
    with torch.no_grad(), pytest.raises(ConfigError, match="attached to the graph; however, that of 0, 1 is not"):
        loop.step(balancer)
    found = loop.losses(*balancer.copies(loop.z()))
    balancer.backward(found)
    with pytest.raises(ConfigError, match="neither copies nor features are given"):
        balancer.backward(found)
    for kind in (torch.float64, torch.bfloat16):
        step = loop.step(balancer, lambda losses, kind=kind: [loss.to(kind) for loss in losses])
        assert step.weights.isfinite().all()
