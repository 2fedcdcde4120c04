"""A trained network without what is some slots' own: the other slots answer exactly as before."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import Tensor

from sharewise.models.build import DROPPED, GroupModel, from_config
from sharewise.models.stacked import Entry, Stack, entries_of

State = Mapping[str, Tensor]


def slimmed(
    config: Mapping[str, Any], state: State, dropped: Collection[int]
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Configuration and weights without the heads of the slots `dropped` and without what their slots own in the trunk.

    Parameters that other slots read (`crossed`), and maps of families that other slots belong to, stay. Raises
    ValueError where a slot that stays is below one that goes.
    """
    slots = [dict(slot) for slot in config["slots"]]
    kept = [s for s in range(len(slots)) if s not in dropped]
    if not dropped or not kept:
        return dict(config), dict(state)
    for s in dropped:
        # It reads what another slot reads, so that no view of the inputs is made for it alone.
        slots[s] |= {"head": DROPPED, "reads": slots[kept[0]].get("reads", ()), "parent": -1, "under": ()}
    if any(slots[s].get("parent", -1) in dropped for s in kept):
        raise ValueError("A slot that stays has its parent; however, that of one is dropped.")
    before, after = from_config(config), from_config({**config, "slots": slots})
    made: dict[str, Tensor] = {}
    old = {entry.name: entry for entry in entries_of(before)}
    for entry in entries_of(after):
        if entry.name.startswith("heads."):
            made[entry.name] = _of_head(entry, before, after, old, state)
        else:
            made[entry.name] = state[entry.name][_stored(entry, after)].clone()
    return {**config, "slots": slots}, made


def load(config: Mapping[str, Any], state: State) -> GroupModel:
    """One member's model ready to answer; raises KeyError or ValueError where `state` does not fit."""
    model = from_config(config)
    Stack(model).load(filled(model, state))
    return model.eval()


def filled(model: GroupModel, state: State) -> dict[str, Tensor]:
    """Weights as `model` holds them: zeros stand where its dropped slots had parts of their own."""
    made = dict(state)
    if not any(slot.head == DROPPED for slot in model.slots):
        return made
    for entry in entries_of(model):
        places, given = _stored(entry, model), state.get(entry.name)
        if entry.slots is not None and given is not None and given.shape[0] == len(places):
            made[entry.name] = torch.zeros(entry.shape, dtype=given.dtype).index_copy(
                0, torch.tensor(places, dtype=torch.long), given
            )
    return made


def _stored(entry: Entry, model: GroupModel) -> Any:
    """Places on the slots' axis of a parameter that are stored: all that are no dropped slot's alone."""
    if entry.slots is None:
        return slice(None)
    numbers = entry.slots or range(len(model.slots))
    return [i for i, s in enumerate(numbers) if entry.crossed or model.slots[s].head != DROPPED]


def _of_head(entry: Entry, before: GroupModel, after: GroupModel, old: Mapping[str, Entry], state: State) -> Tensor:
    """A head's parameter: the rows of its slots, or of its families, out of the block that they stood in."""
    block = int(entry.name.split(".")[1])
    members = after.blocks[block]
    source = next(b for b, others in enumerate(before.blocks) if set(members) <= set(others))
    name = entry.name.replace(f"heads.{block}.", f"heads.{source}.", 1)
    if old[name].slots is not None:
        return state[name][[before.blocks[source].index(s) for s in members]].clone()
    families = sorted({before.slots[s].family for s in before.blocks[source]})
    mine = sorted({after.slots[s].family for s in members})
    return state[name][[families.index(f) for f in mine]].clone()
