"""A vision backbone that is trained with the study: whole, its upper layers, or by small matrices (LoRA)."""

from __future__ import annotations

import torch
from torch import Tensor

from sharewise.batch import Inputs
from sharewise.models.backbones import picture
from sharewise.models.encoders import tuned
from sharewise.models.encoders.picture import augment
from sharewise.models.sharing.base import Dropout


class Vision(tuned.TunedEncoder):
    """Mean over all places of the last layer of a Hugging Face vision model whose parameters are trained.

    `train`, `rank` and `per_task` as for `Transformer`. In training, pictures are moved by up to `shift` pixels (edges
    repeated) and with `flip` mirrored half of the time, as in `Picture`; dropout and batch statistics of the model's
    own stay as in evaluation. What is not trained is read from the folder `model` and not stored.

    Shapes: pixels (M, B, side, side, 3) uint8 -> (M, B, n_out). Cost: one pass a member; it does not stack.
    """

    def __init__(
        self,
        *,
        block: str,
        model: str,
        digest: str,
        n_out: int,
        side: int,
        train: str,
        rank: int = 8,
        shift: int = 0,
        flip: bool = False,
        per_task: bool = False,
        n_slots: int = 1,
    ) -> None:
        super().__init__()
        self.block, self.n_out, self.shift, self.flip = block, n_out, shift, flip
        # The check of the digest is that of the frozen one; the network here is one of its own.
        picture.load(model, digest)
        self.own = picture.Network(model)
        self.hold(self.own.model, train, rank, "image", n_slots if per_task else None)
        # About what the activations of a picture's places take.
        self.cells = n_out * max(side // 8, 1) ** 2

    def _read(self, inputs: Inputs[Tensor], dropout: Dropout, slot: int | None) -> Tensor:
        pixels = inputs[self.block]
        m, b = pixels.shape[:2]
        if not b:
            return self.get_parameter(next(iter(self.names))).new_zeros(m, 0, self.n_out)
        return torch.stack([self._of_member(i, slot, pixels[i], dropout) for i in range(m)])

    def _of_member(self, m: int, slot: int | None, pixels: Tensor, dropout: Dropout) -> Tensor:
        x = self.own.normalised(pixels)
        if dropout.step is not None and (self.shift or self.flip):
            x = augment(x, self.shift, self.flip, dropout.step)
        return self.own.pooled(tuned.of_member(self, self.network, self.names, m, slot), x)
