"""Every architecture in its simplest setting is hard sharing, and each is its paper's formula."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from sharing_models import built, copy_heads, got, put, rows
from torch import Tensor

from sharewise.models.sharing.base import OFF
from sharewise.models.stacked import Stack


def copy_layers(source: Stack, target: Stack, names: str, axes: int) -> None:
    """Give every cell of a model's layers `names` the hard trunk's layer of the same number."""
    for entry in source.entries:
        if entry.name.startswith("sharing.layers."):
            _, _, number, part = entry.name.split(".")
            value = entry.of(source.flat)
            put(target, names.format(number, part), value.reshape(1, *[1] * axes, *value.shape[1:]))


def same(one: Tensor, other: Tensor) -> None:
    torch.testing.assert_close(one, other, rtol=0, atol=1e-6)


@pytest.mark.parametrize("members", [1, 2])
@pytest.mark.parametrize(
    ("name", "params"), [("adapters", {"size": 0}), ("lora", {"rank": 0}), ("task_embedding", {"size": 0})]
)
def test_without_parts_of_single_tasks_it_is_hard_sharing_to_the_bit(
    name: str, params: dict[str, int], members: int
) -> None:
    plain, stack = built("hard", width=8, members=members)
    made, other = built(name, width=8, members=members, **params)
    assert torch.equal(stack.flat, other.flat)
    for a, b in zip(plain.predict(rows(members=members)), made.predict(rows(members=members)), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("name", ["adapters", "lora", "task_embedding"])
def test_training_starts_at_hard_sharing(name: str) -> None:
    plain, stack = built("hard", width=8)
    made, other = built(name, width=8)
    assert torch.equal(got(stack, "sharing.layers.1.weight"), got(other, "sharing.layers.1.weight"))
    for a, b in zip(plain.predict(rows()), made.predict(rows()), strict=True):
        same(a, b)


def test_soft_trunks_that_are_equal_are_hard_sharing_and_cost_nothing() -> None:
    plain, stack = built("hard", width=8)
    made, other = built("soft", width=8)
    copy_layers(stack, other, "sharing.layers.{}.{}", 1)
    copy_heads(stack, other)
    for a, b in zip(plain.predict(rows()), made.predict(rows()), strict=True):
        same(a, b)
    penalty = made.sharing.penalty()
    assert penalty is not None
    assert float(penalty.detach()[0]) < 1e-12


@pytest.mark.parametrize("own", [1.0, 0.7])
def test_equal_trunks_stitched_by_rows_that_sum_to_one_are_hard_sharing(own: float) -> None:
    plain, stack = built("hard", width=8, depth=3)
    made, other = built("cross_stitch", width=8, depth=3, own=own)
    copy_layers(stack, other, "sharing.layers.{}.{}", 1)
    copy_heads(stack, other)
    for a, b in zip(plain.predict(rows()), made.predict(rows()), strict=True):
        same(a, b)


def test_one_expert_is_hard_sharing() -> None:
    plain, stack = built("hard", width=8)
    made, other = built("mmoe", width=8, n_experts=1)
    copy_layers(stack, other, "sharing.experts.{}.{}", 1)
    copy_heads(stack, other)
    put(other, "sharing.gate.weight", 3.0)
    for a, b in zip(plain.predict(rows()), made.predict(rows()), strict=True):
        same(a, b)


@pytest.mark.parametrize(("levels", "depth"), [(1, 2), (2, 1)])
def test_one_shared_expert_a_level_is_hard_sharing(levels: int, depth: int) -> None:
    plain, stack = built("hard", width=8, depth=levels * depth)
    made, other = built("ple", width=8, n_shared=1, n_own=0, levels=levels, depth=depth)
    for entry in stack.entries:
        if entry.name.startswith("sharing.layers."):
            _, _, number, part = entry.name.split(".")
            level, layer = divmod(int(number), depth)
            put(other, f"sharing.shared_experts.{level}.layers.{layer}.{part}", entry.of(stack.flat).unsqueeze(1))
    copy_heads(stack, other)
    for a, b in zip(plain.predict(rows()), made.predict(rows()), strict=True):
        same(a, b)


# --- the papers' formulas, written out -----------------------------------------------------------------------


def features(made, x: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
    return made.sharing.branch(made.sharing.shared(x, OFF), OFF)  # type: ignore[no-any-return]


def stirred(name: str, **params: object):  # type: ignore[no-untyped-def]
    made, stack = built(name, n_slots=2, **params)
    stack.flat += 0.3 * torch.randn(stack.flat.shape, generator=torch.Generator().manual_seed(9))
    return made, {e.name.removeprefix("sharing."): e.of(stack.flat)[0] for e in stack.entries}


def affine(p: dict[str, Tensor], name: str, x: Tensor, *at: int) -> Tensor:
    return x @ p[f"{name}.weight"][at] + p[f"{name}.bias"][at]


def test_mmoe_is_ma_2018() -> None:
    """f_t(x) = sum_e softmax(x V_t + c_t)_e f_e(x)."""
    made, p = stirred("mmoe", width=4, n_experts=3, depth=1)
    x = rows()["embedding"]
    for t in range(2):
        gate = torch.softmax(affine(p, "gate", x[0], t), -1)
        expected = sum(gate[:, e : e + 1] * F.silu(affine(p, "experts.0", x[0], e)) for e in range(3))
        same(features(made, x)[0, t], expected)


def test_ple_is_tang_2020() -> None:
    """Two levels: gates of tasks over their own and the shared experts, the shared gate over all of them."""
    made, p = stirred("ple", width=4, n_shared=2, n_own=1, levels=2)
    x = rows()["embedding"][0]

    def experts(level: int, mine: list[Tensor], together: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        own = [F.silu(affine(p, f"own_experts.{level}.layers.0", mine[t], t, 0)) for t in range(2)]
        shared = [F.silu(affine(p, f"shared_experts.{level}.layers.0", together, e)) for e in range(2)]
        return own, shared

    def gated(logits: Tensor, values: list[Tensor]) -> Tensor:
        weights = torch.softmax(logits, -1)
        return torch.stack([weights[:, i : i + 1] * v for i, v in enumerate(values)]).sum(0)

    own, shared = experts(0, [x, x], x)
    mine = [gated(affine(p, "gates.0", x, t), [own[t], *shared]) for t in range(2)]
    together = gated(affine(p, "shared_gates.0", x, 0), [*own, *shared])
    own, shared = experts(1, mine, together)
    for t in range(2):
        same(features(made, x[None])[0, t], gated(affine(p, "gates.1", mine[t], t), [own[t], *shared]))


def test_cross_stitch_is_misra_2016() -> None:
    made, p = stirred("cross_stitch", width=4, depth=2, own=0.9)
    start = torch.tensor([[0.9, 0.1], [0.1, 0.9]])
    h = [rows()["embedding"][0]] * 2
    for layer, unit in enumerate(["lower.0", "last"]):
        a = start + p[f"{unit}.mix"]
        out = [F.silu(affine(p, f"layers.{layer}", h[s], s)) for s in range(2)]
        h = [a[t, 0] * out[0] + a[t, 1] * out[1] for t in range(2)]
    for t in range(2):
        same(features(made, rows()["embedding"])[0, t], h[t])


def test_lora_is_hu_2022() -> None:
    made, p = stirred("lora", width=4, depth=2, rank=3, alpha=6.0)
    for t in range(2):
        h = rows()["embedding"][0]
        for layer in range(2):
            w = p[f"layers.{layer}.weight"] + 6 / 3 * p[f"changes.{layer}.down"][t] @ p[f"changes.{layer}.up"][t]
            h = F.silu(h @ w + p[f"layers.{layer}.bias"][0])
        same(features(made, rows()["embedding"])[0, t], h)


def test_adapters_are_houlsby_2019() -> None:
    made, p = stirred("adapters", width=4, depth=2, size=3)
    for t in range(2):
        h = rows()["embedding"][0]
        for layer in range(2):
            h = F.silu(h @ p[f"layers.{layer}.weight"] + p[f"layers.{layer}.bias"][0])
            h = h + affine(p, f"adapters.{layer}.up", F.silu(affine(p, f"adapters.{layer}.down", h, t)), t)
        same(features(made, rows()["embedding"])[0, t], h)


def test_task_embedding_is_film() -> None:
    made, p = stirred("task_embedding", width=4, depth=2, size=3)
    for t in range(2):
        h = rows()["embedding"][0]
        for layer in range(2):
            gain, shift = affine(p, f"films.{layer}", p["task"][t], 0).view(2, 4)
            h = F.silu((1 + gain) * (h @ p[f"layers.{layer}.weight"] + p[f"layers.{layer}.bias"][0]) + shift)
        same(features(made, rows()["embedding"])[0, t], h)


@pytest.mark.parametrize(("name", "off"), [("adapters", {"size": 0}), ("lora", {"rank": 0})])
def test_tasks_at_lower_layers_read_what_they_read_of_hard(name: str, off: dict[str, int]) -> None:
    tops = [1, 3, 0, 2]
    hard, source = built("hard", 4, 2, width=6, depth=3, at_layer=tops)
    other, target = built(name, 4, 2, width=6, depth=3, at_layer=tops, **off)
    for entry in source.entries:
        put(target, entry.name, entry.of(source.flat))
    for a, b in zip(hard.predict(rows(7, 2)), other.predict(rows(7, 2)), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("name", ["adapters", "lora"])
def test_a_lower_task_reaches_no_layer_above_its_own(name: str) -> None:
    made, stack = built(name, 3, width=6, depth=3, at_layer=[2, 0, 1])
    stack.flat += 0.2 * torch.randn(stack.flat.shape, generator=torch.Generator().manual_seed(0))
    for slot, top in enumerate((2, 3, 1)):
        (out,) = made.outputs(made.features(rows()))
        grads = torch.autograd.grad(out[:, slot].sum(), stack.parameters, allow_unused=True)
        reached = [
            int(e.name.split(".")[2])
            for e, g in zip(stack.entries, grads, strict=True)
            if e.name.startswith("sharing.") and g is not None and g.any()
        ]
        assert max(reached) == top - 1
        copies = made.features(rows()).unsqueeze(1).expand(-1, 3, -1, -1)
        torch.testing.assert_close(made.outputs(copies)[0], out)
    with pytest.raises(ValueError, match="from 1 to the depth 3; however, it is"):
        built(name, 2, depth=3, at_layer=[4, 0])
