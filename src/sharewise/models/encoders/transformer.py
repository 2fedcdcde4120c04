"""A transformer that is trained with the study: whole, its upper layers, or small matrices beside its own (LoRA)."""

from __future__ import annotations

import torch
from torch import Tensor

from sharewise.batch import Inputs
from sharewise.models.backbones import text
from sharewise.models.encoders import tuned
from sharewise.models.sharing.base import Dropout


class Transformer(tuned.TunedEncoder):
    """Mean of the last layer's token vectors of a Hugging Face model whose parameters are trained.

    `train`: "all"; a number n, its upper n layers; or "lora", small matrices beside its own (`tuned.adapted`), with
    `per_task` those of every one of the `n_slots` task slots, which then reads features of its own. The model's own
    dropout is off, so that a run's luck is its seed. What is not trained is read from the folder `model` and not
    stored.

    Shapes: tokens (M, B, L) -> (M, B, n_out). Cost: one pass a member, with `per_task` one for each task;
    it does not stack.
    """

    def __init__(
        self,
        *,
        block: str,
        model: str,
        digest: str,
        n_out: int,
        train: str,
        rank: int = 8,
        per_task: bool = False,
        n_slots: int = 1,
    ) -> None:
        super().__init__()
        self.block, self.n_out = block, n_out
        self.tokenized = text.load(model, digest)
        # A network of its own: the one that is shared by others must stay as it is.
        self.hold(text.Network(model).model, train, rank, "text", n_slots if per_task else None)
        # About what the activations of a row's tokens take.
        self.cells = n_out * 256

    def _read(self, inputs: Inputs[Tensor], dropout: Dropout, slot: int | None) -> Tensor:
        coded = inputs[self.block].long()
        if not coded.shape[1]:
            return self.get_parameter(next(iter(self.names))).new_zeros(*coded.shape[:2], self.n_out)
        used = int((coded > 0).any(0).any(0).sum())
        coded = coded[..., : max(used, 1)]
        return torch.stack([self._of_member(m, slot, coded[m]) for m in range(coded.shape[0])])

    def _of_member(self, m: int, slot: int | None, coded: Tensor) -> Tensor:
        there = coded > 0
        mask = there.long()
        # A row without text still needs one token to look at; what comes of it is not used.
        mask[:, 0] = 1
        number = torch.where(there, (coded - 1) % text.SEGMENT, self.tokenized.padding)
        segment = torch.where(there, (coded - 1) // text.SEGMENT, 0)
        network = tuned.of_member(self, self.network, self.names, m, slot)
        return text.mean_pooled(self.tokenized.states(network, number, segment, mask), mask)
