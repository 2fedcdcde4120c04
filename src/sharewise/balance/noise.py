"""Random numbers from counters: every member has its own stream, and a saved state goes on with it.

A number is a hash of (seed, step, key, key, ...), so that it depends neither on who shares the stack nor on
the order of the tasks: the keys are derived from their names.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sharewise.seeds import derive

_GOLDEN = -7046029254386353131  # 0x9E3779B97F4A7C15 as a signed 64-bit number
_MIX1 = -4658895280553007687  # 0xBF58476D1CE4E5B9
_MIX2 = -7723592293110705685  # 0x94D049BB133111EB


def _shift(x: Tensor, n: int) -> Tensor:
    """Logical shift to the right; torch's own keeps the sign."""
    return (x >> n) & ((1 << (64 - n)) - 1)


def _mix(x: Tensor) -> Tensor:
    """SplitMix64's finaliser (Steele, Lea, Flood 2014), on wrapping int64."""
    x = (x ^ _shift(x, 30)) * _MIX1
    x = (x ^ _shift(x, 27)) * _MIX2
    return x ^ _shift(x, 31)


class Noise(nn.Module):
    """Counter-based noise, one stream per member: buffers `seed` (...,), `step` (...,), `key` (..., T)."""

    seed: Tensor
    step: Tensor
    key: Tensor

    def build(self, labels: Sequence[str], seeds: Sequence[int], stacked: bool) -> None:
        """Make streams for tasks called `labels`, one per seed; without a member axis unless `stacked`."""
        seed = torch.tensor([s & (2**63 - 1) for s in seeds], dtype=torch.int64)
        key = torch.tensor([derive(0, name) for name in labels], dtype=torch.int64)
        key = key.expand(len(seeds), len(labels)).clone()
        self.register_buffer("seed", seed if stacked else seed[0])
        self.register_buffer("step", torch.zeros_like(self.seed))
        self.register_buffer("key", key if stacked else key[0])

    def uniform(self) -> Tensor:
        """Numbers in (0, 1), one per task: (..., T), float64."""
        return _unit(self._hash(self.key))

    def pairs(self) -> Tensor:
        """Numbers in (0, 1), one per ordered pair of tasks: (..., T, T), float64."""
        row = _mix(self.key * _GOLDEN + 1).unsqueeze(-1)
        return _unit(self._hash(row ^ self.key.unsqueeze(-2)))

    def entries(self, n: int, block: int) -> Tensor:
        """Numbers in (0, 1) for the n entries of one block: (..., n), float64."""
        counter = torch.arange(n, device=self.seed.device) + (block + 1) * (1 << 40)
        return _unit(self._hash(counter.expand(*self.seed.shape, n)))

    def normal(self) -> Tensor:
        """Standard normal numbers, one per task: (..., T), float64 (inverse distribution function)."""
        return math.sqrt(2.0) * torch.erfinv(2.0 * self.uniform() - 1.0)

    def advance(self) -> None:
        """Go to the next step."""
        self.step += 1

    def _hash(self, key: Tensor) -> Tensor:
        stream = _mix(_mix(self.seed * _GOLDEN + _GOLDEN) + self.step * _GOLDEN)
        for _ in range(key.dim() - stream.dim()):
            stream = stream.unsqueeze(-1)
        return _mix(_mix(stream + key) * _GOLDEN + 1)


def _unit(bits: Tensor) -> Tensor:
    """53 bits to the middle of one of 2^53 cells of (0, 1)."""
    return (_shift(bits, 11).double() + 0.5) * (2.0**-53)
