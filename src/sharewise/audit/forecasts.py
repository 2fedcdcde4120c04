"""Out-of-fold predictions of one label column from the inputs: what a model that never saw a row says about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sharewise.audit.columns import Floats, is_list, is_number, is_text, raw_bytes
from sharewise.audit.result import Rows
from sharewise.audit.view import AuditView, Labels
from sharewise.tables.schema import InputKind

MAX_FIT_ROWS = 20_000
"""Rows that one model is fitted on; more change a boosted model's skill little and its cost in proportion."""
MAX_PRESENCE_ROWS = 10_000
"""Rows that answer whether presence can be predicted: the ROC-AUC is then known to 0.01."""
ROUNDS = 60
MAX_WIDTH = 64
"""Numbers of an embedding that trees read as they are; wider ones are projected to half as many first."""
MAX_BINNED_ROWS = 200_000
TEXT_WIDTH = 1 << 18


@dataclass(frozen=True)
class Forecast:
    """Out-of-fold answers for `rows`: (n, C) class probabilities, or (n, 1) numbers. Every row is predicted by a
    model that saw neither it nor a row with equal inputs (or of its entity)."""

    rows: Rows
    values: npt.NDArray[np.float32]


def forecast(view: AuditView, labels: Labels) -> Forecast | None:
    """Out-of-fold predictions for the labelled rows of a label column; None where it has too few labels, one class
    or no inputs.

    Boosted trees (LightGBM, 60 rounds, fitted on at most 20,000 rows a fold) for numbers, categories, embeddings and
    pictures; TF-IDF of words and pairs with a linear model where all inputs are texts. Folds: 2 above 20,000 rows,
    else 4. Remembered in the view.
    """
    return view.once("forecast", labels.task, labels.column, make=lambda: _forecast(view, labels))


