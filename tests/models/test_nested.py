"""A fine head below a coarse one: probabilities sum up, the coarse head is read and not moved; the same when served."""

from __future__ import annotations

import numpy as np
import torch
from sharing_models import rows

from sharewise.bundle.hierarchy import consistent, with_parents
from sharewise.models.build import GroupModel, from_config, slots_of
from sharewise.models.stacked import Stack
from sharewise.plan import Choice
from sharewise.tasks import Task, TaskKind, TaskSet

TOP = Task("top", TaskKind.MULTICLASS, ("top",), "accuracy", classes=("a", "b", "none"))
FINE = Task(
    "fine",
    TaskKind.MULTICLASS,
    ("fine",),
    "accuracy",
    classes=("a1", "b1", "a2", "b2", "b3"),
    parent="top",
    under=(0, 1, 0, 1, 1),
)
FINEST = Task(
    "finest", TaskKind.MULTICLASS, ("finest",), "accuracy", classes=("p", "q", "r"), parent="fine", under=(0, 0, 2)
)
YES = Task("yes", TaskKind.BINARY, ("yes",), "accuracy", classes=("no", "yes"), parent="finest", under=(2, 2))


def made(*tasks: Task) -> tuple[GroupModel, Stack]:
    net = GroupModel({"n_embedding": 5}, Choice("hard", {"width": 8}), slots_of(tasks))
    stack = Stack(net)
    stack.populate([0, 1], [[t.name for t in tasks]] * 2)
    stack.flat += 0.5 * torch.randn(stack.flat.shape, generator=torch.Generator().manual_seed(2))
    return net, stack


def test_fine_classes_of_a_coarse_one_sum_to_it_whatever_the_order_of_the_tasks() -> None:
    for tasks in ((TOP, FINE, FINEST), (FINEST, FINE, TOP)):
        net, _ = made(*tasks)
        by_name = dict(zip((t.name for t in tasks), net.predict(rows(members=2)), strict=True))
        top, fine, finest = by_name["top"], by_name["fine"], by_name["finest"]
        with_children = top[..., :2] / top[..., :2].sum(-1, keepdim=True)
        torch.testing.assert_close(fine[..., [0, 2]].sum(-1), with_children[..., 0])
        torch.testing.assert_close(fine[..., [1, 3, 4]].sum(-1), with_children[..., 1])
        # a1 has p and q, a2 has r, the others have none.
        share = fine[..., 0] / (fine[..., 0] + fine[..., 2])
        torch.testing.assert_close(finest[..., :2].sum(-1), share)
        torch.testing.assert_close(finest.sum(-1), torch.ones_like(share))
        assert from_config(net.config).slots == net.slots


def test_the_fine_loss_is_that_of_its_probability_and_leaves_the_coarse_head_alone() -> None:
    net, stack = made(TOP, FINE)
    x = rows(members=2)
    y = torch.tensor([0, 1, 2, 3, 4, 0, 1]).view(1, 1, 7, 1).expand(2, -1, -1, -1).float()
    outputs = net.outputs(net.features(x))
    block = next(b for b, members in enumerate(net.blocks) if members == (1,))
    present = torch.ones_like(y, dtype=torch.bool)
    loss = net.block_heads[block][1].losses(outputs[block], y, present, None)
    p = net.predict(x)[1]
    expected = -p.gather(-1, y[:, 0].long()).log().mean((1, 2))
    torch.testing.assert_close(loss[:, 0].detach(), expected)
    loss.sum().backward()
    grads = {e.name: e.parameter.grad for e in stack.entries}
    coarse = [n for n in grads if n.startswith(f"heads.{1 - block}.")]
    assert all(grads[n] is None or not grads[n].any() for n in coarse)
    assert grads[f"heads.{block}.weight"].any()


def test_without_its_parent_in_the_group_a_fine_task_is_an_ordinary_one() -> None:
    net, _ = made(FINE)
    assert [slot.head for slot in net.slots] == ["multiclass"]
    assert [slot.head for slot in slots_of((TOP, FINE, YES))] == ["multiclass", "nested", "binary"]


def test_served_answers_of_any_models_are_consistent() -> None:
    random = np.random.default_rng(1)
    tasks = TaskSet((FINEST, TOP, YES, FINE))
    n = 200
    given = {
        "top": random.dirichlet(np.ones(3), n),
        "fine": random.dirichlet(np.ones(5), n),
        "finest": random.dirichlet(np.ones(3), n),
        "yes": random.random((n, 1)),
    }
    known = np.ones(n, bool)
    known[:3] = False
    found = consistent(tasks, {name: (p.astype(np.float32), known) for name, p in given.items()})
    assert set(found) == {"fine", "finest", "yes"}
    np.testing.assert_allclose(found["fine"].probabilities[:, [0, 2]].sum(1), given["top"][:, 0], rtol=1e-5)
    np.testing.assert_allclose(found["finest"].probabilities[:, 2], found["fine"].probabilities[:, 2], rtol=1e-5)
    np.testing.assert_allclose(found["yes"].probabilities.sum(1), found["finest"].probabilities[:, 2], rtol=1e-5)
    top = given["top"].argmax(1)
    for row in range(n):
        fine, finest, yes = (found[name].codes[row] for name in ("fine", "finest", "yes"))
        if row < 3:
            assert (fine, finest, yes) == (-1, -1, -1)
            continue
        assert fine == -1 if top[row] == 2 else FINE.under[fine] == top[row]
        assert finest == -1 if fine not in (0, 2) else FINEST.under[finest] == fine
        assert (yes == -1) == (finest != 2)
    assert with_parents(tasks, ["yes"], dict.fromkeys(tasks.names)) == ["finest", "fine", "top"]


def test_a_model_that_says_zero_of_all_siblings_spreads_them_evenly() -> None:
    q = np.array([[0, 1, 0, 0, 0]], np.float32)
    top = np.array([[0.9, 0.05, 0.05]], np.float32)
    found = consistent(TaskSet((TOP, FINE)), {"top": (top, np.ones(1, bool)), "fine": (q, np.ones(1, bool))})
    np.testing.assert_allclose(found["fine"].probabilities[0], [0.45, 0.05, 0.45, 0, 0], atol=1e-6)
    assert found["fine"].codes[0] == 0
