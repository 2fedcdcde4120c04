"""Networks of a few units, made from a configuration and saved as safetensors, for tests that cannot reach a hub."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch

WORDS = ["sun", "rain", "wind", "snow", "hot", "cold", "day", "night"]


def tiny_bert(where: Path, *, positions: int = 12, pieces: Sequence[str] = (), layers: int = 2) -> str:
    """A BERT of 16 units that knows `WORDS`, and `pieces` of words behind them; its folder."""
    from transformers import BertConfig, BertModel, BertTokenizerFast

    torch.manual_seed(0)
    where.mkdir(parents=True, exist_ok=True)
    known = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS, *pieces]
    (where / "vocab.txt").write_text("\n".join(known) + "\n")
    BertTokenizerFast(str(where / "vocab.txt")).save_pretrained(where)
    config = BertConfig(
        vocab_size=len(known),
        hidden_size=16,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=positions,
    )
    BertModel(config).save_pretrained(where)
    return str(where)


def tiny_roberta(where: Path, texts: Sequence[str], *, positions: int = 64) -> str:
    """A RoBERTa of 16 units whose byte-level sub-words were learnt from `texts`; its folder."""
    from tokenizers import ByteLevelBPETokenizer
    from transformers import RobertaConfig, RobertaModel, RobertaTokenizerFast

    torch.manual_seed(0)
    where.mkdir(parents=True, exist_ok=True)
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    learnt = ByteLevelBPETokenizer()
    learnt.train_from_iterator(texts, vocab_size=300, special_tokens=special, show_progress=False)
    learnt.save_model(str(where))
    RobertaTokenizerFast(str(where / "vocab.json"), str(where / "merges.txt")).save_pretrained(where)
    config = RobertaConfig(
        vocab_size=300,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=positions,
        pad_token_id=1,
    )
    RobertaModel(config).save_pretrained(where)
    return str(where)


def tiny_vision(where: Path, kind: str, *, layers: int = 1) -> Path:
    """A "vit" that reads 16 x 16 pixels and says how it wants them, or a "resnet" that says nothing; its folder."""
    import transformers

    torch.manual_seed(0)
    where.mkdir(parents=True, exist_ok=True)
    if kind == "resnet":
        sizes = {"hidden_sizes": [8, 12], "depths": [1, layers]}
        config = transformers.ResNetConfig(embedding_size=8, layer_type="basic", **sizes)
        transformers.ResNetModel(config).save_pretrained(where)
        return where
    config = transformers.ViTConfig(
        hidden_size=16,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=16,
        patch_size=8,
    )
    transformers.ViTModel(config).save_pretrained(where)
    said = {"image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.2, 0.2]}
    (where / "preprocessor_config.json").write_text(json.dumps(said))
    return where
