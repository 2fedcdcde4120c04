"""Aggregators: the tasks' gradients to one direction, from their Gramian or, for a few, their entries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sharewise.catalogue import Catalogue

if TYPE_CHECKING:
    from sharewise.balance.contracts import Aggregator, Directional

CATALOGUE: Catalogue[Aggregator | Directional] = Catalogue(
    "aggregator",
    {
        "aligned": "sharewise.balance.aggregation.aligned:AlignedMTL",
        "cagrad": "sharewise.balance.aggregation.cagrad:CAGrad",
        "config": "sharewise.balance.aggregation.config:ConFIG",
        "dualproj": "sharewise.balance.aggregation.dualproj:DualProj",
        "fairgrad": "sharewise.balance.aggregation.fairgrad:FairGrad",
        "graddrop": "sharewise.balance.aggregation.graddrop:GradDrop",
        "gradnorm": "sharewise.balance.aggregation.gradnorm:GradNorm",
        "gradvac": "sharewise.balance.aggregation.gradvac:GradVac",
        "imtl_g": "sharewise.balance.aggregation.imtl_g:IMTLG",
        "mean": "sharewise.balance.aggregation.mean:Mean",
        "mgda": "sharewise.balance.aggregation.mgda:MGDA",
        "nash": "sharewise.balance.aggregation.nash:Nash",
        "pcgrad": "sharewise.balance.aggregation.pcgrad:PCGrad",
        "primary": "sharewise.balance.aggregation.primary:Primary",
        "smooth": "sharewise.balance.aggregation.smooth:Smooth",
        "sum": "sharewise.balance.aggregation.sum:Sum",
        "trimmed_mean": "sharewise.balance.aggregation.trimmed_mean:TrimmedMean",
        "upgrad": "sharewise.balance.aggregation.upgrad:UPGrad",
    },
)
