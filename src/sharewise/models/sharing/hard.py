"""One trunk for all tasks, up to a depth that may be each task's own."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sharewise.models.sharing.base import Dropout, Sharing, check_freeze
from sharewise.models.stacked import Linear, Linears
from sharewise.plan import Choice


class Hard(Sharing):
    """Hard parameter sharing (Caruana 1997): tasks read the layers of one multi-layer perceptron.

    h_0 = x, h_l = dropout(SiLU(h_{l-1} W_l + b_l)), `depth` layers of `width` units. The lowest `split` layers are
    shared, those above are each task's own (None: all are shared); one number for all tasks, or one a task, by
    name: a task that is not named shares all layers. A layer that one task alone would share is that task's own.
    From the share `freeze_after` of the training steps on, what is shared stays as it is and only the tasks' own
    layers and heads are trained (0: it keeps its initial weights; None: never). Slot s reads layer `at_layer[s]`
    instead of the last where that is not 0: a task that supervises a lower layer (Lee et al. 2015, "Deeply-
    supervised nets"). Width, depth, dropout and the schedule follow today's strong tabular perceptrons (RealMLP,
    Holzmueller et al. 2024; TabM, Gorishniy et al. 2025), which found a plain trunk with good input encodings
    enough.

    z is the last shared layer. Where tasks leave the trunk at several depths, it is all the layers that they leave
    at, side by side, and task gradients at z no longer meet: `common` is then False.

    Shapes: (M, B, I) -> (M, B, width), or (M, S, B, width) where tasks have layers of their own. Raises ValueError
    for sizes or splits that cannot be.
    """

    slots_are_independent = True
    by_task: ClassVar[frozenset[str]] = frozenset({"split"})

    def __init__(
        self,
        *,
        n_in: int,
        n_slots: int,
        width: int = 128,
        depth: int = 2,
        split: int | dict[str, int] | None = None,
        freeze_after: float | None = None,
        at_layer: Sequence[int] = (),
    ) -> None:
        super().__init__()
        if width < 1 or depth < 1:
            raise ValueError(f"A trunk needs a width and a depth of at least 1; however, they are {width} and {depth}.")
        self.freeze_after = check_freeze(freeze_after)
        tops = [layer or depth for layer in at_layer] or [depth] * n_slots
        bottoms = _bottoms(_listed(split, n_slots, depth), tops, depth)
        sizes = [n_in, *[width] * depth]
        pairs = list(itertools.pairwise(sizes))
        self.layers = nn.ModuleList(Linear(a, b) for a, b in pairs[: max(bottoms)])
        self.levels = sorted(set(bottoms))
        self.common = len(self.levels) == 1
        widths = [sizes[level] for level in self.levels]
        starts = [0, *itertools.accumulate(widths)]
        # Slots that leave the trunk and end at the same layers are computed together.
        self.paths: list[tuple[tuple[int, ...], slice, list[Linears]]] = []
        own = {}
        for bottom, top in sorted(set(zip(bottoms, tops, strict=True))):
            slots = tuple(s for s in range(n_slots) if (bottoms[s], tops[s]) == (bottom, top))
            made = [Linears(a, b, (len(slots),), per_slot=True) for a, b in pairs[bottom:top]]
            for layer in made:
                layer.slot_numbers = () if len(slots) == n_slots else slots
            own[f"{bottom}_{top}"] = nn.ModuleList(made)
            level = self.levels.index(bottom)
            self.paths.append((slots, slice(starts[level], starts[level + 1]), made))
        self.own = nn.ModuleDict(own)
        self.plain = self.common and len(self.paths) == 1 and not self.paths[0][2]
        self.slot_order = [
            s for _, s in sorted(zip((s for p in self.paths for s in p[0]), range(n_slots), strict=True))
        ]
        self.n_out = width
        self.n_cells = max(sum(widths), width if self.plain else n_slots * width)

    @classmethod
    def alone(cls, choice: Choice) -> Choice:
        return Choice(choice.name, {k: v for k, v in choice.params.items() if k not in ("split", "freeze_after")})

    def shared(self, x: Tensor, dropout: Dropout) -> Tensor:
        levels = [x]
        for layer in self.layers:
            x = dropout(F.silu(layer(x)))
            levels.append(x)
        read = [levels[level] for level in self.levels]
        return read[0] if self.common else torch.cat(read, dim=-1)

    def branch(self, z: Tensor, dropout: Dropout) -> Tensor:
        if self.plain:
            return z
        made = []
        for slots, cells, layers in self.paths:
            h = z if self.common else z[..., cells]
            if h.dim() == 4 and len(slots) < h.shape[1]:
                h = h[:, list(slots)]
            for layer in layers:
                h = dropout(F.silu(layer(h)))
            if h.dim() == 3:
                h = h.unsqueeze(1).expand(-1, len(slots), -1, -1)
            made.append(h)
        return made[0] if len(made) == 1 else torch.cat(made, dim=1)[:, self.slot_order]


def _listed(split: int | Mapping[str, int] | Sequence[int | None] | None, n_slots: int, depth: int) -> list[int]:
    """Shared layers of every slot."""
    if isinstance(split, Mapping):
        raise ValueError("Splits by task name must be placed on slots first; see `sharewise.models.build.placed`.")
    given = [split] * n_slots if split is None or isinstance(split, int) else list(split)
    made = [depth if s is None else s for s in given]
    if len(made) != n_slots or not all(0 <= s <= depth for s in made):
        raise ValueError(f"A split is a number of shared layers, at most the depth {depth}; however, it is {split}.")
    return made


def _bottoms(splits: Sequence[int], tops: Sequence[int], depth: int) -> list[int]:
    """Where every slot leaves the trunk: not above its own top, nor above what another slot shares with it."""
    if len(tops) != len(splits) or not all(1 <= top <= depth for top in tops):
        raise ValueError(f"A task is attached at a layer from 1 to the depth {depth}; however, it is {list(tops)}.")
    lows = [min(split, top) for split, top in zip(splits, tops, strict=True)]
    if len(lows) == 1:
        return lows
    second = sorted(lows)[-2]
    return [min(low, second) for low in lows]
