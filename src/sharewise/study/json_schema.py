"""JSON Schema of the study file, for editors: typed sections, their short forms, every catalogue's parameters."""

from __future__ import annotations

from typing import Any

from sharewise import metrics
from sharewise.balance import choose, unequal
from sharewise.catalogue import Parameter
from sharewise.models.alternatives import CATALOGUE as ALTERNATIVES
from sharewise.study import balancing
from sharewise.study.choices import AGGREGATOR, ARCHITECTURE, READING, SAMPLER, SCALING, WEIGHTING, Family
from sharewise.study.file import StudyFile
from sharewise.tables.schema import InputKind

JSON_TYPES = {
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "str": "string",
    "None": "null",
    "dict[str, int]": "object",
    "Mapping[str, int]": "object",
    "Mapping[str, float]": "object",
}
SHORT_FORMS = {
    "DataSection": "string",
    "SplitSection": "string",
    "TaskSection": "string",
    "BudgetSection": "string",
    "TuningSection": "string",
    "SearchSection": "string",
}


def json_schema() -> dict[str, Any]:
    """The schema as plain data; it accepts whatever `StudyFile` accepts as far as JSON Schema can say it."""
    schema = _stripped(StudyFile.model_json_schema())
    definitions = schema["$defs"]
    definitions.pop("Choice", None)
    for family in (ARCHITECTURE, WEIGHTING, AGGREGATOR, SCALING, SAMPLER, READING):
        definitions[family.key] = _family(family)
    schema["properties"]["architecture"] = _ref("architecture")
    definitions["CandidateSection"]["properties"]["architecture"] = _ref("architecture")
    several = {"type": "array", "minItems": 1, "items": _ref("encoder")}
    definitions["InputSection"]["properties"]["encoder"] = {"anyOf": [_ref("encoder"), several]}
    for key in ("text", "image", "tokens"):
        definitions["EncodersSection"]["properties"][key] = _ref("encoder")
    balance = definitions["BalanceSection"]["properties"]
    for key in ("weighting", "aggregator", "scaling", "sampler"):
        balance[key] = _ref(key)
    for key in unequal.CATALOGUE:
        parameters = {p.name: _parameter(p) for p in unequal.CATALOGUE.parameters(key)}
        form = {"type": "object", "properties": parameters, "additionalProperties": False}
        short = list(balancing.SHORT.get(key, ()))
        balance[key] = {"anyOf": [form, {"enum": [*short, False] if True in short else short}]} if short else form
    methods = {"enum": list(choose.names())}
    schema["properties"]["balance"] = {"anyOf": [methods, _ref("BalanceSection")]}
    definitions["CandidateSection"]["properties"]["balance"] = {"anyOf": [methods, _ref("BalanceSection")]}
    pairs = {"type": "array", "items": {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2}}
    schema["properties"]["transfer"] = {"anyOf": [{"enum": ["auto", "off", False]}, pairs, _ref("TransferSection")]}
    schema["properties"]["alternatives"]["items"] = {"enum": list(ALTERNATIVES)}
    definitions["TaskSection"]["properties"]["metric"] = {"enum": list(metrics.CATALOGUE)}
    parents = [{"type": "string"}, _ref("ParentSection"), {"type": "null"}]
    definitions["TaskSection"]["properties"]["parent"]["anyOf"] = parents
    kinds = {"enum": [*(k.value for k in InputKind), None]}
    named = {"type": "array", "minItems": 1, "items": {"anyOf": [{"type": "string"}, _ref("InputSection")]}}
    unnamed = {**definitions["InputSection"], "required": []}
    by_name = {"type": "object", "minProperties": 1, "additionalProperties": {"anyOf": [kinds, unnamed]}}
    schema["properties"]["inputs"] = {
        "description": "Column to kind, or a list; inferred where left out.",
        "anyOf": [by_name, named],
    }
    schema["properties"]["tasks"] = {
        "type": "array",
        "minItems": 1,
        "items": {"anyOf": [{"type": "string"}, _ref("TaskSection")]},
    }
    schema["properties"]["data"] = {"anyOf": [{"type": "string"}, _ref("DataSection")]}
    schema["properties"]["split"] = {"anyOf": [{"enum": ["auto", "random", "group", "time"]}, _ref("SplitSection")]}
    schema["properties"]["budget"] = {"anyOf": [{"enum": ["quick", "standard", "thorough"]}, _ref("BudgetSection")]}
    schema["properties"]["tuning"] = {"anyOf": [{"enum": ["random", "tpe", "cmaes", "qmc"]}, _ref("TuningSection")]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Sharewise study", **schema}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/$defs/{name}"}


def _family(family: Family) -> dict[str, Any]:
    """A name, or a mapping with a name and that sibling's parameters."""
    names = list(family.catalogue())
    forms: list[dict[str, Any]] = [{"enum": names}]
    for name in names:
        parameters = family.parameters(name)
        forms.append(
            {
                "type": "object",
                "properties": {"name": {"const": name}, **{p.name: _parameter(p) for p in parameters}},
                "required": ["name", *(p.name for p in parameters if p.required)],
                "additionalProperties": False,
            }
        )
    return {"anyOf": forms}


def _parameter(parameter: Parameter) -> dict[str, Any]:
    words = [w.strip() for w in parameter.annotation.split("|")]
    made: dict[str, Any] = {}
    if words and all(w in JSON_TYPES for w in words):
        kinds = [JSON_TYPES[w] for w in words]
        made["type"] = kinds[0] if len(kinds) == 1 else kinds
    if not parameter.required:
        made["default"] = list(parameter.default) if isinstance(parameter.default, tuple) else parameter.default
    return made


def _stripped(node: Any) -> Any:
    """Without the titles and the docstrings' line breaks that pydantic adds to everything."""
    if isinstance(node, dict):
        return {
            key: " ".join(value.split()) if key == "description" and isinstance(value, str) else _stripped(value)
            for key, value in node.items()
            if not (key == "title" and isinstance(value, str))
        }
    if isinstance(node, list):
        return [_stripped(item) for item in node]
    return node
