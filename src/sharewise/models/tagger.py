"""Tags by a linear model of each word and its neighbours, and the best sequence of them: no net, no download."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import safetensors
import safetensors.numpy
from scipy import sparse

from sharewise import metrics
from sharewise.batch import Inputs
from sharewise.models.alternative import Alternative, Array, GroupData
from sharewise.models.pooled import word_blocks
from sharewise.models.single import CONFIG
from sharewise.models.space import OneOf, Range, Space
from sharewise.models.viterbi import Chain, best_paths
from sharewise.seeds import derive
from sharewise.tasks import Task, TaskKind, TaskSet

_FILE = "weights.safetensors"

SLOT = 1 << 16
"""Codes that a place of a feature has room for."""

LEAST = 2
"""A feature has a weight from so many occurrences in train."""

MOST_FEATURES = 400_000
"""Features that have weights, the most frequent ones."""

TOKENS = 512
"""Tokens of one step."""

EPOCHS, PATIENCE = 12, 1

STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Shares of the tags' own sequence that are tried."""

SENTENCES = 256
"""Sentences that are decoded at once."""


@dataclass(frozen=True)
class Scorer:
    """P(tag | word and neighbours) = softmax(sum over the features f that are there of W_f, plus b).

    `keys` (D,) ascending are the features that have weights (D, C).
    """

    window: int
    keys: Array
    weights: Array
    bias: Array

    def scores(self, cells: Array) -> Array:
        """log P (n, L, C) of all places of sentences (n, L, F), whatever stands where there is no token."""
        rows, known = _looked_up(features(cells, self.window).reshape(cells.shape[0] * cells.shape[1], -1), self.keys)
        linear = np.asarray(_matrix(rows, known, cells.shape[0] * cells.shape[1], len(self.keys)) @ self.weights)
        linear = linear + self.bias
        made = linear - _log_sum(linear)
        return np.asarray(made.reshape(*cells.shape[:2], -1), np.float32)


