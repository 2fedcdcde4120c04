"""Texts: features a second beside the bare transformer, a cached second run, and a million texts in little memory.

python benchmarks/texts.py                   # speed and cache, on the embedded model; a few minutes
python benchmarks/texts.py --epochs 5        # frozen features against reading the texts anew in every epoch
python benchmarks/texts.py --million         # memory: a million texts through a tiny transformer and a study
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from sharewise.models.backbones import text
from sharewise.tables.texts import locate
from sharewise.tables.texts.transformer import Transformer

WORDS = ["sun", "rain", "wind", "snow", "hot", "cold", "day", "night", "fine", "grey", "storm", "calm"]


def quiet(n: int) -> None:
    """Nobody watches."""


def said(n: int, seed: int = 0) -> list[str]:
    """Distinct texts of 4 to 40 words."""
    draw = np.random.default_rng(seed)
    sizes = draw.integers(4, 40, n)
    return [f"{i} " + " ".join(draw.choice(WORDS, size)) for i, size in enumerate(sizes)]


def bare(folder: str, texts: list[str]) -> float:
    """Seconds of tokenizer and model alone, as one would write it by hand: sorted by length, 64 at a time."""
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder).eval()
    started = time.perf_counter()
    ordered = sorted(texts, key=len, reverse=True)
    with torch.no_grad():
        for at in range(0, len(ordered), 64):
            coded = tokenizer(ordered[at : at + 64], padding=True, truncation=True, max_length=256, return_tensors="pt")
            states = model(**coded).last_hidden_state
            mask = coded["attention_mask"].unsqueeze(-1)
            _ = (states * mask).sum(1) / mask.sum(1)
    return time.perf_counter() - started


def speed(n: int, rounds: int) -> None:
    """Texts a second of both, interleaved; the ratio of the medians; then the cached run."""
    folder = str(locate.embedded())
    encoder = Transformer(folder).fit("t", [("t", pa.chunked_array([pa.array(["a"])]))], np.arange(1))
    text.load(encoder.model, encoder.digest)
    ours, theirs = [], []
    for seed in range(rounds):
        texts = said(n, seed)
        theirs.append(bare(folder, texts))
        started = time.perf_counter()
        text.read(encoder, [pa.chunked_array([pa.array(texts)])], None, quiet)
        ours.append(time.perf_counter() - started)
    mine, others = n / np.median(ours), n / np.median(theirs)
    print(f"texts a second: {mine:.0f} here, {others:.0f} bare; ratio {mine / others:.2f} ({rounds} rounds of {n})")
    with tempfile.TemporaryDirectory() as cache:
        column = pa.chunked_array([pa.array(said(n))])
        seconds = []
        for _ in range(2):
            started = time.perf_counter()
            text.read(encoder, [column], Path(cache), quiet)
            seconds.append(time.perf_counter() - started)
    print(
        f"cached second run: {seconds[1]:.2f} s instead of {seconds[0]:.2f} s, {seconds[0] / seconds[1]:.0f} times faster"
    )


def again(n: int, epochs: int) -> None:
    """Processor time of `epochs` epochs of a net on features that are computed once, and in every epoch."""
    from sharewise.batch import Inputs, Targets
    from sharewise.models.build import GroupModel, slots_of
    from sharewise.plan import Choice
    from sharewise.tasks import Task, TaskKind, TaskSet
    from sharewise.training.cohort import Cohort
    from sharewise.training.data import TrainingData
    from sharewise.training.recipe import Recipe, Tuned
    from sharewise.training.results import Member

    encoder = Transformer(str(locate.embedded())).fit("t", [("t", pa.chunked_array([pa.array(["a"])]))], np.arange(1))
    text.load(encoder.model, encoder.digest)
    texts = said(n)
    started, reading = time.process_time(), []
    for _ in range(epochs):
        features = text.read(encoder, [pa.chunked_array([pa.array(texts)])], None, quiet)
        reading.append(time.process_time() - started)
        started = time.process_time()
    tasks = TaskSet(tuple(Task(name, TaskKind.REGRESSION, (name,), "rmse") for name in ("words", "letters")))
    y = np.array([[len(t.split()), len(t)] for t in texts], np.float32)
    y = (y - y.mean(0)) / y.std(0)
    parts = {"train": np.arange(n), "validation": np.arange(n)}
    targets = Targets(y, np.ones_like(y, bool), (slice(0, 1), slice(1, 2)))
    data = TrainingData.of(tasks, Inputs({"text:t": features}), targets, parts)
    net = GroupModel(
        {"name": "vectors", "block": "text:t", "n_in": encoder.size}, Choice("hard"), slots_of(tasks.tasks)
    )
    member = Member("m", (0, 1), 0, Tuned(lr=1e-3, weight_decay=0.0, dropout=0.0))
    started = time.process_time()
    Cohort([member], net, data, Recipe(epochs=epochs, min_steps=1, batch_size=64, patience=epochs)).fit(())
    training = time.process_time() - started
    once, every = reading[0] + training, sum(reading) + training
    print(
        f"{epochs} epochs of {n} texts, processor seconds: {once:.1f} with features computed once, {every:.1f} reading "
        f"them in every epoch, ratio {every / once:.2f} (training itself {training:.2f})"
    )


def tiny(folder: Path, width: int = 384) -> str:
    """A transformer of one layer whose features are as wide as a real one's."""
    from transformers import BertConfig, BertModel, BertTokenizerFast

    letters = [*map(str, range(10)), *(f"##{i}" for i in range(10))]
    (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS, *letters]) + "\n")
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    config: dict[str, Any] = {"hidden_size": width, "num_hidden_layers": 1, "num_attention_heads": 4}
    BertModel(BertConfig(vocab_size=64, intermediate_size=64, max_position_embeddings=16, **config)).save_pretrained(
        folder
    )
    return str(folder)


def million(n: int) -> None:
    """Features of `n` distinct texts to disk, then a study on them; the most memory that this process ever held."""
    from sharewise.study import Study

    draw = np.random.default_rng(0)
    words = draw.integers(0, len(WORDS), (n, 2))
    texts = pa.array([f"{i} {WORDS[a]} {WORDS[b]}" for i, (a, b) in enumerate(words)])
    table = pa.table({"t": texts, "first": (words[:, 0] < 6).astype(np.int8), "both": words.sum(1).astype(np.float32)})
    del texts, words
    with tempfile.TemporaryDirectory() as folder:
        model = tiny(Path(folder))
        how = {"name": "transformer", "model": model, "max_tokens": 12}
        study = Study(
            table,
            tasks=[{"name": "first", "kind": "binary"}, {"name": "both", "kind": "regression"}],
            inputs=[{"name": "t", "kind": "text", "encoder": how}],
            budget={"level": "quick", "trials": 1, "seeds": 2, "epochs": 1},
        )
        started = time.perf_counter()
        study.run(Path(folder) / "run", workers=1, log=print)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(f"{n:,} texts: study in {time.perf_counter() - started:.0f} s, at most {peak:.2f} GB resident")


def main() -> None:
    """Print one line a measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--million", action="store_true")
    parser.add_argument("--epochs", type=int, default=0)
    parser.add_argument("--n", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    if asked.million:
        million(asked.n or 1_000_000)
    elif asked.epochs:
        again(asked.n or 128, asked.epochs)
    else:
        speed(asked.n or 512, asked.rounds)


if __name__ == "__main__":
    main()
