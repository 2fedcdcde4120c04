"""One multilabel task, and as many yes-or-no tasks in one group: the same function, and the mean of the same losses."""

from __future__ import annotations

import torch

from sharewise.batch import Inputs
from sharewise.models.build import GroupModel, Slot
from sharewise.models.stacked import Stack
from sharewise.plan import Choice

LABELS, N = 4, 9


def test_labels_as_tasks_of_one_group_are_one_multilabel_task() -> None:
    encoder, hard = {"n_embedding": 5}, Choice("hard", {"width": 8})
    one = GroupModel(encoder, hard, [Slot("multilabel", LABELS, LABELS)])
    several = GroupModel(encoder, hard, [Slot("binary", 1, 1)] * LABELS)
    first, second = Stack(one), Stack(several)
    first.populate([0], [["labels"]])
    second.populate([1], [[f"l{i}" for i in range(LABELS)]])
    held = {entry.name: entry for entry in second.entries}
    for entry in first.entries:
        # (1, D, L), one slot of L outputs, becomes (L, D, 1), L slots of one.
        value = entry.of(first.flat)
        value = value.transpose(1, 3) if entry.name.startswith("heads.") else value
        held[entry.name].of(second.flat)[:] = value.reshape(held[entry.name].of(second.flat).shape)
    draw = torch.Generator().manual_seed(2)
    x = torch.randn(1, N, 5, generator=draw)
    y = (torch.rand(1, LABELS, N, 1, generator=draw) < 0.4).float()
    inputs = Inputs({"embedding": x})
    together = one.predict(inputs)[0]
    apart = torch.cat(several.predict(inputs), dim=-1)
    torch.testing.assert_close(together, apart)
    whole = one.losses(
        one.outputs(one.features(inputs)), [y.permute(0, 3, 2, 1)], [torch.ones(1, 1, N, LABELS)], [None]
    )
    parts = several.losses(several.outputs(several.features(inputs)), [y], [torch.ones(1, LABELS, N, 1)], [None])
    torch.testing.assert_close(whole[0, 0], parts.mean())
