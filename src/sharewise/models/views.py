"""What a task sees of the inputs: columns that it does not read are as if they were missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from sharewise.batch import Inputs

Columns = Mapping[str, Mapping[str, Sequence[int]]]
"""Input to block to the block's columns that come from it."""


class Views(nn.Module):
    """The distinct sets of inputs that a group's slots read, and the batch as each of them sees it.

    With `apart` every slot has a view of its own, since the encoder makes features of its own for it. An input that is
    not read is as a missing one: 0 in the common blocks, absent (0 in `present`) in its own. Views
    lie one after the other on the rows' axis, so that whatever reads rows reads views too.
    """

    def __init__(self, columns: Columns, reads: Sequence[Sequence[str]], apart: bool = False) -> None:
        super().__init__()
        self.apart = apart
        self.sets = [tuple(r) for r in reads] if apart else list(dict.fromkeys(tuple(r) for r in reads))
        self.of_slot = list(range(len(self.sets))) if apart else [self.sets.index(tuple(r)) for r in reads]
        widths: dict[str, int] = {}
        for blocks in columns.values():
            for block, positions in blocks.items():
                widths[block] = max(widths.get(block, 0), *(p + 1 for p in positions))
        self.blocks = tuple(widths)
        for v, names in enumerate(self.sets):
            for block, width in widths.items():
                seen = torch.full((width,), not names)
                for name in names:
                    seen[list(columns[name].get(block, ()))] = True
                self.register_buffer(f"seen_{v}_{block}", seen, persistent=False)

    def __len__(self) -> int:
        return len(self.sets)

    def seen(self, inputs: Inputs[Tensor], view: int) -> Inputs[Tensor]:
        """The inputs as a view sees them."""
        blocks = dict(inputs.blocks)
        if self.sets[view]:
            for name in self.blocks:
                mask = self.get_buffer(f"seen_{view}_{name}")
                blocks[name] = torch.where(mask, blocks[name], torch.zeros_like(blocks[name]))
        return Inputs(blocks)

    def rows_of(self, features: Tensor, slot: int) -> Tensor:
        """The rows (..., B, D) of a slot's view, from all views' (..., V B, D)."""
        size = features.shape[-2] // len(self)
        start = self.of_slot[slot] * size
        return features[..., start : start + size, :]

    def slots_apart(self, features: Tensor) -> Tensor:
        """What every slot reads of its own view, (M, S, B, D), from all views' (M, S B, D) or (M, S, S B, D)."""
        n = len(self)
        if features.dim() == 3:
            m, rows, d = features.shape
            return features.view(m, n, rows // n, d)
        return torch.stack([self.rows_of(features[:, s], s) for s in range(n)], dim=1)
