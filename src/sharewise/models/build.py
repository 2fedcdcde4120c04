"""A group's model from plain data: encoder, sharing and heads, stacked over members.

A configuration is JSON: `{"encoder": {...}, "sharing": {"name", "params"}, "slots": [{"kind", "n_outputs",
"n_targets", "family"}]}`. The same configuration trains a cohort of members and, with one member, answers from
a bundle.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sharewise.batch import Inputs
from sharewise.models import encoders, heads, sharing
from sharewise.models.heads.base import Head
from sharewise.models.heads.nested import Nested
from sharewise.models.sharing.base import OFF, Dropout, Sharing
from sharewise.models.views import Views
from sharewise.plan import Choice
from sharewise.tasks import Task, TaskKind

_OURS = ("name", "columns")
"""Keys of an encoder's configuration that are not the encoder's own parameters."""


DROPPED = "dropped"
"""Head of a slot that a network was trained with and that is gone from what was kept of it: it answers nothing."""


@dataclass(frozen=True)
class Slot:
    """Place of one task in a group's model. Members whose slots are equal stack, whatever their tasks are.

    `at_layer` is the trunk layer that its head reads, 0 for the last; `reads` are its inputs, empty for all. A head
    "nested" reads what slot `parent` says, whose class `under[c]` holds its class c.
    """

    head: str
    n_outputs: int
    n_targets: int
    family: int = -1
    at_layer: int = 0
    reads: tuple[str, ...] = ()
    parent: int = -1
    under: tuple[int, ...] = ()


def slots_of(tasks: Sequence[Task]) -> tuple[Slot, ...]:
    """The slots of a group's tasks, in the tasks' order; families are numbered within the group.

    A family of one task is no family: a group trained alone has nothing to borrow from. A task alone reads the last
    layer, wherever it is attached in company. A finer task reads its parent where the two share a model and its
    classes lie under several of the parent's; under one class the parent's word changes nothing that is trained.
    """
    place = {task.name: i for i, task in enumerate(tasks)}
    sizes: dict[str, int] = {}
    for task in tasks:
        if task.family is not None:
            sizes[task.family] = sizes.get(task.family, 0) + 1
    numbers: dict[str, int] = {}
    made = []
    for task in tasks:
        family = -1
        if task.family is not None and sizes[task.family] > 1:
            family = numbers.setdefault(task.family, len(numbers))
        layer = task.at_layer if len(tasks) > 1 else 0
        head, parent = head_of(task), place.get(task.parent or "", -1)
        slot = Slot(head, task.n_outputs, task.n_targets, family, layer, task.inputs)
        if parent >= 0 and len(set(task.under)) > 1:
            slot = replace(slot, head="nested", parent=parent, under=task.under)
        made.append(slot)
    return tuple(made)


def placed(architecture: Choice, tasks: Sequence[Task]) -> Choice:
    """The choice with what is said by task name listed in slot order, None for a task that is not named.

    A grouped declaration's name stands for all its tasks.
    """
    by_task = sharing.CATALOGUE.load(architecture.name).by_task

    def value(key: str, said: object) -> object:
        if key not in by_task or not isinstance(said, Mapping):
            return said
        return [said.get(task.name, said.get(task.family)) for task in tasks]

    return Choice(architecture.name, {key: value(key, said) for key, said in architecture.params.items()})


def head_of(task: Task) -> str:
    """Catalogue name of a task's head."""
    if task.kind is TaskKind.REGRESSION and task.metric == "mae":
        return "absolute"
    if task.has_spans:
        return "spans"
    return task.kind.value


