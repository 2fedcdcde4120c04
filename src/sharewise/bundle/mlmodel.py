"""`MLmodel`: what MLflow needs to load a bundle as a python function, written by hand so that it is not needed here."""

from __future__ import annotations

import json
from typing import Any

import sharewise
from sharewise.tables.codec import Codec
from sharewise.tables.schema import InputKind

_TYPES = {
    InputKind.NUMERIC: "double",
    InputKind.CATEGORICAL: "string",
    InputKind.BOOLEAN: "boolean",
    InputKind.DATETIME: "datetime",
    InputKind.TEXT: "string",
}


def mlmodel(codec: Codec) -> str:
    """The text of `MLmodel`: YAML with the loader module and the signature (MLflow's model signature, as JSON)."""
    inputs = [_column(i.name, i.kind) for i in codec.schema.inputs]
    groups = sorted({task.where[0] for task in codec.schema.tasks if task.where is not None})
    inputs += [
        {"type": "any", "name": name, "required": True} for name in groups if name not in {i["name"] for i in inputs}
    ]
    lines = [
        "flavors:",
        "  python_function:",
        "    loader_module: sharewise.bundle.pyfunc",
        "  sharewise:",
        f"    version: {json.dumps(sharewise.__version__)}",
        "signature:",
        f"  inputs: {json.dumps(json.dumps(inputs))}",
    ]
    return "\n".join(lines) + "\n"


def _column(name: str, kind: InputKind) -> dict[str, Any]:
    if kind is InputKind.EMBEDDING:
        return {"type": "any", "name": name, "required": True}
    return {"type": _TYPES.get(kind, "any"), "name": name, "required": True}
