"""A network that others trained as part of one that is trained here: whole, its upper layers, or by LoRA."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sharewise.batch import Inputs
from sharewise.errors import DataError, Problem
from sharewise.models.encoders.base import Encoder
from sharewise.models.sharing.base import OFF, Dropout
from sharewise.models.stacked import ZERO, Init, StackedModule, kaiming
from sharewise.tables.texts import locate

RATE, LORA_RATE = 0.01, 0.1
"""Share of the heads' learning rate: 2e-5 and 2e-4 at the default, the usual ones of fine-tuning and of LoRA."""


class TunedEncoder(Encoder):
    """An encoder around a `network` that is trained: its parameters `names` are the encoder's own, with `per_task`
    those of every task slot. It does not stack."""

    stacks = False

    def hold(self, network: nn.Module, train: str, rank: int, extra: str, n_slots: int | None) -> None:
        """Take `network` as `adapted` has it; `n_slots` is None where tasks have no parameters of their own."""
        self.network = adapted(network, train, rank, extra)
        self.per_task = n_slots is not None
        self.names = declare(self, self.network, train, n_slots or 0)

    def forward(self, inputs: Inputs[Tensor], dropout: Dropout = OFF) -> Tensor:
        return self._read(inputs, dropout, None)

    def of_slot(self, slot: int, inputs: Inputs[Tensor], dropout: Dropout = OFF) -> Tensor:
        return self._read(inputs, dropout, slot if self.per_task else None)

    @abstractmethod
    def _read(self, inputs: Inputs[Tensor], dropout: Dropout, slot: int | None) -> Tensor:
        """Features as the task in `slot` has them, or as all tasks do."""


@dataclass(frozen=True)
class Given(Init):
    """A parameter that starts from what it was before."""

    start: Tensor

    def draw(self, shape: Sequence[int], generator: torch.Generator) -> Tensor:
        return self.start


def adapted(network: nn.Module, train: str, rank: int, extra: str) -> nn.Module:
    """The network, with LoRA's matrices beside its own where `train` is "lora" (by PEFT, of the extra `extra`).

    W + 2 B A, B (O, rank) started at zero and A at random, in every linear layer (Hu et al. 2022, "LoRA", eq. 3 with
    alpha = 2 rank). Raises DataError where it has no linear layer.
    """
    if train != "lora":
        return network
    locate.need("peft", extra)
    from peft import LoraConfig, get_peft_model

    if not any(isinstance(m, nn.Linear) for m in network.modules()):
        raise DataError(Problem("LoRA changes linear layers", "the network has none", "Write train: all"))
    config = LoraConfig(r=rank, lora_alpha=2 * rank, lora_dropout=0.0, bias="none", target_modules="all-linear")
    with warnings.catch_warnings():
        # The two libraries warn each other of names that go away.
        warnings.simplefilter("ignore", FutureWarning)
        made: nn.Module = get_peft_model(network, config)
    return made.eval()


def declare(module: StackedModule, network: nn.Module, train: str, n_slots: int = 0) -> dict[str, str]:
    """Declare what is trained of `network` on `module`, starting from what it is; own name to the network's name. With
    `n_slots` every task slot has LoRA's matrices of its own; raises ValueError where something else is trained."""
    if n_slots and train != "lora":
        raise ValueError(f"Tasks have parts of their own by LoRA; however, train is {train}.")
    names: dict[str, str] = {}
    for name in trained(network, train):
        parameter = network.get_parameter(name)
        law: Init = Given("given", 0.0, parameter.detach().clone())
        if train == "lora":
            law = ZERO if "lora_B" in name else kaiming(parameter.shape[1])
        own = name.replace(".", "/")
        names[own] = name
        shape = (n_slots, *parameter.shape) if n_slots else parameter.shape
        module.declare(own, shape, law, per_slot=bool(n_slots), rate=LORA_RATE if train == "lora" else RATE)
    return names


def of_member(
    module: StackedModule, network: nn.Module, names: Mapping[str, str], m: int, slot: int | None
) -> Callable[..., Any]:
    """The network with member m's parameters in place of those that are trained; of `slot` where each has its own."""
    mine = {name: module.get_parameter(own)[m] for own, name in names.items()}
    if slot is not None:
        mine = {name: value[slot] for name, value in mine.items()}

    def call(**given: Tensor) -> Any:
        return torch.func.functional_call(network, mine, (), given)

    return call


def trained(network: nn.Module, train: str) -> list[str]:
    """Names of the parameters that are trained."""
    names = [name for name, _ in network.named_parameters()]
    if train == "lora":
        return [name for name in names if "lora_" in name]
    # A pooling layer on top reads one token, and nothing here reads it.
    names = [name for name in names if not name.startswith("pooler.")]
    if train == "all":
        return names
    path, n_layers = layers(network)
    upper = tuple(f"{path}.{i}." for i in range(n_layers - int(train), n_layers))
    return [name for name in names if name.startswith(upper)]


def layers(network: nn.Module) -> tuple[str, int]:
    """Path and length of the list of a network's layers: of its lists of modules that nearest the top, the longest
    where there are several; lists inside a layer lie deeper."""
    lists = [
        (path.count("."), -len(module), path)
        for path, module in network.named_modules()
        if isinstance(module, nn.ModuleList) and len(module)
    ]
    _, length, path = min(lists)
    return path, -length
