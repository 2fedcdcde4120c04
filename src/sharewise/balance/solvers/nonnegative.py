"""Non-negative quadratic programs, exact and batched: the engine under MGDA, UPGrad, DualProj and CAGrad."""

from __future__ import annotations

import torch
from torch import Tensor

from sharewise.balance.solvers import descent, interior
from sharewise.balance.solvers.matrix import ridged

RIDGE = 1e-13
"""Added to the unit diagonal of the cosines, so that a singular problem has one answer."""

NEAR = 64.0
"""Condition number of A up to which descent is cheaper than factorising a block of it per problem."""

REGULAR = 1e4
"""Condition number of A up to which its inverse is exact enough to work with."""


def solve(matrix: Tensor, linear: Tensor, exchanges: int = 12) -> Tensor:
    """argmin over x >= 0 of x^T A x / 2 + q_r^T x, R slopes q (..., R, T), one A (..., T, T) of cosines.

    Many slopes of one well-conditioned A go by `descent`, exact to 1e-11 of max|q|. Else block principal
    pivoting (Judice and Pires 1994; Kim and Park 2011, algorithm 2): guess which entries are positive, solve
    for them, exchange those with a wrong sign; usually 2 to 5 factorisations. That answer is of a direct solve
    on the final set, so that it satisfies the KKT conditions x >= 0, y = (A + ridge I) x + q >= 0, x^T y = 0
    to rounding. Singular and (by the noise of float32 gradients) slightly indefinite A
    can make the exchanges circle: what is left open then goes to the interior-point method, exact to 1e-9 of
    max|q|.
    """
    n = matrix.shape[-1]
    many = matrix.reshape(-1, n, n).clone()
    many.diagonal(dim1=-2, dim2=-1).add_(RIDGE)
    slope = linear.reshape(many.shape[0], -1, n)
    if slope.shape[1] > 1:
        if not float(slope.amin()) < 0.0:  # nothing conflicts
            return torch.zeros_like(linear)
        answer, open_ = _many(many, slope, exchanges)
    else:
        answer, open_ = torch.zeros_like(slope), torch.ones_like(slope[..., 0], dtype=torch.bool)
    if bool(open_.any()):
        open_ = _pivot(many, slope, answer, open_, exchanges)
    if bool(open_.any()):
        owner, row = open_.nonzero(as_tuple=True)
        answer[owner, row] = interior.solve(ridged(many)[owner], slope[owner, row])
    return answer.clamp_(min=0).reshape(linear.shape)


def _many(matrix: Tensor, linear: Tensor, exchanges: int) -> tuple[Tensor, Tensor]:
    """x (N, R, T) where a way is known that is cheaper than pivoting R sets, and which problems (N, R) stay open."""
    values = torch.linalg.eigvalsh(matrix)
    least, most = values[:, 0], values[:, -1]
    near = least * NEAR >= most
    if bool(near.all()):
        return descent.solve(matrix, linear, least, most)
    answer, open_ = torch.zeros_like(linear), torch.ones_like(linear[..., 0], dtype=torch.bool)
    some = near.nonzero().squeeze(-1)
    if some.numel():
        answer[some], open_[some] = descent.solve(matrix[some], linear[some], least[some], most[some])
    mostly = (linear < 0).sum((-2, -1)) * 2 > linear.shape[-1] * linear.shape[-2]
    some = (~near & mostly & (least * REGULAR >= most)).nonzero().squeeze(-1)
    if some.numel():
        answer[some], open_[some] = _by_zeros(matrix[some], linear[some], exchanges)
    return answer, open_


def _by_zeros(matrix: Tensor, linear: Tensor, exchanges: int) -> tuple[Tensor, Tensor]:
    """x (N, R, T) by pivoting on its zeros, cheap where they are few, and which problems stay open.

    y = A x + q is itself the answer for A^-1 and -A^-1 q, and positive where x is zero.
    """
    inverse = torch.cholesky_inverse(torch.linalg.cholesky_ex(matrix).L)
    pull = -(linear @ inverse)
    y, open_ = torch.zeros_like(linear), torch.ones_like(linear[..., 0], dtype=torch.bool)
    open_ = _pivot(inverse, pull, y, open_, exchanges)
    x = (y @ inverse + pull).clamp_(min=0) * (y <= 0)
    residual = torch.minimum(x, x @ matrix + linear).abs().amax(-1)
    open_ |= ~(residual <= descent.RESIDUAL * linear.abs().amax(-1))
    return x, open_


