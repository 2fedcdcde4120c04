"""Neural groups: the one place where a bundle knows how networks are built and torch is imported."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import safetensors.torch
import torch

from sharewise.batch import Inputs
from sharewise.bundle.answerer import Answerer, Array
from sharewise.models import slim
from sharewise.models.build import GroupModel

FORWARD_ROWS = 4096
"""Rows of one forward: their activations stay in a processor's cache, which larger pieces do not."""

_RUN_KEYS = ("tasks", "answers", "epoch")


def described(
    states: Sequence[bytes],
) -> tuple[dict[str, Any], list[str], list[dict[str, Any]], dict[str, bytes]]:
    """Architecture, tasks in slot order, checkpoints (file, answers, epoch), and files of a trained group."""
    configs = [_config(state) for state in states]
    architecture = {key: value for key, value in configs[0].items() if key not in _RUN_KEYS}
    checkpoints, files = [], {}
    for i, (config, state) in enumerate(zip(configs, states, strict=True)):
        name = f"weights-{i}.safetensors" if i else "weights.safetensors"
        checkpoints.append({"file": name, "answers": config["answers"], "epoch": config["epoch"]})
        files[name] = state
    return architecture, list(configs[0]["tasks"]), checkpoints, files


def without(states: Sequence[bytes], dropped: Collection[str]) -> list[bytes]:
    """The same checkpoints without what is the `dropped` tasks' own; one that answers nothing else is left out."""
    made = []
    for state in states:
        config = _config(state)
        config["answers"] = [name for name in config["answers"] if name not in dropped]
        if not config["answers"]:
            continue
        numbers = [i for i, name in enumerate(config["tasks"]) if name in dropped]
        thin, weights = slim.slimmed(config, safetensors.torch.load(state), numbers)
        made.append(safetensors.torch.save(weights, {"config": json.dumps(thin)}))
    return made


def _config(state: bytes) -> dict[str, Any]:
    """The `config` in a safetensors header: 8 bytes of length, then JSON."""
    length = int.from_bytes(state[:8], "little")
    header = json.loads(state[8 : 8 + length])
    return dict(json.loads(header["__metadata__"]["config"]))


class NeuralAnswerer(Answerer):
    """A network that answers all its tasks in one forward per checkpoint."""

    def __init__(self, slots: Sequence[str], checkpoints: Sequence[tuple[frozenset[str], GroupModel]]) -> None:
        self.slots = {task: i for i, task in enumerate(slots)}
        self.checkpoints = tuple(checkpoints)

    @classmethod
    def of(cls, model: Mapping[str, Any], files: Mapping[str, bytes]) -> NeuralAnswerer:
        """Build the architecture and load each checkpoint; raises KeyError or ValueError where they do not fit."""
        made = []
        for checkpoint in model["checkpoints"]:
            try:
                state = safetensors.torch.load(files[checkpoint["file"]])
            except safetensors.SafetensorError as error:
                raise ValueError(f"'{checkpoint['file']}' is not whole ({error})") from error
            made.append((frozenset(checkpoint["answers"]), slim.load(model["architecture"], state)))
        return cls(model["tasks"], made)

    def predict(self, inputs: Inputs[Array], tasks: Sequence[str]) -> dict[str, Array]:
        """Predictions of `tasks`; a checkpoint that answers none of them is not run."""
        tensors = Inputs({name: torch.from_numpy(np.ascontiguousarray(b))[None] for name, b in inputs.blocks.items()})
        answers: dict[str, Array] = {}
        for answered, network in self.checkpoints:
            mine = [task for task in tasks if task in answered]
            if mine:
                pieces = [
                    network.predict(piece, certainty=True) for piece in _pieces(tensors, rows_at_once(network, tensors))
                ]
                answers |= {task: torch.cat([p[self.slots[task]][0] for p in pieces]).numpy() for task in mine}
        return answers


def rows_at_once(network: GroupModel, inputs: Inputs[torch.Tensor]) -> int:
    """Rows of one forward; fewer where the encoder holds much of each on the way, or of their tokens."""
    cells = float(max(network.encoder.cells, 1))
    words = [block.shape[2] for name, block in inputs.blocks.items() if name.startswith("tokens:")]
    if words:
        cells *= max(max(words) / 64, 1)
    return max(min(FORWARD_ROWS, int(8_000_000 / cells)), 1 if words else 16)


def _pieces(inputs: Inputs[torch.Tensor], size: int) -> Iterator[Inputs[torch.Tensor]]:
    n = next(iter(inputs.blocks.values())).shape[1]
    for start in range(0, n, size):
        yield inputs.at((slice(None), slice(start, start + size)))
