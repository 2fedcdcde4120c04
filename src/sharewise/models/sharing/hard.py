"""One trunk for all tasks."""

from __future__ import annotations

import itertools

import torch.nn.functional as F
from torch import Tensor, nn

from sharewise.models.sharing.base import Dropout, Sharing
from sharewise.models.stacked import Linear


class Hard(Sharing):
    """Hard parameter sharing (Caruana 1997): every task reads the last layer of one multi-layer perceptron.

    z = f_L(... f_1(x)), f_l(h) = dropout(SiLU(h W_l + b_l)), `depth` layers of `width` units. Width, depth,
    dropout and the schedule follow today's strong tabular perceptrons (RealMLP, Holzmueller et al. 2024; TabM,
    Gorishniy et al. 2025), which found a plain trunk with good input encodings enough.

    Shapes: (M, B, I) -> (M, B, width).
    """

    slots_are_independent = True

    def __init__(self, *, n_in: int, n_slots: int, width: int = 128, depth: int = 2) -> None:
        super().__init__()
        if width < 1 or depth < 1:
            raise ValueError(f"A trunk needs a width and a depth of at least 1; however, they are {width} and {depth}.")
        sizes = [n_in, *[width] * depth]
        self.layers = nn.ModuleList(Linear(a, b) for a, b in itertools.pairwise(sizes))
        self.n_out = width

    def shared(self, x: Tensor, dropout: Dropout) -> Tensor:
        for layer in self.layers:
            x = dropout(F.silu(layer(x)))
        return x
