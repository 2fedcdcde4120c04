"""Members side by side: parameters with a leading member axis M, kept in one flat (M, P) buffer.

A module written here maps (M, B, ...) to (M, B, ...): one matrix product per layer trains every member at once.
For M = 1 the layers take the plain two-dimensional path, so that a cohort of one costs what an ordinary net costs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sharewise.seeds import derive


@dataclass(frozen=True)
class Init:
    """How a parameter starts: `normal(0, std)`, `uniform(-std, std)` or `constant(std)`."""

    law: str
    value: float

    def draw(self, shape: Sequence[int], generator: torch.Generator) -> Tensor:
        """One member's tensor of this law."""
        if self.law == "constant":
            return torch.full(tuple(shape), self.value)
        if self.law == "normal":
            return torch.randn(*shape, generator=generator) * self.value
        if self.law == "uniform":
            return (torch.rand(*shape, generator=generator) * 2 - 1) * self.value
        raise ValueError(f"An initial law is normal, uniform or constant; however, '{self.law}' was asked for.")


ZERO = Init("constant", 0.0)
ONE = Init("constant", 1.0)


def kaiming(fan_in: int) -> Init:
    """Uniform with variance 1 / (3 fan_in), the law of `torch.nn.Linear`."""
    return Init("uniform", 1.0 / math.sqrt(max(fan_in, 1)))


@dataclass(frozen=True)
class Law:
    """What is declared of a parameter: how it starts, whether it has slots, whether those are `crossed`, whether
    they start `alike`, and at what share of the learning rate it moves."""

    init: Init
    per_slot: bool
    crossed: bool
    alike: bool
    rate: float


class StackedModule(nn.Module):
    """A module whose parameters all carry the member axis in front, each with a declared initial law.

    A parameter with `per_slot=True` has the task slots as its second axis: (M, S, ...). Each slot then starts
    from its own task's seed, so that a task's head starts alike whoever shares its group. Only the slot's own loss
    reaches its part, unless the parameter is declared `crossed`: then other tasks' losses reach it too, and it is
    shared although every task has one. Slots declared `alike` start from one draw, so that unit j means the same in
    all of them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.laws: dict[str, Law] = {}
        self.slot_numbers: tuple[int, ...] | None = None
        """Which of the group's slots a `per_slot` parameter holds, in order; None for all of them."""

    def declare(
        self,
        name: str,
        shape: Sequence[int],
        law: Init,
        *,
        per_slot: bool = False,
        crossed: bool = False,
        alike: bool = False,
        rate: float = 1.0,
    ) -> nn.Parameter:
        """Register the parameter `name` of one member's `shape`; members are given by `populate`. It moves at `rate`
        times the member's learning rate."""
        parameter = nn.Parameter(torch.empty(1, *shape))
        self.register_parameter(name, parameter)
        self.laws[name] = Law(law, per_slot, crossed, alike, rate)
        return parameter


class Linear(StackedModule):
    """Affine map of every member: (M, B, I) -> (M, B, O), y_m = x_m W_m + b_m; also (M, S, B, I) -> (M, S, B, O)."""

    weight: nn.Parameter
    bias: nn.Parameter

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.declare("weight", (n_in, n_out), kaiming(n_in))
        self.declare("bias", (1, n_out), kaiming(n_in))

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() == 4:
            return self.forward(x.flatten(1, 2)).view(*x.shape[:3], -1)
        if x.shape[0] == 1:
            return torch.addmm(self.bias[0, 0], x[0], self.weight[0]).unsqueeze(0)
        return torch.baddbmm(self.bias, x, self.weight)


class Linears(StackedModule):
    """Affine maps side by side: `axes` of them (slots, experts) for every member, y_k = x_k W_k + b_k.

    Shapes: (M, *axes, B, I), or (M, B, I) that all of them read, -> (M, *axes, B, O). With `per_slot` the first of
    the axes are the task slots; `law` is that of the weights, uniform as in `Linear` where it is None, and 0 for the
    biases where it is `ZERO`.
    """

    weight: nn.Parameter
    bias: nn.Parameter

    def __init__(
        self,
        n_in: int,
        n_out: int,
        axes: Sequence[int],
        *,
        law: Init | None = None,
        per_slot: bool = False,
        crossed: bool = False,
        alike: bool = False,
    ) -> None:
        super().__init__()
        self.axes = tuple(axes)
        law = law or kaiming(n_in)
        self.declare("weight", (*axes, n_in, n_out), law, per_slot=per_slot, crossed=crossed, alike=alike)
        self.declare("bias", (*axes, 1, n_out), law, per_slot=per_slot, crossed=crossed, alike=alike)

    def forward(self, x: Tensor) -> Tensor:
        m, n = self.weight.shape[0], math.prod(self.axes)
        weight = self.weight.reshape(m, n, *self.weight.shape[-2:])
        if x.dim() == 3:
            i, o = weight.shape[-2:]
            wide = weight.permute(0, 2, 1, 3).reshape(m, i, n * o)
            out = torch.bmm(x, wide).view(m, -1, n, o).transpose(1, 2)
        else:
            out = torch.bmm(x.reshape(m * n, *x.shape[-2:]), weight.flatten(0, 1))
        return out.reshape(m, *self.axes, *out.shape[-2:]) + self.bias


