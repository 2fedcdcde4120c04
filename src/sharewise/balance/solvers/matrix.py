"""Gramians to cosines: every solver works on unit rows, so that scale costs no precision."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

NOISE = 2.0**-23
"""Relative precision of a Gramian whose gradients were float32; eigenvalues below n * NOISE are noise."""


def uncast(tensor: Tensor) -> AbstractContextManager[object]:
    """A context without autocast on the tensor's device, free where none is on."""
    kind = tensor.device.type
    return torch.autocast(kind, enabled=False) if torch.is_autocast_enabled(kind) else nullcontext()


def cosines(gramian: Tensor, present: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Cosine matrix (..., T, T), norms (..., T), and which tasks have a gradient at all (..., T).

    Rows and columns of tasks without a gradient (absent, or exactly zero) are zero, with one on the diagonal.
    """
    norms = gramian.diagonal(dim1=-2, dim2=-1).clamp(min=0).sqrt_()
    alive = present & (norms > 0)
    inverse = norms.clamp(min=1e-300).reciprocal_().mul_(alive)
    matrix = (gramian * inverse.unsqueeze(-1)).mul_(inverse.unsqueeze(-2)).clamp_(-1.0, 1.0)
    matrix.diagonal(dim1=-2, dim2=-1).fill_(1.0)
    return matrix, norms, alive


def ridged(matrix: Tensor) -> Tensor:
    """`matrix` (..., T, T) plus the smallest ridge of 1e-13, 1e-9, 1e-6, 1e-4 that makes it definite.

    A Gramian is positive semi-definite; the noise of float32 gradients can make it indefinite by about 1e-7.
    """
    n = matrix.shape[-1]
    eye = torch.eye(n, dtype=matrix.dtype, device=matrix.device)
    out = matrix + 1e-13 * n * eye
    for ridge in (1e-9, 1e-6, 1e-4):
        bad = torch.linalg.cholesky_ex(out).info > 0
        if not bool(bad.any()):
            break
        out = torch.where(bad[..., None, None], matrix + ridge * n * eye, out)
    return out


def pseudo_inverse(matrix: Tensor, alive: Tensor) -> Tensor:
    """Moore-Penrose inverse of a symmetric positive semi-definite matrix, its dead rows and columns zero.

    Eigenvalues below n * NOISE of the greatest count as zero.
    """
    both = alive.unsqueeze(-1) & alive.unsqueeze(-2)
    values, vectors = torch.linalg.eigh(matrix * both)
    cut = values.amax(-1, keepdim=True).clamp(min=0) * matrix.shape[-1] * NOISE
    kept = values > cut
    inverse = torch.where(kept, 1.0 / values.where(kept, torch.ones_like(values)), torch.zeros_like(values))
    found: Tensor = (vectors * inverse.unsqueeze(-2)) @ vectors.mT
    return found


def apply(matrix: Tensor, vector: Tensor) -> Tensor:
    """Matrix times vector, batched: (..., T, T), (..., T) -> (..., T)."""
    return (matrix @ vector.unsqueeze(-1)).squeeze(-1)


def inner(matrix: Tensor, vector: Tensor) -> Tensor:
    """v^T A v, batched: (..., T, T), (..., T) -> (...,)."""
    return (vector * apply(matrix, vector)).sum(-1)
