"""Which of your prediction tasks should share a model? Find out, prove it, ship it, watch it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from sharewise.bundle import Bundle
    from sharewise.study import Study

_PUBLIC = {"Study": "sharewise.study", "Bundle": "sharewise.bundle"}

__all__ = ["Bundle", "Study", "__version__"]


def __getattr__(name: str) -> Any:
    """Import the two front doors only when they are asked for: `import sharewise` stays instant."""
    if name in _PUBLIC:
        import importlib

        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'sharewise' has no attribute '{name}'")
