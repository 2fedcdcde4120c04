"""What models that are no networks see of a picture: means over a grid, as docs/images.md says."""

from __future__ import annotations

import numpy as np
import pytest

from sharewise.batch import Inputs
from sharewise.models.pooled import pooled_pixels
from sharewise.models.single import flattened


@pytest.mark.parametrize(("side", "cells"), [(8, 8), (16, 16), (28, 14), (36, 12), (64, 16), (224, 16)])
def test_a_picture_becomes_means_over_at_most_16_by_16_cells(side: int, cells: int) -> None:
    pixels = np.random.default_rng(side).integers(0, 256, (3, side, side, 3), dtype=np.uint8)
    size = side // cells
    means = pixels.reshape(3, cells, size, cells, size, 3).mean(axis=(2, 4))
    np.testing.assert_array_equal(pooled_pixels(pixels), np.floor(means).reshape(3, -1))


def test_a_side_that_does_not_divide_has_smaller_cells_at_its_end() -> None:
    pixels = np.arange(17 * 17, dtype=np.uint8).reshape(1, 17, 17, 1)
    pooled = pooled_pixels(pixels).reshape(9, 9)
    assert pooled[8, 8] == pixels[0, 16, 16, 0]
    assert pooled[0, 8] == pixels[0, :2, 16, 0].mean() // 1


def test_features_of_a_frozen_backbone_are_seen_as_they_are() -> None:
    features = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float16)
    pixels = np.full((4, 32, 32, 1), 7, np.uint8)
    blocks = {"image:view": features, "image:photo": pixels, "present": np.ones((4, 2), np.uint8)}
    seen = flattened(Inputs(blocks))["embedding"]
    np.testing.assert_array_equal(seen, np.hstack([features, np.full((4, 256), 7)]))
