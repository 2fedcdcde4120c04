"""Pictures read: every mode that Pillow knows, and everything that is no picture named by its row."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from sharewise.errors import DataError
from sharewise.tables import pictures
from sharewise.tables.codec import Codec
from sharewise.tables.pictures import Shape, Unreadable, decode, located, size_of, write_arrays, write_decoded
from sharewise.tables.read import Table
from sharewise.tables.resolve import resolve
from sharewise.tables.schema import Declaration, InputDeclaration, InputKind, TaskDeclaration
from sharewise.tasks import TaskKind

Image = pytest.importorskip("PIL.Image")


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def grey(value: int = 100, size: tuple[int, int] = (9, 9)) -> Image.Image:
    return Image.new("L", size, value)


def bomb(width: int, height: int) -> bytes:
    """A PNG whose header declares more pixels than memory holds."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


class TestModes:
    def test_a_picture_of_the_right_size_comes_back_bit_by_bit(self) -> None:
        pixels = np.random.default_rng(0).integers(0, 256, (12, 12, 3), dtype=np.uint8)
        assert (decode(encoded(Image.fromarray(pixels)), 12, 3) == pixels).all()

    def test_grey_becomes_colour_and_colour_grey(self) -> None:
        assert (decode(encoded(grey(77)), 9, 3) == 77).all()
        # ITU-R 601-2: L = 0.299 R + 0.587 G + 0.114 B.
        red = Image.new("RGB", (9, 9), (200, 0, 0))
        assert abs(int(decode(encoded(red), 9, 1)[0, 0, 0]) - 0.299 * 200) <= 1

    def test_sixteen_bits_are_scaled_not_cut_off(self) -> None:
        deep = np.linspace(0, 65535, 81).astype(np.uint16).reshape(9, 9)
        found = decode(encoded(Image.fromarray(deep)), 9, 1)[:, :, 0]
        np.testing.assert_allclose(found, deep / 257, atol=0.51)

    def test_cmyk(self) -> None:
        cyan = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
        red, green, blue = decode(encoded(cyan, "JPEG", quality=100), 16, 3)[8, 8]
        assert red < 60
        assert green > 100
        assert blue > 100

    def test_transparent_pixels_are_white(self) -> None:
        clear = Image.new("RGBA", (9, 9), (0, 0, 0, 0))
        assert (decode(encoded(clear), 9, 3) == 255).all()
        palette = Image.new("P", (9, 9), 0)
        assert (decode(encoded(palette, transparency=0), 9, 3) == 255).all()

    def test_the_first_frame_of_an_animation(self) -> None:
        frames = [grey(10), grey(240)]
        content = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=10)
        assert (decode(content, 9, 1) < 30).all()

    def test_one_bit(self) -> None:
        assert (decode(encoded(Image.new("1", (9, 9), 1)), 9, 1) == 255).all()

    def test_turned_as_the_camera_says(self) -> None:
        picture = Image.new("L", (20, 20), 0)
        picture.paste(255, (0, 0, 20, 10))  # the upper half is white
        exif = Image.Exif()
        exif[0x0112] = 3  # turned by 180 degrees
        found = decode(encoded(picture, "JPEG", exif=exif, quality=95), 20, 1)[:, :, 0]
        assert found[:8].mean() < 10
        assert found[12:].mean() > 245

    def test_a_large_jpeg_is_decoded_small_and_alike(self) -> None:
        ramp = np.tile(np.linspace(0, 255, 1600).astype(np.uint8), (1200, 1))
        found = decode(encoded(Image.fromarray(ramp), "JPEG", quality=95), 32, 1)[:, :, 0].astype(float)
        np.testing.assert_allclose(found, np.tile(np.linspace(4, 251, 32), (32, 1)), atol=4)

    def test_size_comes_from_the_header(self) -> None:
        assert size_of(encoded(grey(size=(20, 10)))) == Shape(10, 20, 1)
        assert size_of(encoded(Image.new("P", (5, 6)))) == Shape(6, 5, 3)


NOISE = encoded(Image.effect_noise((64, 64), 50))

UNREADABLE = {
    "empty": (b"", "is empty"),
    "text": (b"this is no picture at all", "no picture in a known format"),
    "huge": (bomb(60_000, 60_000), "more than 100,000,000 pixels"),
    "large": (bomb(10_001, 10_000), "10001 x 10000 pixels"),
    "cut off": (NOISE[:900], "damaged or cut off"),
    "cut off jpeg": (encoded(Image.effect_noise((64, 64), 50), "JPEG")[:700], "damaged or cut off"),
    "damaged": (NOISE[:100] + b"\0" * 100 + NOISE[200:], "damaged or cut off"),
    "real numbers": (encoded(Image.new("F", (9, 9)), "TIFF"), "real numbers"),
    "postscript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "no picture in a known format"),
}


