"""Pictures from files, bytes and arrays, as small uint8 squares; a picture that cannot be read is named by its row.

Decoding is bounded: a file's size and the pixels that its header declares are checked before a pixel is decoded, only
common raster formats are tried, and only regular files are opened. Pillow is needed for files and bytes alone.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sharewise.errors import ConfigError, DataError, Problem
from sharewise.tables import columns as col

if TYPE_CHECKING:
    from PIL.Image import Image

Pixels = npt.NDArray[np.uint8]

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""Formats that are tried: raster pictures whose decoders run no other program."""

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
SIGNATURES = (b"BM", b"GIF8", b"\xff\xd8\xff", b"\x89PNG", b"II*\0", b"MM\0*", b"RIFF")

THUMBNAIL = 8
"""Squares a side of what is rebuilt of a picture."""

MOSTLY = 0.8
"""Share of a column's paths that must end as pictures do: a wrong path is then named when it is read."""

MOST_BYTES = 100_000_000
MOST_PIXELS = 100_000_000
MOST_NAMED = 20
"""Unreadable rows that one report names."""


class Unreadable(Exception):
    """A picture cannot be used; the message is the reason, as a clause ("the file is empty")."""


@dataclass(frozen=True)
class Shape:
    """Height, width and channels of a picture; channels stand last in stored arrays."""

    height: int
    width: int
    channels: int

    @property
    def size(self) -> int:
        """Bytes of one picture."""
        return self.height * self.width * self.channels

    @property
    def sizes(self) -> tuple[int, int, int]:
        """(height, width, channels)."""
        return self.height, self.width, self.channels

    @classmethod
    def of_length(cls, length: int) -> Shape | None:
        """The square grey or colour picture that has `length` values, or None where there is none.

        s^2 and 3 t^2 are never equal, so that there is at most one.
        """
        for channels in (1, 3):
            side = round((length / channels) ** 0.5)
            if side > 0 and side * side * channels == length:
                return cls(side, side, channels)
        return None


# --- one picture ----------------------------------------------------------------------------------------------


def decode(content: bytes | Path, side: int, channels: int) -> Pixels:
    """One picture as (side, side, channels) uint8, channels 1 (grey) or 3 (RGB).

    The first frame of an animation; turned as its EXIF orientation says; transparent pixels on white; CMYK and
    palettes as RGB; 16 bits scaled to 8. Stretched to the square. Raises Unreadable with the reason, ConfigError
    where Pillow is not installed.
    """
    image = _opened(content, 2 * side)
    return np.asarray(resized(image, side, channels))


def size_of(content: bytes | Path) -> Shape:
    """A picture's own height, width and channels, from its header; raises Unreadable as `decode` does."""
    image = _opened(content, 0, load=False)
    grey = image.mode in ("1", "L", "LA") or image.mode.startswith(("I", "F"))
    return Shape(image.height, image.width, 1 if grey else 3)


def resize(pixels: Pixels, side: int, channels: int) -> Pixels:
    """A picture (H, W, C) of 1, 3 or 4 channels as (side, side, channels)."""
    image_module = pillow()
    image = image_module.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    return np.asarray(resized(image, side, channels))


def resized(image: Image, side: int, channels: int) -> Pixels:
    """A loaded Pillow picture as (side, side, channels) uint8."""
    image_module = pillow()
    if image.mode.startswith("I"):
        # Pillow would cut 16 bits off at 255 instead of scaling them.
        deep = np.clip(np.asarray(image).astype(np.float64), 0, 65535)
        image = image_module.fromarray(np.rint(deep / 257).astype(np.uint8))
    elif image.mode == "F":
        raise Unreadable("its pixels are real numbers without a known range")
    if image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        image = image_module.new("RGBA", rgba.size, (255, 255, 255, 255))
        image.alpha_composite(rgba)
    image = image.convert("L" if channels == 1 else "RGB")
    if image.size != (side, side):
        image = image.resize((side, side), image_module.Resampling.BILINEAR, reducing_gap=3.0)
    return np.asarray(image, np.uint8).reshape(side, side, channels)


