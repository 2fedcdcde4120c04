"""A network of others from its folder: safetensors alone, no code of its own, every weight from the file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import nn

from sharewise.errors import DataError, Problem

UNUSED = ("pooler",)
"""Parts of a network that features are not read from; many files leave their weights out."""

Made = TypeVar("Made")


def loaded(folder: str, what: str, make: Callable[[], Made]) -> Made:
    """What `make` loads from `folder`; raises DataError with the first line of whatever it stumbles over."""
    try:
        return make()
    except DataError:
        raise
    except Exception as error:  # libraries fail on damaged files with errors of their own, of no common base
        reason = (str(error) or type(error).__name__).strip().splitlines()[0][:200].rstrip(".")
        raise DataError(
            Problem(f"The model in {folder} must load as a {what}", reason, "Name another model")
        ) from error


def network(folder: str, what: str) -> nn.Module:
    """The network in a folder, in evaluation mode.

    Raises DataError where it cannot be loaded, or where its file lacks weights: those would be drawn at random, anew in
    every process, and its features would differ between training and serving.
    """
    from transformers import AutoModel
    from transformers.utils import logging

    # Its own bars and remarks about unused heads are no concern of whoever reads ours.
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    given: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False, "dtype": torch.float32}
    model, said = loaded(
        folder,
        what,
        lambda: AutoModel.from_pretrained(folder, use_safetensors=True, output_loading_info=True, **given),
    )
    lacking = sorted(name for name in said["missing_keys"] if not any(part in name for part in UNUSED))
    if lacking:
        more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
        fact = f"its file holds no {lacking[0]}{more}"
        remedy = "Name a model whose file goes with its config.json"
        raise DataError(Problem(f"The model in {folder} must hold all its weights", fact, remedy))
    made: nn.Module = model.eval()
    return made
