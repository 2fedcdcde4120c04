"""Features -> features per task: every way to share a trunk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sharewise.catalogue import Catalogue

if TYPE_CHECKING:
    from sharewise.models.sharing.base import Sharing

CATALOGUE: Catalogue[Sharing] = Catalogue(
    "sharing architecture",
    {
        "hard": "sharewise.models.sharing.hard:Hard",
        "soft": "sharewise.models.sharing.soft:Soft",
        "cross_stitch": "sharewise.models.sharing.cross_stitch:CrossStitch",
        "mmoe": "sharewise.models.sharing.mmoe:MMoE",
        "ple": "sharewise.models.sharing.ple:PLE",
        "adapters": "sharewise.models.sharing.adapters:Adapters",
        "lora": "sharewise.models.sharing.lora:LoRA",
        "task_embedding": "sharewise.models.sharing.task_embedding:TaskEmbedding",
    },
)
