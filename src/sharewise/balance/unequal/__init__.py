"""Tasks that converge at different speeds: learning rates, freezing and thawing, when to stop.

All three work on one member (T,) or a stack (M, T), hold their state in buffers and let members leave by `keep`. The
catalogue's names are the keys of a study file's `balance:`; reading it imports no torch.
"""

from __future__ import annotations

from typing import Any

from sharewise.catalogue import Catalogue

CATALOGUE: Catalogue[Any] = Catalogue(
    "rule for unequal convergence",
    {
        "rates": "sharewise.balance.unequal.rates:TaskRates",
        "freeze": "sharewise.balance.unequal.freezer:Freezer",
        "stop": "sharewise.balance.unequal.stopper:Stopper",
    },
)