class Tagger(Alternative):
    """Multinomial logistic regression on hashed windowed features, decoded with the tags' own sequence.

    A token's features are its word, affixes and shape, those of its neighbours up to `window` tokens away (word, last
    three letters, shape), and the two words beside one another (Ratnaparkhi 1996, "A Maximum Entropy Model for
    Part-Of-Speech Tagging", table 1, but for the tags before). Trained by AdaGrad (Duchi, Hazan and Singer 2011, eq. 1)
    on 512 tokens a step until the validation rows' loss rises. Answered is the sequence that maximises
    sum_t log P(y_t | x) + s (log P(y_t | y_{t-1}) - log P(y_t)) (Bourlard and Morgan 1994, a classifier's posteriors
    as scaled likelihoods of a chain), s from five values by the validation rows' metric; tags of spans are whole in it.

    Cost: linear in tokens and tags, some seconds for 100,000 tokens of 50 tags.
    """

    name: ClassVar[str] = "tagger"
    title: ClassVar[str] = "linear tagger of words and their neighbours"
    needs: ClassVar[str] = "a token_tagging task"

    def __init__(self, scorer: Scorer, chain: Chain) -> None:
        self.scorer, self.chain = scorer, chain

    @classmethod
    def groups(cls, tasks: TaskSet) -> list[tuple[str, tuple[str, ...]]]:
        """A model for each tagging task."""
        return [(f"single:{task.name}", (task.name,)) for task in tasks if task.kind is TaskKind.TOKEN_TAGGING]

    @classmethod
    def search_space(cls, trial: int, seed: int) -> dict[str, Any]:
        """Trial 0: two neighbours on each side; later: rate and window at random."""
        if not trial:
            return {"window": 2, "rate": 0.1}
        draw = np.random.default_rng(derive(seed, "tagger", trial))
        return {"window": int(draw.integers(1, 4)), "rate": float(np.exp(draw.uniform(np.log(0.03), np.log(0.3))))}

    @classmethod
    def space(cls) -> Space:
        """Neighbours on each side and the step size."""
        return {"window": OneOf((1, 2, 3)), "rate": Range(0.03, 0.3, "log")}

    @classmethod
    def seconds(cls, rows: int, width: int, outputs: int) -> float:
        """Linear in rows and tags."""
        return 1.0 + rows * outputs * 2e-5

    @classmethod
    def fit_group(cls, tasks: Sequence[Task], data: GroupData, params: Mapping[str, Any], seed: int) -> Self:
        """A model for the one task there is."""
        (task,) = tasks
        values, present = data.values[task.name], data.present[task.name]
        cells = _cells(data.inputs)
        window = int(params["window"])
        parts = [_Tokens.of(cells, values, present, rows) for rows in (data.train, data.validation)]
        if not len(parts[0].tags):
            raise ValueError("A tagger needs a train row with tags; however, there is none.")
        weight = np.asarray(task.class_weights or np.ones(len(task.classes)))
        scorer = _fitted(parts[0], parts[1], cells, weight, window, float(params["rate"]), seed)
        chain = Chain.of(values[data.train], present[data.train], len(task.classes), spans=task.has_spans)
        rows = data.validation[present[data.validation].any(axis=1)]
        made = cls(scorer, chain)
        made.chain = made._strengthened(task, cells[rows], values[rows], present[rows])
        return made

    def _strengthened(self, task: Task, cells: Array, values: Array, present: Array) -> Chain:
        """The chain at the strength that the validation rows like best, the weakest of equals."""
        metric = metrics.metric(task.metric)
        found: list[tuple[float, Chain]] = []
        for strength in STRENGTHS:
            chain = self.chain.at(strength)
            made = _answered(self.scorer, chain, cells)[..., 0]
            width = values.shape[1]
            answer = np.full((len(made), width), -1.0, np.float32)
            answer[:, : made.shape[1]] = made[:, :width]
            score = metric.score(values, present, answer)
            found.append((-np.inf if score is None else score, chain))
        return max(found, key=lambda item: item[0])[1]

    def predict_task(self, inputs: Inputs[Array], task: str) -> Array:
        """Tag codes (N, L), -1 where there is no token."""
        return _answered(self.scorer, self.chain, _cells(inputs))[..., 0]

    def answer_task(self, inputs: Inputs[Array], task: str) -> Array:
        """Codes and P(tag | word and neighbours) of what is answered, (N, L, 2)."""
        return _answered(self.scorer, self.chain, _cells(inputs))

    def to_files(self) -> dict[str, bytes]:
        """`model.json` and all arrays in `weights.safetensors`."""
        config = {"kind": self.name, "window": self.scorer.window}
        # They were rounded when they were fitted: half the bytes hold all there is.
        weights = self.scorer.weights.astype(np.float16)
        arrays = {"keys": self.scorer.keys, "weights": weights, "bias": self.scorer.bias}
        arrays |= {"start": self.chain.start, "step": self.chain.step}
        files = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        return {CONFIG: json.dumps(config, indent=1).encode() + b"\n", _FILE: safetensors.numpy.save(files)}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        """The model that `to_files` wrote; raises ValueError where the files do not hold one."""
        try:
            config, arrays = json.loads(files[CONFIG]), safetensors.numpy.load(files[_FILE])
            scorer = Scorer(int(config["window"]), arrays["keys"], arrays["weights"].astype(np.float32), arrays["bias"])
            return cls(scorer, Chain(arrays["start"], arrays["step"]))
        except (safetensors.SafetensorError, KeyError, TypeError) as error:
            raise ValueError(f"the files do not hold a tagger: {error}") from error


# --- features -------------------------------------------------------------------------------------------------


