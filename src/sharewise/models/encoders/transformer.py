"""A transformer that is trained with the study: whole, its upper layers, or small matrices beside its own (LoRA)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sharewise.batch import Inputs
from sharewise.models.backbones import text
from sharewise.models.encoders.base import Encoder
from sharewise.models.sharing.base import OFF, Dropout
from sharewise.models.stacked import ZERO, Init, kaiming
from sharewise.tables.texts import locate

RATE, LORA_RATE = 0.01, 0.1
"""Share of the heads' learning rate: 2e-5 and 2e-4 at the default, the usual ones of fine-tuning and of LoRA."""


@dataclass(frozen=True)
class Given(Init):
    """A parameter that starts from what it was before."""

    start: Tensor

    def draw(self, shape: Sequence[int], generator: torch.Generator) -> Tensor:
        return self.start


class Transformer(Encoder):
    """Mean of the last layer's token vectors of a Hugging Face model whose parameters are trained.

    `train`: "all"; a number n, its upper n layers; or "lora", W + 2 B A with B (O, rank) started at zero and A at
    random in every linear layer (Hu et al. 2022, "LoRA", eq. 3 with alpha = 2 rank; by PEFT). The model's own dropout
    is off, so that a run's luck is its seed. What is not trained is read from the folder `model` and not stored.

    Shapes: tokens (M, B, L) -> (M, B, n_out). Cost: one pass a member; it does not stack.
    """

    stacks = False

    def __init__(self, *, block: str, model: str, digest: str, n_out: int, train: str, rank: int = 8) -> None:
        super().__init__()
        self.block, self.n_out = block, n_out
        self.tokenized = text.load(model, digest)
        # A network of its own: the one that is shared by others must stay as it is.
        network = text.Network(model).model
        if train == "lora":
            locate.need("peft", "text")
            network = _with_lora(network, rank)
        self.network = network
        self.names: dict[str, str] = {}
        for name in _trained(network, train):
            parameter = network.get_parameter(name)
            law: Init = Given("given", 0.0, parameter.detach().clone())
            if train == "lora":
                law = ZERO if "lora_B" in name else kaiming(parameter.shape[1])
            own = name.replace(".", "/")
            self.names[own] = name
            self.declare(own, parameter.shape, law, rate=LORA_RATE if train == "lora" else RATE)
        # About what the activations of a row's tokens take.
        self.cells = n_out * 256

    def forward(self, inputs: Inputs[Tensor], dropout: Dropout = OFF) -> Tensor:
        coded = inputs[self.block].long()
        if not coded.shape[1]:
            return self.get_parameter(next(iter(self.names))).new_zeros(*coded.shape[:2], self.n_out)
        used = int((coded > 0).any(0).any(0).sum())
        coded = coded[..., : max(used, 1)]
        return torch.stack([self._of_member(m, coded[m]) for m in range(coded.shape[0])])

    def _of_member(self, m: int, coded: Tensor) -> Tensor:
        there = coded > 0
        mask = there.long()
        # A row without text still needs one token to look at; what comes of it is not used.
        mask[:, 0] = 1
        number = torch.where(there, (coded - 1) % text.SEGMENT, self.tokenized.padding)
        segment = torch.where(there, (coded - 1) // text.SEGMENT, 0)
        mine = {name: self.get_parameter(own)[m] for own, name in self.names.items()}

        def network(**given: Tensor) -> Any:
            return torch.func.functional_call(self.network, mine, (), given)

        return text.mean_pooled(self.tokenized.states(network, number, segment, mask), mask)


def _with_lora(network: nn.Module, rank: int) -> nn.Module:
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(r=rank, lora_alpha=2 * rank, lora_dropout=0.0, bias="none", target_modules="all-linear")
    with warnings.catch_warnings():
        # The two libraries warn each other of names that go away.
        warnings.simplefilter("ignore", FutureWarning)
        made: nn.Module = get_peft_model(network, config)
    return made.eval()


def _trained(network: nn.Module, train: str) -> list[str]:
    """Names of the parameters that are trained."""
    names = [name for name, _ in network.named_parameters()]
    if train == "lora":
        return [name for name in names if "lora_" in name]
    # A pooling layer on top reads one token, and nothing here reads it.
    names = [name for name in names if not name.startswith("pooler.")]
    if train == "all":
        return names
    # The longest list of modules is the list of layers; lists inside a layer are shorter or lie deeper.
    lists = [(len(m), -path.count("."), path) for path, m in network.named_modules() if isinstance(m, nn.ModuleList)]
    n_layers, _, path = max(lists)
    upper = tuple(f"{path}.{i}." for i in range(n_layers - int(train), n_layers))
    return [name for name in names if name.startswith(upper)]
