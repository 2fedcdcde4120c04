"""Features -> prediction and loss: one head per kind of task."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sharewise.catalogue import Catalogue

if TYPE_CHECKING:
    from sharewise.models.heads.base import Head

CATALOGUE: Catalogue[Head] = Catalogue(
    "head",
    {
        "binary": "sharewise.models.heads.binary:Binary",
        "multiclass": "sharewise.models.heads.multiclass:Multiclass",
        "nested": "sharewise.models.heads.nested:Nested",
        "ordinal": "sharewise.models.heads.ordinal:Ordinal",
        "multilabel": "sharewise.models.heads.multilabel:Multilabel",
        "regression": "sharewise.models.heads.regression:Regression",
        "absolute": "sharewise.models.heads.absolute:Absolute",
        "reconstruction": "sharewise.models.heads.reconstruction:Reconstruction",
        "token_tagging": "sharewise.models.heads.tagging:Tagging",
        "spans": "sharewise.models.heads.tagging:Spans",
    },
)
"""Keyed by task kind; `absolute` is regression judged by its absolute error, `nested` multiclass below a parent,
`spans` tagging with tags O, B-X, I-X."""