def features(cells: Array, window: int) -> Array:
    """Feature numbers (n, L, K) int64 of sentences' codes (n, L, 8): place times 65,536 plus code, -1 for none.

    Codes are those of `sharewise.tables.tokens`: word, then hashed word, prefixes of 2 and 3, suffixes of 2, 3 and 4,
    shape.
    """
    n, length, _ = cells.shape
    wide = np.zeros((n, length + 2 * window, cells.shape[2]), np.int64)
    wide[:, window : window + length] = cells
    place, made = 0, []
    for offset in range(-window, window + 1):
        beside = wide[:, window + offset : window + offset + length]
        # Before the first and after the last token stands code 0, which says so.
        for code in range(cells.shape[2]) if not offset else (1, 5, 7):
            made.append(place * SLOT + beside[..., code])
            place += 1
    here, before, after = (wide[:, window + o : window + o + length, 1] for o in (0, -1, 1))
    for one, other in ((before, here), (here, after), (before, after)):
        made.append(place * SLOT + (one * 40_503 + other * 30_011) % SLOT)
        place += 1
    return np.stack(made, axis=-1)


def _cells(inputs: Inputs[Array]) -> Array:
    names = word_blocks(inputs.blocks)
    if len(names) != 1:
        raise ValueError(f"A tagger reads one input of words; however, there are {len(names)}.")
    return np.asarray(inputs[names[0]])


def _looked_up(found: Array, keys: Array) -> tuple[Array, Array]:
    """Rows and positions in `keys` of those features (n, K) that are among them."""
    at = np.searchsorted(keys, found)
    at[at == len(keys)] = 0
    hit = (keys[at] == found) if len(keys) else np.zeros_like(found, bool)
    return np.nonzero(hit)[0], at[hit]


def _matrix(rows: Array, columns: Array, n: int, width: int) -> sparse.csr_matrix:
    ends = np.searchsorted(rows, np.arange(n + 1))
    return sparse.csr_matrix((np.ones(len(columns), np.float32), columns, ends), shape=(n, width))


def _log_sum(linear: Array) -> Array:
    top = linear.max(axis=-1, keepdims=True)
    return np.asarray(top + np.log(np.exp(linear - top).sum(axis=-1, keepdims=True)))


# --- training -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Tokens:
    """Tagged tokens of some rows, one after the other: row, place and tag."""

    rows: Array
    places: Array
    tags: Array

    @classmethod
    def of(cls, cells: Array, values: Array, present: Array, rows: Array) -> _Tokens:
        width = min(cells.shape[1], values.shape[1])
        at, places = np.nonzero(present[rows][:, :width] & (cells[rows, :width, 0] != 0))
        return cls(rows[at], places, values[rows[at], places].astype(np.int64))


def _of_tokens(tokens: _Tokens, cells: Array, window: int) -> Array:
    """Features (n, K) of tagged tokens, sentence by sentence."""
    used, place = np.unique(tokens.rows, return_inverse=True)
    made = []
    order = np.argsort(place, kind="stable")
    for start in range(0, len(used), 4096):
        some = order[(place[order] >= start) & (place[order] < start + 4096)]
        whole = features(cells[used[start : start + 4096]], window)
        made.append((some, whole[place[some] - start, tokens.places[some]]))
    out = np.empty((len(tokens.rows), made[0][1].shape[1]), np.int64) if made else np.empty((0, 1), np.int64)
    for some, found in made:
        out[some] = found
    return out