class TestUnreadable:
    @pytest.mark.parametrize("name", UNREADABLE)
    def test_bytes(self, name: str) -> None:
        content, reason = UNREADABLE[name]
        with pytest.raises(Unreadable, match=reason):
            decode(content, 16, 3)

    def test_files(self, tmp_path: Path) -> None:
        with pytest.raises(Unreadable, match="there is no file"):
            decode(tmp_path / "absent.png", 16, 3)
        with pytest.raises(Unreadable, match="no regular file"):
            decode(tmp_path, 16, 3)
        with pytest.raises(Unreadable, match="no regular file"):
            decode(Path("/dev/zero"), 16, 3)
        with pytest.raises(Unreadable, match=r"no path may hold|there is no file"):
            decode(tmp_path / "a\0b", 16, 3)

    def test_a_file_beyond_the_limit_is_not_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pictures, "MOST_BYTES", 50)
        (tmp_path / "a.png").write_bytes(encoded(Image.effect_noise((64, 64), 50)))
        with pytest.raises(Unreadable, match="more than 50"):
            decode(tmp_path / "a.png", 16, 3)

    def test_rows_are_named_and_skipped_only_if_asked(self, tmp_path: Path) -> None:
        (tmp_path / "good.png").write_bytes(encoded(grey(9)))
        (tmp_path / "bad.png").write_bytes(b"")
        column = located(pa.chunked_array([["good.png", "bad.png"], [None, "absent.png", "good.png"]]), tmp_path)
        out = np.zeros((5, 9, 9, 1), np.uint8)
        with pytest.raises(DataError) as caught:
            write_decoded(column, "photo", 9, 1, False, out)
        assert [p.row for p in caught.value.problems] == [2, 4]
        assert "unreadable: skip" in str(caught.value)
        present = write_decoded(column, "photo", 9, 1, True, out)
        assert present.tolist() == [True, False, False, False, True]
        assert (out[[0, 4]] == 9).all()

    def test_many_bad_rows_are_counted(self) -> None:
        column = pa.chunked_array([pa.array([b""] * 50, pa.binary())])
        with pytest.raises(DataError, match="30 more rows are not"):
            write_decoded(column, "photo", 9, 1, False, np.zeros((50, 9, 9, 1), np.uint8))


class TestArrays:
    def test_length_tells_the_square(self) -> None:
        assert Shape.of_length(36 * 36) == Shape(36, 36, 1)
        assert Shape.of_length(3 * 32 * 32) == Shape(32, 32, 3)
        assert Shape.of_length(28 * 30) is None

    @pytest.mark.parametrize("kind", ["binary", "list"])
    def test_pixels_come_back(self, kind: str) -> None:
        pixels = np.random.default_rng(1).integers(0, 256, (6, 4, 4, 3), dtype=np.uint8)
        pixels[2] = 0
        rows = [None if i == 2 else p for i, p in enumerate(pixels.reshape(6, -1))]
        if kind == "binary":
            column = pa.chunked_array([pa.array([None if r is None else r.tobytes() for r in rows], pa.binary(48))])
        else:
            column = pa.chunked_array(
                [pa.array([None if r is None else r.tolist() for r in rows], pa.list_(pa.uint8()))]
            )
        column = pa.chunked_array([column.slice(0, 1).chunk(0), column.slice(1).chunk(0)])
        out = np.zeros((6, 4, 4, 3), np.uint8)
        write_arrays(column, "pixels", Shape(4, 4, 3), 4, 3, out)
        assert (out == pixels).all()
        small = np.ones((6, 2, 2, 1), np.uint8)
        small[2] = 0
        write_arrays(column, "pixels", Shape(4, 4, 3), 2, 1, small)
        assert (small[2] == 0).all()
        assert len(np.unique(small)) > 4

    def test_another_length_is_refused(self) -> None:
        column = pa.chunked_array([pa.array([b"ab", b"cd"], pa.binary(2))])
        with pytest.raises(DataError, match="have 16 values; however, they have 2"):
            write_arrays(column, "pixels", Shape(4, 4, 1), 4, 1, np.zeros((2, 4, 4, 1), np.uint8))


class TestRebuilding:
    def test_a_picture_is_rebuilt_as_means_of_squares(self) -> None:
        pixels = np.random.default_rng(2).integers(0, 256, (3, 20, 20, 3), dtype=np.uint8)
        column = pa.chunked_array([pa.array([pixels[0].tobytes(), None, pixels[2].tobytes()], pa.binary(1200))])
        found, present = pictures.thumbnails(column, "p")
        assert present.tolist() == [True, False, True]
        assert found.shape == (3, len(pictures.thumbnail_cells(column, "p"))) == (3, 192)
        assert pictures.thumbnail_cells(column, "p")[4] == "p[0,1,1]"
        # 20 pixels in 8 squares: borders at 0, 2, 5, 7, 10, ...
        assert found[0, 4] == pytest.approx(pixels[0, 0:2, 2:5, 1].mean())

    def test_a_study_may_ask_for_it_where_the_table_holds_the_pixels(self) -> None:
        pixels = np.random.default_rng(3).integers(0, 256, (30, 16 * 16), dtype=np.uint8)
        raw = pa.array([p.tobytes() for p in pixels], pa.binary(256))
        task = TaskDeclaration("again", TaskKind.RECONSTRUCTION, ("p",))
        said = Declaration((task,), (InputDeclaration("p", InputKind.IMAGE),))
        table = Table(pa.table({"p": raw}), "the table")
        schema = resolve(table, said).schema
        codec = Codec.fit(table, schema, np.arange(20))
        targets = codec.targets(table)
        assert targets.values.shape == (30, 64)
        assert targets.values[:20].std() == pytest.approx(1, abs=0.05)
        truth, _ = codec.truth(table, "again")
        np.testing.assert_allclose(codec.inverse("again", targets.values), truth, rtol=1e-4)
        paths = Table(pa.table({"p": ["a.png"] * 30}), "the table")
        with pytest.raises(DataError, match="rebuilds numeric, boolean or embedding inputs, or raw pixels"):
            resolve(paths, said)
