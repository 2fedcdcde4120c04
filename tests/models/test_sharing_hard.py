"""Hard sharing: split depths, layers of one task, frozen trunks, tasks attached lower down."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from sharing_models import built, cohort, copy_heads, got, put, rows, toy

from sharewise.balance.aggregation.upgrad import UPGrad
from sharewise.balance.engine.balancer import Balancer
from sharewise.balance.engine.conventions import Level
from sharewise.models.build import GroupModel, Slot, placed
from sharewise.models.sharing.base import OFF
from sharewise.models.sharing.hard import Hard
from sharewise.models.stacked import Stack
from sharewise.plan import Choice
from sharewise.tasks import Task, TaskKind
from sharewise.training.shared import is_shared


def shared_names(stack: Stack) -> set[str]:
    return {e.name for e in stack.entries if is_shared(e) and e.name.endswith("weight")}


def test_a_split_at_the_depth_is_plain_hard_sharing() -> None:
    plain, stack = built("hard", width=8, depth=3)
    split, other = built("hard", width=8, depth=3, split=3)
    assert torch.equal(stack.flat, other.flat)
    assert all(torch.equal(a, b) for a, b in zip(plain.predict(rows()), split.predict(rows()), strict=True))


@pytest.mark.parametrize("split", [0, 1, 2])
def test_equal_own_layers_answer_as_shared_ones(split: int) -> None:
    plain, stack = built("hard", width=8, depth=3)
    made, other = built("hard", width=8, depth=3, split=split)
    copy_heads(stack, other)
    for layer in range(3):
        for part in ("weight", "bias"):
            value = got(stack, f"sharing.layers.{layer}.{part}")
            if layer < split:
                put(other, f"sharing.layers.{layer}.{part}", value)
            else:
                put(other, f"sharing.own.{split}_3.{layer - split}.{part}", value.unsqueeze(1))
    for a, b in zip(plain.predict(rows()), made.predict(rows()), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-6)
    assert shared_names(other) == {f"sharing.layers.{layer}.weight" for layer in range(split)}


def test_splits_by_task_share_what_two_tasks_reach_and_no_more() -> None:
    """Splits 1, 3 and 2 of depth 3: layer 1 for all, layer 2 for the last two, layer 3 each task's own."""
    made, stack = built("hard", width=8, depth=3, split=[1, 3, 2])
    assert shared_names(stack) == {"sharing.layers.0.weight", "sharing.layers.1.weight"}
    x = rows()["embedding"]
    h1 = F.silu(x @ got(stack, "sharing.layers.0.weight") + got(stack, "sharing.layers.0.bias"))
    h2 = F.silu(h1 @ got(stack, "sharing.layers.1.weight") + got(stack, "sharing.layers.1.bias"))

    def own(h: torch.Tensor, path: str, slot: int) -> torch.Tensor:
        return F.silu(h @ got(stack, f"{path}.weight")[:, slot] + got(stack, f"{path}.bias")[:, slot])

    first = own(own(h1, "sharing.own.1_3.0", 0), "sharing.own.1_3.1", 0)
    expected = [first, own(h2, "sharing.own.2_3.0", 0), own(h2, "sharing.own.2_3.0", 1)]
    features = made.sharing.branch(made.features(rows()), OFF)
    for slot, value in enumerate(expected):
        torch.testing.assert_close(features[:, slot], value, rtol=0, atol=1e-6)
    assert not made.sharing.common


def test_splits_by_name_are_placed_on_slots() -> None:
    tasks = [Task(n, TaskKind.REGRESSION, (n,), "rmse", family="f" if "@" in n else None) for n in ("a", "f@1", "b")]
    choice = placed(Choice("hard", {"split": {"a": 1, "f": 0}, "depth": 3}), tasks)
    assert choice.params == {"split": [1, 0, None], "depth": 3}


def test_a_task_alone_is_the_plain_net() -> None:
    assert Hard.alone(Choice("hard", {"split": 1, "width": 9})) == Choice("hard", {"width": 9})


def test_a_task_attached_lower_reads_that_layer() -> None:
    slots = [Slot("regression", 1, 1), Slot("regression", 1, 1, at_layer=1), Slot("regression", 1, 1)]
    made = GroupModel({"n_embedding": 5}, Choice("hard", {"width": 8, "depth": 3}), slots)
    Stack(made).populate([0], [["t0", "t1", "t2"]])
    plain, stack = built("hard", width=8, depth=3)
    a, b = made.predict(rows()), plain.predict(rows())
    assert torch.equal(a[0], b[0])
    assert torch.equal(a[2], b[2])
    h = F.silu(rows()["embedding"] @ got(stack, "sharing.layers.0.weight") + got(stack, "sharing.layers.0.bias"))
    head = made.block_heads[0][1]
    torch.testing.assert_close(
        a[1], (h @ head.get_parameter("weight")[:, 1] + head.get_parameter("bias")[:, 1]).detach(), rtol=0, atol=1e-6
    )


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"split": 3}, "at most the depth 2"),
        ({"split": [1, 1]}, "at most the depth 2"),
        ({"width": 0}, "at least 1"),
        ({"freeze_after": 1.0}, "share of the steps"),
        ({"at_layer": [1, 3, 0]}, "from 1 to the depth"),
    ],
)
def test_what_cannot_be_is_refused(params: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        built("hard", **params)


def test_frozen_shared_layers_stay_while_own_ones_learn() -> None:
    data = toy()
    made = cohort(data, "hard", width=8, split=1, freeze_after=0.0)
    before = made.stack.flat.clone()
    entries = made.stack.entries
    made.fit(())
    after = made.checkpoints.flat[:, 0]
    for entry in entries:
        same = torch.equal(entry.of(before), entry.of(after))
        assert same == is_shared(entry), entry.name
    later = cohort(data, "hard", width=8, split=1, freeze_after=0.5)
    later.fit(())
    assert not torch.equal(entries[0].of(before), entries[0].of(later.checkpoints.flat[:, 0]))


def test_gradients_meet_at_the_split_and_exactly_where_tasks_leave_at_several_depths() -> None:
    data = toy(conflict=True)
    at_z = cohort(data, "hard", Balancer(UPGrad()), width=8, split=1)
    assert at_z.balancer.level is Level.REPRESENTATION
    exact = cohort(data, "hard", Balancer(UPGrad()), width=8, depth=3, split=[1, 2, 3])
    assert exact.balancer.level is Level.LAST_BLOCK
    for one in (at_z, exact):
        for result in one.fit(()):
            assert all(w > 0 for w in result.weights.values())
            assert result.curves[0].validation_loss[-1] < 1.0  # type: ignore[operator]
