"""`MLmodel`: what MLflow needs to load a bundle as a python function, written by hand so that it is not needed here."""

from __future__ import annotations

import json
import platform

import sharewise
from sharewise.tables.codec import Codec


def mlmodel(codec: Codec) -> str:
    """The text of `MLmodel`: YAML with the loader module and the signature (MLflow's model signature, as JSON).

    MLflow enforces that the columns are there. Their type is `any`, because it would refuse whole numbers where a
    signature says double, and a truth value that may be missing; the bundle checks what it reads itself.
    """
    schema = codec.schema
    groups = sorted({task.where[0] for task in schema.tasks if task.where is not None})
    needed = dict.fromkeys([*(i.name for i in schema.inputs), *groups])
    inputs = [{"type": "any", "name": name, "required": True} for name in needed]
    if schema.row_id is not None and schema.row_id not in needed:
        inputs.append({"type": "any", "name": schema.row_id, "required": False})
    lines = [
        "flavors:",
        "  python_function:",
        "    loader_module: sharewise.bundle.pyfunc",
        f"    python_version: {platform.python_version()}",
        "  sharewise:",
        f"    version: {json.dumps(sharewise.__version__)}",
        "signature:",
        f"  inputs: {json.dumps(json.dumps(inputs))}",
    ]
    return "\n".join(lines) + "\n"