def pillow() -> Any:
    """Pillow's Image module; raises ConfigError where it is not installed."""
    try:
        from PIL import Image as image_module
    except ImportError:
        raise ConfigError(
            Problem("Pictures are read with Pillow", "it is not installed", "pip install 'sharewise[image]'")
        ) from None
    return image_module


def _opened(content: bytes | Path, least: int, *, load: bool = True) -> Image:
    from PIL import ImageOps

    data = _bytes_of(content)
    image_module = pillow()
    try:
        # Pillow warns of bombs and of broken metadata; both are answered here in one way.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = image_module.open(io.BytesIO(data), formats=FORMATS)
            if image.width * image.height > MOST_PIXELS:
                raise Unreadable(f"it has {image.width} x {image.height} pixels, more than {MOST_PIXELS:,}")
            if not load:
                header: Image = image
                return header
            if least and image.format == "JPEG":
                # A JPEG is decoded at a half, quarter or eighth of its size where that is enough.
                image.draft(None, (least, least))
            image.load()
            turned: Image = ImageOps.exif_transpose(image)
            return turned
    except Unreadable:
        raise
    except image_module.UnidentifiedImageError:
        raise Unreadable(f"it is no picture in a known format ({', '.join(FORMATS)})") from None
    except image_module.DecompressionBombError:
        raise Unreadable(f"it has more than {MOST_PIXELS:,} pixels") from None
    except Exception as error:  # decoders fail on damaged data with whatever they stumble over
        raise Unreadable(f"it is damaged or cut off ({str(error).rstrip('.') or type(error).__name__})") from None


def _bytes_of(content: bytes | Path) -> bytes:
    if isinstance(content, bytes):
        n = len(content)
        what = "the cell"
    else:
        what = f"file '{content}'"
        try:
            if not content.exists():
                raise Unreadable(f"there is no {what}")
            if not content.is_file():
                raise Unreadable(f"'{content}' is no regular file")
            n = content.stat().st_size
        except OSError as error:
            raise Unreadable(f"{what} cannot be opened ({error.strerror})") from None
        except ValueError:
            raise Unreadable("the path holds characters that no path may hold") from None
    if n == 0:
        raise Unreadable(f"{what} is empty")
    if n > MOST_BYTES:
        raise Unreadable(f"{what} has {n:,} bytes, more than {MOST_BYTES:,}")
    if isinstance(content, bytes):
        return content
    try:
        return content.read_bytes()
    except OSError as error:
        raise Unreadable(f"{what} cannot be read ({error.strerror})") from None


# --- a column of pictures -------------------------------------------------------------------------------------


