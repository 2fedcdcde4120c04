"""MLflow's loader of a bundle: `mlflow.pyfunc.load_model` finds it through the file `MLmodel`."""

from __future__ import annotations

from typing import Any

from sharewise.bundle.load import Bundle


class Served:
    """A bundle behind MLflow's `predict(model_input, params)`."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> Any:
        """One column per task, as a frame of the kind that was given; `params` are not used."""
        return self.bundle.predict(model_input)


def _load_pyfunc(path: str) -> Served:
    """Called by MLflow with the bundle's directory."""
    return Served(Bundle.load(path))
