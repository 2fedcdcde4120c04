"""A tag for every token: each on its own, or in spans that are whole."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from sharewise.models.heads.base import Head


class Tagging(Head):
    """P(tag of token l = c) = softmax(o_l)_c; loss: mean over tagged tokens of -log P(tag).

    It reads the rows' tokens: outputs (M, S, B, L, C) from features of the B rows followed by those of their L B
    tokens, the first tokens of all rows before the second ones, (M, B + L B, D). Predictions (M, S, B, L) are tag
    codes, the likeliest of each token.
    """

    per_token = True

    def own_rows(self, outputs: Tensor, n_rows: int) -> Tensor:
        m, s, n, c = outputs.shape
        length = (n - n_rows) // max(n_rows, 1)
        return outputs[:, :, n_rows:].reshape(m, s, length, n_rows, c).transpose(2, 3)

    def row_losses(self, outputs: Tensor, values: Tensor, class_weights: Tensor | None) -> Tensor:
        m, s, b, _, c = outputs.shape
        # The batch's longest sentence may be shorter than the table's, whose cells beyond it are absent.
        length = min(outputs.shape[3], values.shape[3])
        outputs, codes = outputs[:, :, :, :length], values[..., :length].long()
        cells = F.cross_entropy(outputs.reshape(-1, c), codes.reshape(-1), reduction="none").view(m, s, b, length)
        if class_weights is not None:
            table = class_weights.view(m, s, 1, 1, c).expand(m, s, b, length, c)
            cells = cells * table.gather(-1, codes.unsqueeze(-1)).squeeze(-1)
        return F.pad(cells, (0, values.shape[-1] - length))

    def predict(self, outputs: Tensor) -> Tensor:
        return outputs.argmax(-1).float()


class Spans(Tagging):
    """Tags O, B-X, I-X, decoded so that every span is whole: I-X follows B-X or I-X alone.

    The best such sequence by the sum of log P(tag) (Viterbi 1967 with the transitions of BIO allowed or not). Tags
    are coded O = 0, B of type k = 2 k + 1, I of type k = 2 k + 2. Since only I-X has a condition, a step costs C and
    not C^2.
    """

    def predict(self, outputs: Tensor) -> Tensor:
        scores = torch.log_softmax(outputs, dim=-1)
        length = scores.shape[-2]
        # A sentence cannot begin inside a span.
        first = scores[..., 0, :].clone()
        first[..., 2::2] = -torch.inf
        best, back = first, []
        for step in range(1, length):
            top, origin = best.max(-1, keepdim=True)
            value, source = top.expand_as(best).clone(), origin.expand_as(best).clone()
            begun, going = best[..., 1::2], best[..., 2::2]
            inside = torch.arange(2, best.shape[-1], 2, device=best.device)
            value[..., 2::2] = torch.maximum(begun, going)
            source[..., 2::2] = torch.where(begun >= going, inside - 1, inside)
            best = value + scores[..., step, :]
            back.append(source)
        tag = best.argmax(-1, keepdim=True)
        path = [tag]
        for source in reversed(back):
            tag = source.gather(-1, tag)
            path.append(tag)
        return torch.cat(path[::-1], dim=-1).float()