def _fitted(
    train: _Tokens, validation: _Tokens, cells: Array, weight: Array, window: int, rate: float, seed: int
) -> Scorer:
    found = _of_tokens(train, cells, window)
    keys, counts = np.unique(found, return_counts=True)
    floor = max(LEAST, int(np.sort(counts)[-MOST_FEATURES]) if len(counts) > MOST_FEATURES else 0)
    keys = keys[counts >= floor]
    x = _matrix(*_looked_up(found, keys), len(found), len(keys))
    held = _of_tokens(validation, cells, window)
    x_held = _matrix(*_looked_up(held, keys), len(held), len(keys))
    n_tags = len(weight)
    state = _State(np.zeros((len(keys), n_tags), np.float32), _log_shares(train.tags, n_tags))
    best, waited, draw = (np.inf, state.copy()), 0, np.random.default_rng(derive(seed, "tagger"))
    for epoch in range(EPOCHS):
        order = draw.permutation(len(train.tags))
        for start in range(0, len(order), TOKENS):
            some = order[start : start + TOKENS]
            state.step(x[some], train.tags[some], weight, rate)
        # Without rows to stop by the last pass is taken.
        loss = state.loss(x_held, validation.tags, weight) if len(validation.tags) else -float(epoch)
        if loss < best[0]:
            best, waited = (loss, state.copy()), 0
        else:
            waited += 1
            if waited > PATIENCE:
                break
    weights, bias = best[1]
    # What is judged is what is stored.
    return Scorer(window, keys, weights.astype(np.float16).astype(np.float32), bias)


class _State:
    """Weights and what AdaGrad remembers of each."""

    def __init__(self, weights: Array, bias: Array) -> None:
        self.weights, self.bias = weights, bias
        self._squares = np.zeros_like(weights)
        self._bias_squares = np.zeros_like(bias)

    def copy(self) -> tuple[Array, Array]:
        return self.weights.copy(), self.bias.copy()

    def step(self, x: sparse.csr_matrix, tags: Array, weight: Array, rate: float) -> None:
        """One step on some tokens: only the weights of their features move."""
        used, column = np.unique(x.indices, return_inverse=True)
        near = sparse.csr_matrix((x.data, column, x.indptr), shape=(x.shape[0], len(used)))
        mine = self.weights[used]
        residual = self._residual(np.asarray(near @ mine) + self.bias, tags, weight)
        slope = np.asarray(near.T @ residual)
        squares = self._squares[used] + slope * slope
        self._squares[used] = squares
        self.weights[used] = mine - rate * slope / (np.sqrt(squares) + 1e-6)
        slope = residual.sum(axis=0)
        self._bias_squares += slope * slope
        self.bias = self.bias - rate * slope / (np.sqrt(self._bias_squares) + 1e-6)

    @staticmethod
    def _residual(linear: Array, tags: Array, weight: Array) -> Array:
        made = np.exp(linear - _log_sum(linear))
        made[np.arange(len(tags)), tags] -= 1.0
        made *= weight[tags][:, None]
        return np.asarray(made, np.float32)

    def loss(self, x: sparse.csr_matrix, tags: Array, weight: Array) -> float:
        """Mean weighted -log P(tag)."""
        linear = np.asarray(x @ self.weights) + self.bias
        cells = _log_sum(linear)[:, 0] - linear[np.arange(len(tags)), tags]
        return float(np.average(cells, weights=weight[tags]))


def _log_shares(tags: Array, n_tags: int) -> Array:
    counts = np.bincount(tags, minlength=n_tags) + 0.1
    return np.asarray(np.log(counts / counts.sum()), np.float32)


def _answered(scorer: Scorer, chain: Chain, cells: Array) -> Array:
    """Tag codes, -1 where there is no token, and their probabilities (N, L, 2); sentences of like length are decoded
    together."""
    lengths = (cells[..., 0] != 0).sum(axis=1)
    out = np.zeros((*cells.shape[:2], 2), np.float32)
    out[..., 0] = -1.0
    order = np.argsort(lengths, kind="stable")
    order = order[lengths[order] > 0]
    for start in range(0, len(order), SENTENCES):
        rows = order[start : start + SENTENCES]
        longest = int(lengths[rows].max())
        scores = scorer.scores(cells[rows, :longest])
        found = best_paths(scores, lengths[rows], chain)
        sure = np.exp(np.take_along_axis(scores, found[..., None], axis=2)[..., 0])
        there = np.arange(longest) < lengths[rows][:, None]
        out[rows, :longest, 0] = np.where(there, found, -1)
        out[rows, :longest, 1] = sure * there
    return out
