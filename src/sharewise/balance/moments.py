"""Adam on a vector of task logits, its moments in buffers per member, absent tasks left alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Moments(nn.Module):
    """Adam (Kingma and Ba 2015) for entries (..., T), decay as L2 on the gradient like `torch.optim.Adam`."""

    first: Tensor
    second: Tensor
    count: Tensor

    def __init__(self, lr: float, decay: float = 0.0) -> None:
        super().__init__()
        self.lr, self.decay = lr, decay

    def build(self, shape: tuple[int, ...]) -> None:
        """Zero moments for entries of `shape`."""
        self.register_buffer("first", torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("second", torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("count", torch.zeros(shape, dtype=torch.float64))

    def step(self, value: Tensor, gradient: Tensor, present: Tensor) -> Tensor:
        """`value` after one step down `gradient`; entries that are absent keep value and moments."""
        gradient = gradient + self.decay * value
        self.count = self.count + present
        self.first = torch.where(present, 0.9 * self.first + 0.1 * gradient, self.first)
        self.second = torch.where(present, 0.999 * self.second + 0.001 * gradient**2, self.second)
        count = self.count.clamp(min=1)
        first, second = self.first / (1 - 0.9**count), self.second / (1 - 0.999**count)
        return torch.where(present, value - self.lr * first / (second.sqrt() + 1e-8), value)