def _pivot(matrix: Tensor, linear: Tensor, answer: Tensor, open_: Tensor, exchanges: int) -> Tensor:
    """Pivot the open problems (N, R); writes those that end into `answer`, returns which stay open."""
    owner, row = open_.nonzero(as_tuple=True)
    slope = linear[owner, row]
    positive = slope < 0
    shared = matrix.shape[0] == 1
    best = chances = None
    rounding = 4e-16 * matrix.shape[-1]
    scale = slope.abs().amax(-1, keepdim=True)
    scratch = torch.zeros_like(linear)
    for _ in range(exchanges):
        x, spoilt = _restricted(matrix, owner, slope, positive)
        if shared:
            product = x @ matrix[0]
        else:
            scratch[owner, row] = x
            product = (scratch @ matrix)[owner, row]
        edge = rounding * (scale + x.abs().amax(-1, keepdim=True))
        wrong = torch.where(positive, x, product + slope) < -edge
        n_wrong = wrong.sum(-1)
        if spoilt is not None:
            n_wrong = torch.where(spoilt, n_wrong.clamp(min=1), n_wrong)
        done = n_wrong == 0
        answer[owner[done], row[done]] = x[done]
        go = (~done).nonzero().squeeze(-1)
        if go.numel() == 0:
            return torch.zeros_like(open_)
        if go.numel() < owner.numel():
            owner, row, slope, positive, wrong = owner[go], row[go], slope[go], positive[go], wrong[go]
            scale, n_wrong = scale[go], n_wrong[go]
            best, chances = (None, None) if best is None or chances is None else (best[go], chances[go])
        if best is None or chances is None:
            best, chances = n_wrong, torch.full_like(n_wrong, 3)
        else:
            chances = torch.where(n_wrong < best, 3, chances - 1)
            best = torch.minimum(best, n_wrong)
            stuck = chances < 0
            if bool(stuck.any()):
                last = wrong.shape[-1] - 1 - wrong.flip(-1).to(torch.uint8).argmax(-1)
                single = torch.zeros_like(wrong).scatter_(-1, last.unsqueeze(-1), True)
                wrong = torch.where(stuck.unsqueeze(-1), single, wrong)
        positive = positive ^ wrong
    still = torch.zeros_like(open_)
    still[owner, row] = True
    return still


def _restricted(matrix: Tensor, owner: Tensor, linear: Tensor, positive: Tensor) -> tuple[Tensor, Tensor | None]:
    """x with x_P = -A_PP^-1 q_P and 0 elsewhere, padded to the greatest P; and which A_PP were indefinite."""
    if linear.shape[0] == 1:
        part = positive[0].nonzero().squeeze(-1)
        factor, info = torch.linalg.cholesky_ex(matrix[owner[0]][part][:, part])
        x = torch.zeros_like(linear)
        x[0, part] = -torch.cholesky_solve(linear[0, part].unsqueeze(-1), factor).squeeze(-1)
        return x, (info > 0).expand(1) if bool(info) else None
    size = int(positive.sum(-1).max())
    if size == 0:
        return torch.zeros_like(linear), None
    real, index = positive.to(linear.dtype).topk(size, -1)
    blocks = matrix[owner[:, None, None], index.unsqueeze(-1), index.unsqueeze(-2)]
    blocks = blocks * (real.unsqueeze(-1) * real.unsqueeze(-2))
    blocks.diagonal(dim1=-2, dim2=-1).add_(1.0 - real)
    factor, info = torch.linalg.cholesky_ex(blocks)
    right = (linear.gather(-1, index) * real).unsqueeze(-1)
    x = torch.cholesky_solve(right, factor).squeeze(-1)
    bad = info > 0
    return torch.zeros_like(linear).scatter_(-1, index, -x), bad if bool(bad.any()) else None
