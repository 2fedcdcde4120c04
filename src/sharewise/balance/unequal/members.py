"""State with a leading member axis."""

from __future__ import annotations

from torch import Tensor, nn


class Members(nn.Module):
    """Buffers with a leading member axis."""

    def keep(self, index: Tensor) -> None:
        """Let members leave the stack: index the leading axis of all state."""
        for name, buffer in list(self.named_buffers()):
            self.register_buffer(name, buffer[index])
