"""Whether a training loop gives a method what it needs: asked before training, and noticed while it trains."""

from __future__ import annotations

from sharewise.balance.contracts import Method, Needs
from sharewise.errors import ConfigError, Problem

REMEDIES = {
    "losses_after_step": (
        "the batch's losses again, after the optimiser's step",
        "evaluate them without gradients and call balancer.after_step(step, losses)",
    ),
    "epoch_means": (
        "the mean losses of every epoch",
        "call balancer.after_epoch(means) at the end of each",
    ),
    "epoch_scores": (
        "validation scores in [0, 1] after every epoch",
        "call balancer.after_epoch(means, scores=scores)",
    ),
    "optimised": (
        "its own parameters trained",
        "give balancer.parameters() to the optimiser, without weight decay",
    ),
}
"""What a training loop must do for each need, and how; the other needs are facts that `build` checks."""

PATIENCE = 64
"""Steps after which a need that the loop never met is an error; fewer may be one accumulated batch."""


def problems(method: Method, needs: Needs, offered: Needs) -> list[Problem]:
    """One sentence for everything a method needs of the loop that is not offered."""
    return [
        Problem(f"'{type(method).__name__}' needs {what}", "this training loop does not give that", how)
        for name, (what, how) in REMEDIES.items()
        if needs.__dict__[name] and not offered.__dict__[name]
    ]


class Watch:
    """Counts steps and what came after them."""

    def __init__(self) -> None:
        self.steps = 0
        self.after_steps = 0
        self._first: list[float] = []

    def step(self, method: Method, needs: Needs) -> None:
        """Note a step; raises ConfigError at the 64th where losses after the step, or an optimiser, never came."""
        self.steps += 1
        if needs.optimised and self.steps in (1, PATIENCE):
            now = [float(p.detach().double().sum()) for p in method.parameters()]
            if self.steps == 1:
                self._first = now
            elif now == self._first:
                raise ConfigError(problems(method, Needs(optimised=True), Needs()))
        if self.steps == PATIENCE and needs.losses_after_step and not self.after_steps:
            raise ConfigError(problems(method, Needs(losses_after_step=True), Needs()))