def presence_forecast(view: AuditView, name: str, present: npt.NDArray[np.bool_]) -> Forecast | None:
    """The same for whether a task is labelled, on a sample and in two folds."""
    from sharewise.tasks import TaskKind

    everyone = np.ones(view.n_rows, dtype=bool)
    labels = Labels(name, f"{name} is labelled", TaskKind.BINARY, present.astype(np.float64), everyone, (0, 1))
    return _forecast(view, labels, sample=view.sample[:: -(-len(view.sample) // MAX_PRESENCE_ROWS)])


def _forecast(view: AuditView, labels: Labels, sample: Rows | None = None) -> Forecast | None:
    rows = np.flatnonzero(labels.present & (labels.values >= 0)) if labels.is_class else np.flatnonzero(labels.present)
    if sample is not None:
        rows = sample[labels.present[sample]]
    if len(rows) < 50 or len(np.unique(labels.values[rows])) < 2 or not view.input_names:
        return None
    n_folds = 2 if len(rows) > 20_000 or sample is not None else 4
    folds = view.folds[rows] % n_folds
    if len(np.unique(folds)) < n_folds:
        return None  # too few different inputs
    width = len(labels.classes) if labels.is_class else 1
    out = np.zeros((len(rows), width), dtype=np.float32)
    space = view.once("space", make=lambda: _space(view))
    for fold in range(n_folds):
        train, held = rows[(folds != fold) & space.trainable[rows]], folds == fold
        most = MAX_FIT_ROWS if width <= 5 else MAX_FIT_ROWS // 2  # a tree for each class and round
        if len(train) > most:
            keep = view.rng("fit", labels.task, labels.column, str(fold)).choice(len(train), most, replace=False)
            train = train[np.sort(keep)]
        out[held] = space.fit_predict(train, labels.values[train], width, rows[held])
    return Forecast(rows, out)


class _Trees:
    """Boosted trees on dense inputs; the bins are made once for all labels and folds."""

    def __init__(self, matrix: npt.NDArray[np.float32], categorical: list[int], seed: int) -> None:
        import lightgbm

        self.matrix = matrix
        self.seed = seed
        params = {"max_bin": 63, "min_data_in_leaf": 10, "verbosity": -1, "feature_pre_filter": False}
        params |= {"max_cat_to_onehot": 8, "num_threads": 1}
        # Binned once, at most MAX_BINNED_ROWS rows (every n-th); every fit takes a subset of those.
        step = max(1, len(matrix) // MAX_BINNED_ROWS)
        self.trainable = np.arange(len(matrix)) % step == 0
        self.step = step
        self.binned = lightgbm.Dataset(
            matrix[::step], np.zeros(len(matrix[::step])), categorical_feature=categorical or "auto", params=params
        )
        self.binned.construct()

    def fit_predict(self, train: Rows, y: Floats, width: int, asked: Rows) -> npt.NDArray[np.float32]:
        import lightgbm

        classes = np.unique(y) if width > 1 else y[:0]
        params: dict[str, Any] = {
            # The wrong labels that are looked for must not pull the model that looks: absolute, not squared, errors.
            "objective": "regression_l1" if width == 1 else "binary" if len(classes) == 2 else "multiclass",
            "learning_rate": 0.1, "num_leaves": 31 if len(train) > 2000 else 7, "min_data_in_leaf": 10,
            "feature_fraction": min(1.0, max(0.1, 50 / self.matrix.shape[1])), "max_bin": 63,
            "seed": self.seed % (1 << 31),
            "deterministic": True, "force_row_wise": True, "num_threads": 1, "verbosity": -1,
            "feature_pre_filter": False, "lambda_l2": 1.0, "max_cat_to_onehot": 8,
        }  # fmt: skip
        if len(classes) == 1:
            return _one_class(classes, width, len(asked))
        target = np.searchsorted(classes, y) if width > 1 else y
        rounds = ROUNDS if len(classes) <= 2 else max(20, ROUNDS // 2)
        if len(classes) > 2:
            params["num_class"] = len(classes)
        # A label that is set before construction is overwritten by the parent's.
        data = self.binned.subset((train // self.step).tolist(), params=params).construct().set_label(target)
        model = lightgbm.train(params, data, rounds)
        said = np.concatenate([model.predict(self.matrix[part], num_threads=2) for part in _blocks(asked)])
        return _spread(said.astype(np.float32), classes, width)


class _Words:
    """A linear model on TF-IDF of words and pairs of words."""

    def __init__(self, texts: list[str], seed: int) -> None:
        from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer

        self.trainable = np.ones(len(texts), dtype=bool)
        # One-letter words count (names of classes, chemistry); case does not.
        counts = HashingVectorizer(
            n_features=TEXT_WIDTH, ngram_range=(1, 2), alternate_sign=False, norm=None, token_pattern=r"\w+|[^\w\s]"
        ).transform(texts)
        self.matrix = TfidfTransformer(sublinear_tf=True).fit_transform(counts).tocsr()
        self.seed = seed

    def fit_predict(self, train: Rows, y: Floats, width: int, asked: Rows) -> npt.NDArray[np.float32]:
        from sklearn.linear_model import LogisticRegression, Ridge

        if width == 1:
            model = Ridge(alpha=2.0, solver="lsqr").fit(self.matrix[train], y)
            return np.asarray(model.predict(self.matrix[asked]), dtype=np.float32)[:, None]
        classes = np.unique(y)
        if len(classes) == 1:
            return _one_class(classes, width, len(asked))
        if len(classes) == 2:
            model = LogisticRegression(C=3.0, solver="liblinear", random_state=self.seed % (1 << 31), max_iter=50)
        else:
            model = LogisticRegression(C=3.0, solver="lbfgs", max_iter=60, tol=1e-2)
        said = model.fit(self.matrix[train], y).predict_proba(self.matrix[asked])
        return _spread(np.asarray(said, dtype=np.float32), classes, width)


def _one_class(classes: Floats, width: int, n: int) -> npt.NDArray[np.float32]:
    return _spread(np.ones((n, 1), dtype=np.float32), classes, width)


def _spread(said: npt.NDArray[np.float32], classes: Floats, width: int) -> npt.NDArray[np.float32]:
    """Probabilities of the classes that the training rows have, in the columns of all classes."""
    if width == 1:
        return said.reshape(-1, 1)
    if said.ndim == 1:
        said = np.stack([1 - said, said], axis=1)
    out = np.zeros((len(said), width), dtype=np.float32)
    out[:, classes.astype(np.int64)] = said
    return out


def _blocks(rows: Rows, size: int = 100_000) -> list[Rows]:
    return [rows[i : i + size] for i in range(0, len(rows), size)]


def _space(view: AuditView) -> _Trees | _Words:
    from sharewise.seeds import derive

    seed = derive(view.seed, "audit", "forecast")
    texts = [n for n in view.input_names if view.kind(n) in (InputKind.TEXT, InputKind.TOKENS)]
    if len(texts) == len(view.input_names):
        return _Words(_joined(view, texts), seed)
    columns: list[npt.NDArray[np.float32]] = []
    categorical: list[int] = []
    for name in view.input_names:
        block = _dense(view, name)
        if block is None:
            continue
        if not view.is_wide(name) and not view.is_numeric(name):
            categorical.append(sum(c.shape[1] for c in columns))
        columns.append(block)
    matrix = np.concatenate(columns, axis=1) if columns else np.zeros((view.n_rows, 1), np.float32)
    return _Trees(matrix, categorical, seed)


def _joined(view: AuditView, names: list[str]) -> list[str]:
    cells = []
    for name in names:
        column = view.arrow.column(name)
        if is_list(column.type):
            column = pc.binary_join(column.cast(pa.list_(pa.string())), " ")
        cells.append(pc.fill_null(column.cast(pa.string()), "").to_pylist())
    return [" | ".join(row) for row in zip(*cells, strict=True)]


def _dense(view: AuditView, name: str) -> npt.NDArray[np.float32] | None:
    kind = view.arrow.schema.field(name).type
    if not view.is_wide(name):
        if view.is_numeric(name):
            return view.numbers(name).astype(np.float32)[:, None]
        codes, levels = view.codes(name)
        if len(levels) > 1000:
            return None
        return np.where(codes < 0, np.nan, codes).astype(np.float32)[:, None]
    if is_list(kind) and is_number(kind.value_type):
        return _narrowed(view, view.vectors(name), name)
    if pa.types.is_fixed_size_binary(kind):
        return coarse_pictures(view, name)
    return None if is_text(kind) or is_list(kind) else np.zeros((view.n_rows, 1), np.float32)


def _narrowed(view: AuditView, vectors: npt.NDArray[np.float32], name: str) -> npt.NDArray[np.float32]:
    """At most 32 leading directions of wide vectors (randomised range finder, Halko, Martinsson and Tropp 2011)."""
    if vectors.shape[1] <= MAX_WIDTH:
        return vectors
    some = np.nan_to_num(vectors[:: max(1, len(vectors) // 5000)])
    centre = some.mean(0)
    sketch = view.rng("narrow", name).normal(size=(len(some), MAX_WIDTH)).astype(np.float32)
    basis, _ = np.linalg.qr((some - centre).T @ sketch)
    rotated = (some - centre) @ basis
    _, _, directions = np.linalg.svd(rotated, full_matrices=False)
    axes = (basis @ directions[: MAX_WIDTH // 2].T).astype(np.float32)
    parts = [np.nan_to_num(vectors[i : i + 65536]) - centre for i in range(0, len(vectors), 65536)]
    return np.concatenate([part @ axes for part in parts]).astype(np.float32)


def coarse_pictures(view: AuditView, name: str, size: int = 12) -> npt.NDArray[np.float32]:
    """(N, size^2) mean brightness of the cells of a grid over square pictures of one byte a pixel, or of three (colours
    stand last); (N, bytes) as they are where the width is neither."""
    column = view.arrow.column(name)
    width = column.type.byte_width
    channels = 3 if round((width / 3) ** 0.5) ** 2 * 3 == width else 1
    side = round((width / channels) ** 0.5)
    edges = np.unique(np.linspace(0, side, size + 1).astype(np.int64))
    out = []
    for start in range(0, len(column), 4096):
        data, offsets = raw_bytes(column.slice(start, 4096))
        block = np.zeros((len(offsets) - 1, width), dtype=np.float32)
        full = np.diff(offsets) == width
        block[full] = data.reshape(-1, width)
        if side * side * channels == width:
            square = block.reshape(-1, side, side, channels).mean(3)
            sums = np.add.reduceat(np.add.reduceat(square, edges[:-1], axis=1), edges[:-1], axis=2)
            block = (sums / np.outer(np.diff(edges), np.diff(edges))).reshape(len(block), -1)
        out.append(block)
    return np.concatenate(out)