class GroupModel(nn.Module):
    """Encoder ▸ sharing ▸ heads for a group of tasks.

    Slots of equal head, width and family-or-not are computed in one block; outputs are in slot order.
    """

    slot_order: Tensor

    def __init__(self, encoder: Mapping[str, Any], architecture: Choice, slots: Sequence[Slot]) -> None:
        super().__init__()
        self.slots = tuple(slots)
        kind = str(encoder.get("name", "tabular"))
        self.config: dict[str, Any] = {
            "encoder": {"name": kind, **_with_defaults(encoders.CATALOGUE.load(kind), encoder)},
            "sharing": {
                "name": architecture.name,
                "params": _with_defaults(sharing.CATALOGUE.load(architecture.name), architecture.params),
            },
            "slots": [asdict(slot) for slot in slots],
        }
        # Which column comes from which input is known where a task reads only some of them.
        said = _with_slots(encoder, len(slots))
        self.encoder = encoders.CATALOGUE.build(kind, **{k: v for k, v in said.items() if k not in _OURS})
        reads, apart = [slot.reads for slot in self.slots], self.encoder.per_task and len(slots) > 1
        self.views = Views(encoder.get("columns", {}), reads, apart) if any(reads) or apart else None
        layers = {"at_layer": [slot.at_layer for slot in slots]} if any(slot.at_layer for slot in slots) else {}
        self.sharing: Sharing = sharing.CATALOGUE.build(
            architecture.name, n_in=self.encoder.n_out, n_slots=len(slots), **{**architecture.params, **layers}
        )
        self.blocks: list[tuple[int, ...]] = []
        made: list[Head] = []
        keys: dict[tuple[Any, ...], list[int]] = {}
        for i, slot in enumerate(self.slots):
            if slot.head == DROPPED:
                continue
            # A nested slot is a block of its own: it waits for its parent.
            alone = (slot.parent, i, *slot.under) if slot.parent >= 0 else ()
            reads_of = () if apart else slot.reads
            key = (slot.head, slot.n_outputs, slot.n_targets, slot.family >= 0, reads_of, alone)
            keys.setdefault(key, []).append(i)
        for (name, width, _, in_family, _, alone), members in keys.items():
            numbers = {f: n for n, f in enumerate(sorted({self.slots[i].family for i in members}))}
            families = [numbers[self.slots[i].family] for i in members] if in_family else ()
            head = heads.CATALOGUE.build(
                name,
                n_in=self.sharing.n_out,
                n_slots=len(members),
                n_outputs=width,
                families=families,
                own=not self.sharing.one_head,
                **({"under": alone[2:]} if alone else {}),
            )
            head.slot_numbers = tuple(members)
            made.append(head)
            self.blocks.append(tuple(members))
        self.heads = nn.ModuleList(made)
        order = torch.tensor([i for members in self.blocks for i in members])
        self.register_buffer("slot_order", torch.argsort(order), persistent=False)
        # Slot numbers and head of every block, in a plain list: a ModuleList forgets the heads' type.
        self.block_heads = list(zip(self.blocks, made, strict=True))
        self.nested = self._nested()

    def _nested(self) -> list[tuple[int, Nested, int, int]]:
        """Block and head of every nested slot, with the block and position of its parent, parents first."""
        at = {slot: (b, position) for b, members in enumerate(self.blocks) for position, slot in enumerate(members)}
        waiting = {b: self.slots[members[0]].parent for b, members in enumerate(self.blocks)}
        waiting = {b: parent for b, parent in waiting.items() if parent >= 0}
        made: list[tuple[int, Nested, int, int]] = []
        while waiting:
            ready = [b for b, parent in waiting.items() if at[parent][0] not in waiting]
            if not ready:
                raise ValueError("A hierarchy of slots has a top; however, some are below themselves.")
            for b in ready:
                head = self.block_heads[b][1]
                if not isinstance(head, Nested):
                    raise ValueError("A slot below another has a nested head; however, it has not.")
                made.append((b, head, *at[waiting.pop(b)]))
        return made

    def features(self, inputs: Inputs[Tensor], dropout: Dropout = OFF) -> Tensor:
        """The representation z (M, B, Z) that every task reads, of tagged tokens too behind the rows; (M, V B, Z)
        where tasks see V views of the inputs."""
        if self.views is None:
            return self.sharing.shared(self._encoded(inputs, dropout), dropout)
        seen = [self._encoded(self.views.seen(inputs, v), dropout, v) for v in range(len(self.views))]
        return self.sharing.shared(torch.cat(seen, dim=-2), dropout)

    def _encoded(self, inputs: Inputs[Tensor], dropout: Dropout, view: int = 0) -> Tensor:
        """Features of one view's inputs, those of the view's slot where the encoder has parts of its own for each."""
        x = self.encoder.of_slot(view, inputs, dropout) if self.encoder.per_task else self.encoder(inputs, dropout)
        n_rows = _n_rows(inputs)
        tagged = x.shape[1] == n_rows or any(head.per_token for _, head in self.block_heads)
        return x if tagged else x[:, :n_rows]

    def outputs(self, z: Tensor, dropout: Dropout = OFF) -> list[Tensor]:
        """Raw outputs of every block, (M, S_block, B, C), from z (M, B, Z) or one copy per slot (M, S, B, Z)."""
        features = self.sharing.branch(z, dropout)
        apart = self.views is not None and self.views.apart
        if self.views is not None and apart:
            features = self.views.slots_apart(features)
        made = []
        for members, head in self.block_heads:
            mine = features
            if features.dim() == 4 and len(members) != len(self.slots):
                mine = features[:, list(members)]
            if self.views is not None and not apart:
                mine = self.views.rows_of(mine, members[0])
            made.append(head(mine))
        for block, nested, above, position in self.nested:
            coarse = self.block_heads[above][1].predict(made[above])[:, position]
            if coarse.shape[-1] == 1:
                coarse = torch.cat([1 - coarse, coarse], dim=-1)
            made[block] = nested.compose(made[block], coarse.clamp(min=1e-9).log())
        return made

    def losses(
        self,
        outputs: Sequence[Tensor],
        values: Sequence[Tensor],
        present: Sequence[Tensor],
        class_weights: Sequence[Tensor | None],
    ) -> Tensor:
        """Loss of every slot, (M, S): mean over the slot's labelled cells, kept apart, in slot order."""
        parts = [
            head.losses(out, v, p, w)
            for (_, head), out, v, p, w in zip(self.block_heads, outputs, values, present, class_weights, strict=True)
        ]
        return self.in_slot_order(parts)

    def in_slot_order(self, parts: Sequence[Tensor]) -> Tensor:
        """What every block says of its slots, (M, S_block) each, as (M, S) in slot order."""
        return parts[0] if len(parts) == 1 else torch.cat(list(parts), dim=1)[:, self.slot_order]

    @torch.no_grad()
    def predict(self, inputs: Inputs[Tensor], *, certainty: bool = False) -> list[Tensor]:
        """Per slot (M, B, W): probabilities, standardised numbers for regression, codes of all tokens' tags (-1 where
        there is no token); with `certainty` tags are (M, B, L, 2), the code and its own probability."""
        made: list[Tensor] = [torch.empty(0)] * len(self.slots)
        for (members, head), out in zip(self.block_heads, self.outputs(self.features(inputs)), strict=True):
            mine = head.own_rows(out, _n_rows(inputs))
            predicted = self._tags(head, mine, inputs, certainty) if head.per_token else head.predict(mine)
            for position, i in enumerate(members):
                made[i] = predicted[:, position]
        return made

    def _tags(self, head: Head, outputs: Tensor, inputs: Inputs[Tensor], certainty: bool) -> Tensor:
        """Tag codes (M, S, B, L) over the whole width of the block of tokens, or codes and probabilities."""
        there = inputs[str(self.encoder.token_block)][..., 0] != 0
        length, width = outputs.shape[3], there.shape[-1]
        there = there[:, None, :, :length]
        # Beyond the last token nothing may be preferred, lest it sway how the sentence is decoded.
        predicted = head.predict(outputs * there.unsqueeze(-1))
        codes = F.pad(torch.where(there, predicted, -1.0), (0, width - length), value=-1.0)
        if not certainty:
            return codes
        sure = torch.softmax(outputs, dim=-1).gather(-1, predicted.long().unsqueeze(-1)).squeeze(-1)
        return torch.stack([codes, F.pad(sure * there, (0, width - length))], dim=-1)


def _with_slots(encoder: Mapping[str, Any], n_slots: int) -> dict[str, Any]:
    """An encoder's configuration, parts of which tasks have their own told how many slots there are."""

    def placed_(part: Mapping[str, Any]) -> dict[str, Any]:
        return {**part, "n_slots": n_slots} if part.get("per_task") else dict(part)

    made = placed_(encoder)
    if "parts" in made:
        made["parts"] = [placed_(part) for part in made["parts"]]
    return made


def _n_rows(inputs: Inputs[Tensor]) -> int:
    return next(iter(inputs.blocks.values())).shape[1]


def _with_defaults(kind: type, given: Mapping[str, Any]) -> dict[str, Any]:
    """Every parameter by its value: a bundle must not change when a default does."""
    parameters = inspect.signature(kind).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not p.empty} | dict(given)


def from_config(config: Mapping[str, Any]) -> GroupModel:
    """The model that a configuration describes, with one member's worth of parameters and no weights yet."""
    lists = ("reads", "under")
    slots = [Slot(**{**slot, **{k: tuple(slot.get(k, ())) for k in lists}}) for slot in config["slots"]]
    choice = Choice(config["sharing"]["name"], dict(config["sharing"]["params"]))
    return GroupModel(config["encoder"], choice, slots)
