"""What a network of one task takes over from a network that was trained before it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sharewise.models.build import GroupModel, from_config
from sharewise.models.stacked import Entry, entries_of


def carried(model: GroupModel, task: str, config: Mapping[str, Any], state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Parameters of `model`, a network of `task` alone, as the source network holds them; others are not named.

    `config` (with `tasks` in slot order) and `state` are the source's. The encoder and what tasks share in the trunk
    are taken over. Parts of single tasks, among them the head, are taken over where the source was trained on `task`
    too: those of its slot, a family's head as the family's map plus the task's own (Evgeniou and Pontil 2004). Whatever
    the two networks do not have in common, by name and shape, starts afresh, so that pretraining on one task and
    fine-tuning on another hands over the representation alone.
    """
    source = from_config({key: config[key] for key in ("encoder", "sharing", "slots")})
    slot = list(config["tasks"]).index(task) if task in config["tasks"] else None
    held = {entry.name: entry for entry in entries_of(source)}
    made: dict[str, Tensor] = {}
    for entry in entries_of(model):
        if entry.name.startswith("heads.") or entry.name not in held:
            continue
        value = _of_slot(state[entry.name], held[entry.name], slot)
        if value is not None and value.shape == entry.shape:
            made[entry.name] = value
    return made if slot is None else made | _head(model, source, slot, held, state)


def _of_slot(value: Tensor, entry: Entry, slot: int | None) -> Tensor | None:
    """The part of a parameter that one slot's network needs: all of it, the slot's own, or None where it has none."""
    if entry.slots is None:
        return value
    if slot is None:
        return None
    place = slot if not entry.slots else entry.slots.index(slot) if slot in entry.slots else None
    return None if place is None else value[place : place + 1]


def _head(
    model: GroupModel, source: GroupModel, slot: int, held: Mapping[str, Entry], state: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """The head of `slot`, or nothing where the network of the task alone has another kind of head."""
    if source.slots[slot].head != model.slots[0].head:
        return {}
    block = next(b for b, members in enumerate(source.blocks) if slot in members)
    head, place = source.block_heads[block][1], source.blocks[block].index(slot)
    made: dict[str, Tensor] = {}
    for entry in entries_of(model):
        if not entry.name.startswith("heads."):
            continue
        part = entry.name.split(".", 2)[2]
        name = f"heads.{block}.{part}"
        if name not in held:
            return {}
        value = _of_slot(state[name], held[name], slot)
        if part == "weight" and head.n_families and value is not None:
            family = int(head.member_of[place])
            value = value + state[f"heads.{block}.family"][family : family + 1]
        if value is None or value.shape != entry.shape:
            return {}
        made[entry.name] = torch.clone(value)
    return made