@dataclass(frozen=True)
class Entry:
    """One parameter's place in the flat buffer. `slots` are the slot numbers of a parameter that has slots,
    `()` meaning all of them, None for a parameter without; `crossed` and `alike` as declared."""

    name: str
    parameter: nn.Parameter
    shape: torch.Size
    offset: int
    law: Init
    slots: tuple[int, ...] | None
    crossed: bool = False
    alike: bool = False
    rate: float = 1.0

    @property
    def shared(self) -> bool:
        """Whether the losses of several tasks reach it, as far as the module that declares it can say."""
        return self.slots is None or self.crossed

    def of(self, flat: Tensor) -> Tensor:
        """This parameter of every member in `flat` (M, P), as a view (M, *shape)."""
        return flat[:, self.offset : self.offset + self.shape.numel()].view(flat.shape[0], *self.shape)


def entries_of(module: nn.Module) -> Iterator[Entry]:
    """Every stacked parameter below `module`, in the order of the modules."""
    offset = 0
    for path, child in module.named_modules():
        if isinstance(child, StackedModule):
            for name, law in child.laws.items():
                parameter = child.get_parameter(name)
                slots = (child.slot_numbers or ()) if law.per_slot else None
                shape = parameter.shape[1:]
                full = f"{path}.{name}" if path else name
                yield Entry(full, parameter, shape, offset, law.init, slots, law.crossed, law.alike, law.rate)
                offset += shape.numel()


class Stack:
    """The parameters of all members of `module` as one (M, P) buffer that the module's parameters view.

    `flat[m]` is everything member m has learnt: copying it is a checkpoint, dropping it is leaving the stack.
    """

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.entries = list(entries_of(module))
        self.size = sum(entry.shape.numel() for entry in self.entries)
        self.flat = torch.empty(0, self.size)

    @property
    def parameters(self) -> list[nn.Parameter]:
        """The module's parameters in the order of the buffer."""
        return [entry.parameter for entry in self.entries]

    def rates(self) -> Tensor | None:
        """Share of the learning rate of every number in the buffer, (P,); None where all move at the full rate."""
        if all(entry.rate == 1.0 for entry in self.entries):
            return None
        return torch.cat([torch.full((entry.shape.numel(),), entry.rate) for entry in self.entries])

    @property
    def n_members(self) -> int:
        """Members in the stack now."""
        return self.flat.shape[0]

    def populate(
        self, seeds: Sequence[int], slots: Sequence[Sequence[str]], device: torch.device | str = "cpu"
    ) -> None:
        """Draw every member's parameters from its own seed; `slots[m]` names the task in each of m's slots."""
        flat = torch.empty(len(seeds), self.size)
        generator = torch.Generator()
        for entry in self.entries:
            rows = entry.of(flat)
            for m, seed in enumerate(seeds):
                if entry.slots is None:
                    generator.manual_seed(derive(seed, entry.name))
                    rows[m] = entry.law.draw(entry.shape, generator)
                    continue
                tasks = [slots[m][i] for i in entry.slots] if entry.slots else slots[m]
                for s, task in enumerate(tasks):
                    generator.manual_seed(derive(seed, entry.name) if entry.alike else derive(seed, entry.name, task))
                    rows[m, s] = entry.law.draw(entry.shape[1:], generator)
        self.bind(flat.to(device))

    def start(self, m: int, state: Mapping[str, Tensor]) -> None:
        """Let member m start from the parameters in `state`, by name; those that it does not name stay as drawn."""
        with torch.no_grad():
            for entry in self.entries:
                if entry.name in state:
                    entry.of(self.flat)[m] = state[entry.name].to(self.flat.device)

    def bind(self, flat: Tensor) -> None:
        """Make the module's parameters views of `flat` (M', P), whatever M' is."""
        self.flat = flat
        for entry in self.entries:
            entry.parameter.data = entry.of(flat)

    def mask(self, of: Callable[[Entry], bool]) -> Tensor:
        """(P,): 1 where a cell of the buffer belongs to a parameter that `of` says yes to, else 0."""
        parts = [torch.full((entry.shape.numel(),), float(of(entry))) for entry in self.entries]
        return torch.cat(parts) if parts else torch.empty(0)

    def take_gradient(self) -> Tensor:
        """The parameters' gradients as one (M, P) tensor, missing ones as zero; they are cleared."""
        m = self.n_members
        parts = []
        for entry in self.entries:
            grad = entry.parameter.grad
            parts.append(self.flat.new_zeros(m, entry.shape.numel()) if grad is None else grad.reshape(m, -1))
            entry.parameter.grad = None
        return torch.cat(parts, dim=1)

    def state(self, m: int) -> dict[str, Tensor]:
        """Member m's parameters by name, without the member axis (what a bundle stores)."""
        return {entry.name: entry.of(self.flat)[m].clone() for entry in self.entries}

    def load(self, state: dict[str, Tensor]) -> None:
        """One member from `state`; raises KeyError or ValueError where names or shapes differ."""
        names = {entry.name for entry in self.entries}
        if names != set(state):
            raise KeyError(
                f"The weights must be those of the architecture; however, they differ in {sorted(names ^ set(state))}."
            )
        flat = torch.empty(1, self.size)
        for entry in self.entries:
            given = state[entry.name]
            if given.shape != entry.shape:
                raise ValueError(
                    f"'{entry.name}' must have shape {tuple(entry.shape)}; however, it has {tuple(given.shape)}."
                )
            entry.of(flat)[0] = given
        self.bind(flat)
