"""Pictures -> features: a small residual network, trained from scratch."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sharewise.batch import Inputs
from sharewise.models.encoders.base import Encoder
from sharewise.models.sharing.base import OFF, Dropout
from sharewise.models.stacked import ONE, ZERO, Init, StackedModule

GROUP = 8
"""Channels of one normalisation group."""


class Convolution(StackedModule):
    """3 x 3 convolution of every member, then group normalisation: (B, M I, H, W) -> (B, M O, H / stride, W / stride).

    Members stand side by side on the channel axis, so that one grouped convolution and one group normalisation
    (Wu and He 2018, which unlike batch normalisation keeps rows apart) serve the whole stack.
    """

    weight: nn.Parameter
    gain: nn.Parameter
    shift: nn.Parameter

    def __init__(self, n_in: int, n_out: int, *, stride: int = 1, gain: Init = ONE) -> None:
        super().__init__()
        self.stride = stride
        self.n_groups = max(n_out // GROUP, 1)
        # He et al. 2015, eq. 10: variance 2 / fan-in keeps the scale through rectifiers.
        self.declare("weight", (n_out, n_in, 3, 3), Init("normal", (2.0 / (9 * n_in)) ** 0.5))
        self.declare("gain", (n_out,), gain)
        self.declare("shift", (n_out,), ZERO)

    def forward(self, x: Tensor) -> Tensor:
        m = self.weight.shape[0]
        x = F.conv2d(x, self.weight.flatten(0, 1), stride=self.stride, padding=1, groups=m)
        return F.group_norm(x, m * self.n_groups, self.gain.flatten(), self.shift.flatten())


class Residual(nn.Module):
    """y = relu(P(x) + C2(relu(C1(x)))), the basic block of He et al. 2016 (figure 2).

    P is the identity, or where the size changes the mean over 2 x 2 pixels with zeros for new channels (their option
    A). C2 starts with gain 0, so that a block starts as the identity (Goyal et al. 2017, section 5.1).
    """

    def __init__(self, n_in: int, n_out: int, *, stride: int) -> None:
        super().__init__()
        self.stride, self.n_new = stride, n_out - n_in
        self.first = Convolution(n_in, n_out, stride=stride)
        self.second = Convolution(n_out, n_out, gain=ZERO)

    def forward(self, x: Tensor) -> Tensor:
        same = x
        if self.stride > 1:
            same = F.avg_pool2d(same, self.stride, ceil_mode=True, count_include_pad=False)
        if self.n_new:
            m = self.first.weight.shape[0]
            b, _, h, w = same.shape
            same = F.pad(same.reshape(b, m, -1, h, w), (0, 0, 0, 0, 0, self.n_new)).flatten(1, 2)
        return F.relu(same + self.second(F.relu(self.first(x))))


class Picture(Encoder):
    """A residual network for pictures of about 28 to 64 pixels, stacked over members.

    Pixels x become (x / 255 - mean_c) / deviation_c; a stem of `widths[0]` channels at half the side; then one
    stage per width with `depth` residual blocks, each stage but the first halving the sides. The feature map
    (`feature_map`) is kept apart from what row tasks read: its means over a `grid` x `grid` division, which keep
    roughly where things are. Tasks per pixel can read the map with no change here.

    In training, pictures are moved by up to `shift` pixels (edges repeated) and with `flip` mirrored half of the time;
    the draws come from the step alone, one for each row of the batch and the same for all members, as dropout's do.

    Shapes: block (M, B, side, side, channels) uint8 -> map (M, B, widths[-1], h, w) -> (M, B, widths[-1] grid^2).
    Cost: about 1 ms a step and row on one processor core with the defaults at 36 pixels.
    """

    mean: Tensor
    inverse: Tensor

    def __init__(
        self,
        *,
        block: str,
        side: int,
        channels: int,
        mean: Sequence[float],
        deviation: Sequence[float],
        widths: Sequence[int] = (16, 32, 64),
        depth: int = 1,
        grid: int = 3,
        shift: int = 2,
        flip: bool = False,
    ) -> None:
        super().__init__()
        _check(widths, depth, grid, shift, side)
        self.block, self.side, self.channels, self.grid = block, side, channels, grid
        self.shift, self.flip = shift, flip
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("inverse", 1.0 / torch.tensor(deviation).view(-1, 1, 1), persistent=False)
        self.stem = Convolution(channels, widths[0], stride=2)
        blocks: list[Residual] = []
        for stage, (before, width) in enumerate(itertools.pairwise([widths[0], *widths])):
            blocks.append(Residual(before, width, stride=2 if stage else 1))
            blocks += [Residual(width, width, stride=1) for _ in range(depth - 1)]
        self.blocks = nn.ModuleList(blocks)
        self.n_channels = widths[-1]
        self.n_out = widths[-1] * grid * grid
        self.cells = 4 * widths[0] * (side // 2) ** 2

    def forward(self, inputs: Inputs[Tensor], dropout: Dropout = OFF) -> Tensor:
        m, b = inputs[self.block].shape[:2]
        if b == 0:
            return self.mean.new_zeros(m, 0, self.n_out)
        x = self.feature_map(inputs, dropout)
        return F.adaptive_avg_pool2d(x.flatten(0, 1), self.grid).reshape(m, b, -1)

    def feature_map(self, inputs: Inputs[Tensor], dropout: Dropout = OFF) -> Tensor:
        """Features of every place, (M, B, `n_channels`, h, w), h = w = side / 2^stages rounded up."""
        pixels = inputs[self.block]
        m, b = pixels.shape[:2]
        x = pixels.permute(1, 0, 4, 2, 3).float() / 255.0
        x = ((x - self.mean) * self.inverse).flatten(1, 2)
        if dropout.step is not None and (self.shift or self.flip):
            x = augment(x, self.shift, self.flip, dropout.step)
        x = F.relu(self.stem(x))
        for block in self.blocks:
            x = block(x)
        return x.reshape(b, m, self.n_channels, *x.shape[2:]).transpose(0, 1)


def augment(x: Tensor, shift: int, flip: bool, step: int) -> Tensor:
    """`x` (B, C, H, W), each row moved by its own whole number of pixels and perhaps mirrored, from the step's seed."""
    generator = torch.Generator(device=x.device)
    generator.manual_seed(step)
    b, c, h, w = x.shape
    down, right = torch.randint(-shift, shift + 1, (2, b, 1), generator=generator, device=x.device)
    mirrored = torch.rand(b, 1, generator=generator, device=x.device) < (0.5 if flip else 0.0)
    rows = (torch.arange(h, device=x.device) + down).clamp(0, h - 1)
    columns = (torch.arange(w, device=x.device) + right).clamp(0, w - 1)
    columns = torch.where(mirrored, w - 1 - columns, columns)
    x = x.gather(2, rows.view(b, 1, h, 1).expand(b, c, h, w))
    return x.gather(3, columns.view(b, 1, 1, w).expand(b, c, h, w))


def _check(widths: Sequence[int], depth: int, grid: int, shift: int, side: int) -> None:
    rule = "A picture encoder needs widths that do not fall, a depth and grid of at least 1 and a shift of at least 0"
    falling = any(b < a for a, b in itertools.pairwise(widths))
    if not widths or min(widths) < 1 or falling or depth < 1 or grid < 1 or shift < 0:
        raise ValueError(f"{rule}; however, they are {list(widths)}, {depth}, {grid} and {shift}.")
    if any(width % GROUP for width in widths if width > GROUP):
        raise ValueError(f"Widths beyond {GROUP} are multiples of {GROUP}; however, they are {list(widths)}.")
    if side < 8:
        raise ValueError(f"Pictures are at least 8 pixels wide; however, the side is {side}.")
