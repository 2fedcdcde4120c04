"""How far the peers' directions are from the exact ones: python benchmarks/peer_exactness.py --libmtl PATH.

Gramians as in `solvers.py`: "agree", and "conflict" with norms over two decades. Printed is |d - d*| / |d*| with d*
ours, and first the residual of d* in the method's own conditions, so that nothing rests on our word:
UPGrad the KKT conditions of its projections, MGDA and CAGrad theirs, Nash and FairGrad their equation, IMTL-G the
spread of its projections. TorchJD where it is installed; its defaults, and LibMTL's (`libmtl.py`).
"""

from __future__ import annotations

import argparse
import importlib.util
import warnings
from typing import Any

import torch
from solvers import gramian
from torch import Tensor, nn

from sharewise.balance.aggregation import CATALOGUE
from sharewise.balance.contracts import Aggregator
from sharewise.balance.solvers import nonnegative
from sharewise.balance.solvers.matrix import cosines

CASES: list[tuple[str, dict[str, Any], str, dict[str, Any], str]] = [
    ("mgda", {}, "MGDA", {}, "MGDA"),
    ("upgrad", {}, "UPGrad", {}, "UPGrad"),
    ("cagrad", {"c": 0.4}, "CAGrad", {"c": 0.4}, "CAGrad"),
    ("fairgrad", {"alpha": 2.0}, "FairGrad", {"alpha": 2.0}, "FairGrad"),
    ("nash", {"max_norm": None}, "NashMTL", {"max_norm": 0.0}, "Nash_MTL"),
    ("imtl_g", {}, "IMTLG", {}, "IMTL"),
]


def residual(name: str, rows: Tensor, weights: Tensor) -> float:
    """Largest violation of the method's own conditions, relative."""
    matrix, direction = rows @ rows.mT, weights @ rows
    gain, norms = rows @ direction, rows.norm(dim=1)
    if name == "mgda":
        least = direction @ direction
        return float(torch.maximum((least - gain).amax(), (weights * (gain - least)).abs().amax()) / least)
    if name == "upgrad":
        cosine, _, _ = cosines(matrix, torch.ones(len(rows), dtype=torch.bool))
        x = nonnegative.solve(cosine, cosine)
        return float(torch.minimum(x, x @ cosine + cosine).abs().amax())
    if name == "cagrad":
        extra, mean = weights - 1 / len(rows), rows.mean(0)
        slack = (gain - gain.min()) / (norms * mean.norm())
        ball = ((extra @ rows).norm() / (0.4 * mean.norm()) - 1).abs()
        return float(torch.maximum((extra / extra.sum() * slack).amax(), ball))
    if name == "imtl_g":
        along = gain / norms
        return float((along - along.mean()).abs().amax() / along.mean().abs())
    alpha = 2.0 if name == "fairgrad" else 1.0
    return float(((matrix @ weights) * weights ** (1 / alpha) - 1).abs().amax())


def of_libmtl(path: str, name: str, rows: Tensor) -> Tensor:
    """The direction that LibMTL leaves in `.grad`."""
    import libmtl

    libmtl.PARAMS["Nash_MTL"]["max_norm"] = 0.0
    parameter = nn.Parameter(torch.zeros(rows.shape[1]))
    method = libmtl.weighting(path, name, len(rows), [parameter])
    method.move([row @ parameter + 1.0 for row in rows.float()])
    assert parameter.grad is not None
    return parameter.grad.double()


def of_torchjd(name: str, params: dict[str, Any], rows: Tensor) -> Tensor:
    """TorchJD's direction, in float64."""
    import torchjd.aggregation

    more = {"n_tasks": len(rows)} if name == "NashMTL" else {}
    return torchjd.aggregation.__dict__[name](**params, **more)(rows).double()  # type: ignore[no-any-return]


def main() -> None:
    """Print one line per method, kind and number of tasks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--libmtl", default="", metavar="PATH")
    parser.add_argument("--tasks", type=int, nargs="*", default=[2, 8, 40])
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    print(
        "method".ljust(10) + "kind".ljust(10) + "".join(h.rjust(14) for h in ("tasks", "residual", "TorchJD", "LibMTL"))
    )
    for name, params, theirs, their_params, other in CASES:
        for kind in ("agree", "conflict"):
            for n_tasks in options.tasks:
                matrix = gramian(kind, n_tasks, 0)
                values, vectors = torch.linalg.eigh(matrix)
                rows = vectors * values.clamp(min=0).sqrt()  # any rows with this Gramian
                method = CATALOGUE.build(name, **params)
                assert isinstance(method, Aggregator)
                weights = method.build(n_tasks)(matrix, torch.ones(n_tasks, dtype=torch.float64))
                exact = weights @ rows
                found = [f"{residual(name, rows, weights):14.0e}"]
                tries = [lambda: of_torchjd(theirs, their_params, rows)] if importlib.util.find_spec("torchjd") else []
                tries += [lambda: of_libmtl(options.libmtl, other, rows)] if options.libmtl else []
                for attempt in tries:
                    gap = (attempt() - exact).norm() / exact.norm()
                    found.append(f"{float(gap):14.1e}")
                print(name.ljust(10) + kind.ljust(10) + f"{n_tasks:14d}" + "".join(found), flush=True)


if __name__ == "__main__":
    main()
