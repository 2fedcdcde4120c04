"""A transformer over sentences of words that is trained with the study."""

from __future__ import annotations

import torch
from torch import Tensor

from sharewise.batch import Inputs
from sharewise.models.backbones import text, words
from sharewise.models.encoders import tuned
from sharewise.models.encoders.tokens import behind_rows, longest
from sharewise.models.sharing.base import Dropout


class TokenTransformer(tuned.TunedEncoder):
    """Every word's vector from the last layer of a Hugging Face model whose parameters are trained; a sentence is the
    mean of its words'.

    A word is its `first` sub-word's vector (Devlin et al. 2019, "BERT", section 5.3) or the `mean` of its sub-words'.
    Sentences of more than `max_tokens` sub-words are read in windows. `train`, `rank` and `per_task` as for
    `Transformer`.

    Shapes: sub-words (M, B, L, P), 0 for none, else 1 + number -> (M, B + L' B, n_out) as `Tokens` lays them out, L'
    the longest sentence of the batch; with `per_token` False (M, B, n_out). Cost: one pass a member and window.
    """

    def __init__(
        self,
        *,
        block: str,
        model: str,
        digest: str,
        n_out: int,
        max_tokens: int,
        train: str,
        subwords: str = "first",
        rank: int = 8,
        per_token: bool = True,
        per_task: bool = False,
        n_slots: int = 1,
    ) -> None:
        super().__init__()
        self.block, self.n_out, self.subwords = block, n_out, subwords
        self.token_block = block if per_token else None
        self.tokenized, self.how = text.load(model, digest), words.tokenizer(model, digest)
        self.capacity = self.how.capacity(max_tokens)
        # A network of its own: the one that is shared by others must stay as it is.
        self.hold(text.Network(model).model, train, rank, "text", n_slots if per_task else None)
        # About what the activations of a row's sub-words take.
        self.cells = n_out * 256

    def _read(self, inputs: Inputs[Tensor], dropout: Dropout, slot: int | None) -> Tensor:
        cells = inputs[self.block]
        cells = cells[:, :, : longest(cells)]
        x = torch.stack([self._of_member(m, slot, cells[m]) for m in range(cells.shape[0])]).transpose(1, 2)
        count = (cells[..., 0] != 0).sum(2).clamp(min=1)
        return behind_rows(x.sum(1) / count.unsqueeze(-1), x if self.token_block is not None else None)

    def _of_member(self, m: int, slot: int | None, cells: Tensor) -> Tensor:
        """Word vectors (B, L, n_out) of sub-words (B, L, P), 0 where there is no word."""
        n_rows, length, _ = cells.shape
        chosen, sentences = [], []
        for row, coded in enumerate(cells.tolist()):
            said = [[number - 1 for number in word if number] for word in coded if word[0]]
            for window in words.windows([len(word) for word in said], self.capacity) if said else ():
                chosen.append((row * length, window))
                sentences.append(said)
        if not chosen:
            return self.get_parameter(next(iter(self.names))).new_zeros(n_rows, length, self.n_out)
        batch = words.Batch.of(chosen, sentences, self.how, self.subwords).to(cells.device)
        network = tuned.of_member(self, self.network, self.names, m, slot)
        states = self.tokenized.states(network, batch.ids, torch.zeros_like(batch.ids), batch.mask)
        return batch.words(states, n_rows * length).view(n_rows, length, -1)