def is_encoded(kind: pa.DataType) -> bool:
    """True for columns of file paths or of encoded bytes, which Pillow decodes."""
    return bool(col.is_text(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def array_length(column: pa.ChunkedArray) -> int | None:
    """Values of each picture of a column of raw pixels: a fixed-size binary, or lists of uint8 of one length."""
    kind = column.type
    if pa.types.is_fixed_size_binary(kind):
        return int(kind.byte_width)
    if col.is_list(kind) and kind.value_type == pa.uint8():
        return col.list_width(column)
    return None


def stored(shape: Sequence[int]) -> pa.DataType:
    """Type of a column of raw pixels of a shape (height, width, channels), of paths where it is empty."""
    return pa.binary(int(np.prod(shape))) if shape else pa.string()


def unpacked(column: pa.ChunkedArray, said: Sequence[int]) -> pa.ChunkedArray:
    """A column of bytes as raw pixels, where all are of one length that a picture can have (`said`, or a square) and
    none begins as a file of a picture does: a frame in memory has no bytes of fixed size. Another column as it is."""
    if col.is_text(column.type) or not is_encoded(column.type):
        return column
    lengths = pc.unique(pc.binary_length(column).drop_null()).to_pylist()
    if len(lengths) != 1 or not (said or Shape.of_length(lengths[0])):
        return column
    starts = (bytes(value.as_buffer()[:12]) for chunk in column.chunks for value in chunk.drop_null())
    return column if any(start.startswith(SIGNATURES) for start in starts) else column.cast(pa.binary(lengths[0]))


def check_type(column: pa.ChunkedArray, name: str) -> None:
    """Raise DataError where a column can hold no pictures."""
    if is_encoded(column.type) or array_length(column) is not None:
        return
    fact = f"the column is of type {column.type}"
    if col.is_list(column.type) and column.type.value_type == pa.uint8():
        fact = "the arrays are of different lengths"
    rule = "A picture is a file's path, encoded bytes, or uint8 pixels of one number in every row"
    raise DataError(Problem(rule, fact, "Give it another kind", column=name))


def looks_like(column: pa.ChunkedArray) -> bool:
    """Whether the first values of a column are pictures: paths mostly by their suffix, bytes by how they begin."""
    seen = column.slice(0, 1000).drop_null()
    head = [value.as_py() for value in seen.slice(0, 50)]
    if not head:
        return False
    if col.is_text(column.type):
        return sum(str(value).lower().endswith(SUFFIXES) for value in head) >= MOSTLY * len(head)
    return all(bytes(value[:12]).startswith(SIGNATURES) for value in head)


def check_unreadable(said: str, name: str) -> None:
    """Raise DataError where it is not said what becomes of unreadable pictures."""
    if said not in ("refuse", "skip"):
        rule = "'unreadable' of a picture input is refuse or skip"
        raise DataError(Problem(rule, f"it is '{said}'", column=name))


def raw_shape(column: pa.ChunkedArray, name: str, said: Sequence[int]) -> Shape:
    """The shape of a column's raw pixels, said as (height, width[, channels]) or told from their number; raises
    DataError where it does not fit."""
    check_type(column, name)
    length = array_length(column) or 0
    if said:
        sizes = (*said, 1)[:3] if len(said) == 2 else tuple(said)
        if len(sizes) != 3 or sizes[2] not in (1, 3) or min(sizes) < 1 or int(np.prod(sizes)) != length:
            rule = f"The shape [height, width, channels] of a picture of {length} values holds as many"
            raise DataError(Problem(rule, f"it is {list(said)}", column=name))
        return Shape(*sizes)
    found = Shape.of_length(length)
    if found is None:
        rule = "Pixels without a shape are a square, grey or with three channels"
        remedy = "Write encoder: {name: picture, shape: [height, width, channels]}"
        raise DataError(Problem(rule, f"the column has {length} values in a row", remedy, column=name))
    return found


def located(column: pa.ChunkedArray, folder: Path) -> pa.ChunkedArray:
    """A column of paths with the relative ones taken from `folder`; another column as it is."""
    if not col.is_text(column.type):
        return column
    paths = [None if path is None else str(folder / path) for path in column.to_pylist()]
    return pa.chunked_array([pa.array(paths, pa.string())])


def contents(column: pa.ChunkedArray) -> Iterator[bytes | Path | None]:
    """Every cell of a column of paths or encoded bytes; None where missing."""
    paths = col.is_text(column.type)
    for chunk in column.chunks:
        for value in chunk:
            cell = value.as_py()
            yield None if cell is None else Path(cell) if paths else cell


def write(
    column: pa.ChunkedArray, name: str, side: int, channels: int, skip: bool, shape: Sequence[int], out: Pixels
) -> npt.NDArray[np.bool_] | None:
    """Write pictures (N, side, side, channels), and say which rows have one where reading alone tells: an unreadable
    one counts as missing with `skip`. `shape` is that of raw arrays; raises DataError for what is no picture as it was
    in training."""
    if is_encoded(column.type):
        return write_decoded(column, name, side, channels, skip, out)
    if len(shape) != 3:
        rule = "A column holds pictures as it did in training, as paths or bytes"
        raise DataError(Problem(rule, f"it is of type {column.type}", column=name))
    write_arrays(column, name, Shape(*shape), side, channels, out)
    return None


def write_arrays(column: pa.ChunkedArray, name: str, shape: Shape, side: int, channels: int, out: Pixels) -> None:
    """Raw pictures of one shape into `out` (N, side, side, channels), zeros where missing; pictures of that size
    already are copied, others resized. Raises DataError where the lengths differ."""
    length = array_length(column)
    if length != shape.size:
        fact = f"they have {length} values" if length else "their lengths differ"
        rule = f"Pictures of {shape.height} x {shape.width} x {shape.channels} have {shape.size} values"
        raise DataError(Problem(rule, fact, "Give their shape under inputs", column=name))
    at = 0
    for chunk in column.chunks:
        pixels, present = _raw(chunk, name, shape.size)
        pictures = pixels.reshape(len(chunk), shape.height, shape.width, shape.channels)
        if (side, side, channels) == (shape.height, shape.width, shape.channels):
            out[at : at + len(chunk)] = pictures
        else:
            for row in np.flatnonzero(present):
                out[at + row] = resize(pictures[row], side, channels)
        at += len(chunk)


def _raw(chunk: pa.Array, name: str, size: int) -> tuple[Pixels, npt.NDArray[np.bool_]]:
    if not pa.types.is_fixed_size_binary(chunk.type):
        return col.vectors(pa.chunked_array([chunk]), name, size)
    present = chunk.is_valid().to_numpy(zero_copy_only=False)
    pixels = np.frombuffer(chunk.buffers()[1], np.uint8)
    pixels = pixels[chunk.offset * size : (chunk.offset + len(chunk)) * size].reshape(len(chunk), size)
    return (pixels if present.all() else np.where(present[:, None], pixels, 0).astype(np.uint8)), present


def thumbnails(column: pa.ChunkedArray, name: str) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Raw pictures as the means of 8 x 8 squares, (N, 64 channels), zeros where missing, and who is there:
    what a reconstruction task rebuilds of a picture."""
    shape = raw_shape(column, name, ())
    pixels = np.zeros((len(column), *shape.sizes), np.uint8)
    write_arrays(column, name, shape, shape.height, shape.channels, pixels)
    edges = np.linspace(0, shape.height, THUMBNAIL + 1).astype(int)
    sums = np.add.reduceat(pixels.astype(np.float64), edges[:-1], axis=1)
    sums = np.add.reduceat(sums, edges[:-1], axis=2)
    area = np.diff(edges)
    means = sums / (area[:, None, None] * area[None, :, None])
    return means.reshape(len(column), -1), column.is_valid().combine_chunks().to_numpy(zero_copy_only=False)


def thumbnail_cells(column: pa.ChunkedArray, name: str) -> list[str]:
    """Names of what `thumbnails` gives, in its order; raises DataError for pictures too small for it."""
    shape = raw_shape(column, name, ())
    if shape.height < THUMBNAIL:
        rule = f"A picture that is rebuilt has at least {THUMBNAIL} pixels a side"
        raise DataError(Problem(rule, f"it has {shape.height}", column=name))
    n = range(THUMBNAIL)
    return [f"{name}[{row},{at},{c}]" for row in n for at in n for c in range(shape.channels)]


def write_decoded(
    column: pa.ChunkedArray, name: str, side: int, channels: int, skip: bool, out: Pixels
) -> npt.NDArray[np.bool_]:
    """Decoded pictures of a column of paths or bytes into `out` (N, side, side, channels), zeros where missing.

    Returns which rows have a picture. An unreadable one counts as missing with `skip`; otherwise raises DataError
    that names the first rows and how many there are. Cost: one decoded picture at a time.
    """
    present = np.zeros(len(column), dtype=bool)
    problems: list[Problem] = []
    n_unreadable = 0
    for row, content in enumerate(contents(column)):
        if content is None:
            continue
        try:
            out[row] = decode(content, side, channels)
            present[row] = True
        except Unreadable as reason:
            n_unreadable += 1
            if not skip and len(problems) < MOST_NAMED:
                remedy = "Correct it or leave the cell empty; in a study 'unreadable: skip' takes it for missing"
                problems.append(Problem("A picture must be readable", str(reason), remedy, column=name, row=row + 1))
    if problems:
        if n_unreadable > len(problems):
            last = f"{n_unreadable - len(problems)} more rows are not"
            problems.append(Problem("Pictures must be readable", last, column=name))
        raise DataError(problems)
    return present
