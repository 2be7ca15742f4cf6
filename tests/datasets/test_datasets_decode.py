"""Decoding: geometry, modes and files that cannot be read."""

import io
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datasets import decode as decoding
from datasets.decode import DifferentSizesError, Framing
from datasets.folder import Folder
from datasets.images import Pixels
from datasets.source import DIGEST, UnreadableError, check_unreadable, read_block
from datasets.tree import InvalidFolderError


def decode(path: Path, channels: int, size: int | None) -> Pixels:
    framing = Framing(channels=channels, size=size)
    return framing(decoding.decode(path.read_bytes(), channels))


def header_size(path: Path) -> tuple[int, int] | None:
    return decoding.header_size(path.read_bytes())


def write(folder: Path, count: int, side: int = 16, suffix: str = "png") -> None:
    generator = np.random.default_rng(0)
    for index in range(count):
        pixels = generator.integers(0, 256, (side, side, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{index:04}.{suffix}")


def unreadable(folder: Folder) -> str | None:
    """Read all images and return the sentence about those that cannot be read."""
    source = folder.open()
    pixels = np.zeros((len(source), *source.shape), np.uint8)
    digests = np.zeros((len(source), DIGEST), np.uint8)
    return check_unreadable(source, read_block(source, 0, pixels, digests))


def total(folder: Folder) -> int:
    images = folder.load()
    return len(images.train) + len(images.validation) + len(images.test)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "tiff"])
def test_lossless_files_come_back_exactly(tmp_path, suffix) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    path = tmp_path / f"x.{suffix}"
    Image.fromarray(pixels).save(path)
    assert np.array_equal(decode(path, 3, None), pixels.transpose(2, 0, 1))
    assert header_size(path) == (9, 12)


@pytest.mark.parametrize("suffix", ["jpg", "jpeg", "webp"])
def test_lossy_files_come_back_nearly(tmp_path, suffix) -> None:
    path = tmp_path / f"x.{suffix}"
    Image.new("RGB", (16, 16), (200, 100, 50)).save(path, quality=95)
    assert np.abs(decode(path, 3, None)[:, 8, 8].astype(int) - [200, 100, 50]).max() <= 4


def test_other_shapes_are_cropped_to_the_centre_then_averaged(tmp_path) -> None:
    pixels = np.zeros((8, 24, 3), np.uint8)
    pixels[:, :8], pixels[:, 16:] = 255, 255  # white flanks that the crop must not see
    pixels[4:, 8:16] = 100
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    Image.fromarray(pixels.transpose(1, 0, 2)).save(tmp_path / "tall.png")
    wide, tall = (decode(tmp_path / f"{name}.png", 3, 8) for name in ("wide", "tall"))
    assert np.array_equal(wide[0], pixels[:, 8:16, 0])
    assert np.array_equal(tall[0], pixels[:, 8:16, 0].T)


def test_reduction_is_antialiased(tmp_path) -> None:
    stripes = np.zeros((64, 64), np.uint8)
    stripes[:, ::2] = 255
    Image.fromarray(stripes).save(tmp_path / "x.png")
    assert np.abs(decode(tmp_path / "x.png", 1, 8).astype(int) - 127.5).max() <= 8


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_honoured(tmp_path, orientation) -> None:
    pixels = np.arange(6, dtype=np.uint8).reshape(2, 3) * 40
    # EXIF 2.32, table of tag 0x0112: where row 0 and column 0 of the stored image are displayed
    displayed = {
        1: pixels,
        2: pixels[:, ::-1],
        3: pixels[::-1, ::-1],
        4: pixels[::-1],
        5: pixels.T,
        6: pixels.T[:, ::-1],
        7: pixels.T[::-1, ::-1],
        8: pixels.T[::-1],
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(tmp_path / "x.png", exif=exif)
    assert np.array_equal(decode(tmp_path / "x.png", 1, None)[0], displayed)
    assert header_size(tmp_path / "x.png") == displayed.shape


def test_modes_become_three_channels_or_luminance(tmp_path) -> None:
    red = np.zeros((4, 4, 3), np.uint8)
    red[..., 0] = 255
    alpha = Image.fromarray(red).convert("RGBA")
    alpha.putalpha(0)
    sources = {
        "rgb": Image.fromarray(red),
        "palette": Image.fromarray(red).convert("P"),
        "alpha": alpha,
    }
    for name, image in sources.items():
        image.save(tmp_path / f"{name}.png")
        colour = decode(tmp_path / f"{name}.png", 3, None)
        assert colour[:, 0, 0].tolist() == [255, 0, 0], name
        assert decode(tmp_path / f"{name}.png", 1, None)[0, 0, 0] == round(0.299 * 255), name
    Image.fromarray(red[..., 0]).save(tmp_path / "grey.png")
    assert decode(tmp_path / "grey.png", 3, None)[:, 0, 0].tolist() == [255, 255, 255]


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bit_grey_is_scaled_not_clipped(tmp_path, suffix) -> None:
    deep = np.array([[0, 257, 32768, 65535]], np.uint16)
    Image.fromarray(deep).save(tmp_path / f"x.{suffix}")
    assert decode(tmp_path / f"x.{suffix}", 1, None).ravel().tolist() == [0, 1, 128, 255]


def test_images_of_several_sizes_need_size(tmp_path) -> None:
    write(tmp_path, 20)
    Image.new("RGB", (20, 10)).save(tmp_path / "0007x.png")
    with pytest.raises(DifferentSizesError, match=r"0007x\.png is 20x10 .* 16x16: pass size="):
        Folder(str(tmp_path)).load()
    assert total(Folder(str(tmp_path), size=8)) == 21
    assert Folder(str(tmp_path), size=8, channels=1).image_shape() == (1, 8, 8)


def test_images_of_one_size_need_not_be_square(tmp_path) -> None:
    for index in range(12):
        Image.new("L", (10, 6), index * 20).save(tmp_path / f"{index}.png")
    folder = Folder(str(tmp_path), channels=1)
    assert folder.image_shape() == folder.load().test.shape[1:] == (1, 6, 10)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp", "tif"])
@pytest.mark.filterwarnings("ignore:Truncated File Read")
def test_truncated_files_are_counted_named_and_skipped(tmp_path, suffix) -> None:
    write(tmp_path, 200, suffix=suffix)
    broken = tmp_path / f"0003.{suffix}"
    broken.write_bytes(broken.read_bytes()[: broken.stat().st_size * 2 // 3])
    (tmp_path / "0004x.png").write_bytes(b"not an image")
    assert total(Folder(str(tmp_path))) == 199
    sentence = unreadable(Folder(str(tmp_path)))
    assert sentence is not None
    assert sentence.startswith(f"2 of 201 images cannot be read and are left out: 0003.{suffix} (")
    assert "0004x.png (NotAnImageError: its first bytes are those of no known format)" in sentence


def test_the_warning_names_five_files(tmp_path) -> None:
    write(tmp_path, 700, side=2)
    for index in range(7):
        (tmp_path / f"bad{index}.png").write_bytes(b"")
    assert total(Folder(str(tmp_path))) == 700
    sentence = unreadable(Folder(str(tmp_path)))
    assert sentence is not None and "bad4.png" in sentence and "bad5.png" not in sentence


def test_more_than_one_per_cent_unreadable_is_refused(tmp_path) -> None:
    write(tmp_path, 100, side=2)
    (tmp_path / "bad.png").write_bytes(b"")
    assert total(Folder(str(tmp_path))) == 100  # 1 of 101
    (tmp_path / "0000.png").write_bytes(b"")  # and the first header unreadable
    with pytest.raises(UnreadableError, match=r"2 of 101 .* more than 1%.*0000\.png"):
        Folder(str(tmp_path)).load()
    assert Folder(str(tmp_path)).image_shape() == (3, 2, 2)


@pytest.mark.parametrize("size", [None, 8])
def test_nothing_readable_is_refused(tmp_path, size) -> None:
    (tmp_path / "a.png").write_bytes(b"x")
    with pytest.raises(ValueError, match=r"can(not)? be read"):
        Folder(str(tmp_path), size=size).load()


def test_a_split_without_readable_images_is_refused(tmp_path) -> None:
    for name in ("train", "test"):
        (tmp_path / name).mkdir()
    write(tmp_path / "train", 120, side=2)
    (tmp_path / "test" / "bad.png").write_bytes(b"x")
    with pytest.raises(InvalidFolderError, match="no image of split test can be read"):
        Folder(str(tmp_path)).load()


def test_decompression_bombs_are_unreadable(tmp_path, monkeypatch) -> None:
    path = tmp_path / "x.png"
    Image.new("L", (40, 30)).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1200)
    assert decode(path, 1, None).shape == (1, 30, 40)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1199)
    with pytest.raises((Image.DecompressionBombError, Image.DecompressionBombWarning)):
        decode(path, 1, None)
    assert header_size(path) is None


def test_bombs_are_refused_even_where_pillow_only_warns(tmp_path, monkeypatch) -> None:
    path = tmp_path / "x.png"
    Image.new("L", (40, 30)).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with (
        pytest.warns(Image.DecompressionBombWarning),
        pytest.raises(Image.DecompressionBombError, match="more than 1000 pixels"),
    ):
        decode(path, 1, None)


def test_random_damage_never_escapes(tmp_path) -> None:
    write(tmp_path, 120, side=4)
    generator = np.random.default_rng(5)
    data = bytearray((tmp_path / "0000.png").read_bytes())
    for _ in range(25):
        damaged = data.copy()
        damaged[int(generator.integers(8, len(data)))] ^= int(generator.integers(1, 256))
        (tmp_path / "0000.png").write_bytes(damaged)
        try:
            assert total(Folder(str(tmp_path))) in (119, 120)
        except DifferentSizesError:
            continue  # the damage was in the header's size


def photograph(width: int, height: int) -> Image.Image:
    """Return a picture with smooth shades, edges and noise in all channels."""
    rows, columns = np.mgrid[:height, :width]
    noise = np.random.default_rng(2).integers(0, 40, (height, width, 3))
    shades = np.stack([rows, columns, (rows // 16 + columns // 16) % 2 * 120], -1)
    return Image.fromarray((shades % 200 + noise).astype(np.uint8))


def jpeg(image: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **options)
    return buffer.getvalue()


@pytest.mark.parametrize("subsampling", [0, 1, 2, "4:1:1"])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("size", [(178, 218), (33, 17), (7, 5)])
def test_jpeg_pixels_are_pillows_to_the_bit(subsampling, progressive, size) -> None:
    data = jpeg(photograph(*size), subsampling=subsampling, progressive=progressive, quality=85)
    opened = Image.open(io.BytesIO(data))
    for channels, mode in ((3, "RGB"), (1, "L")):
        found = np.asarray(decoding.decode(data, channels))
        assert np.array_equal(found, np.asarray(opened.convert(mode)))


def test_unusual_jpegs_are_pillows_too() -> None:
    image = photograph(40, 24)
    exif = Image.Exif()
    exif[0x0112] = 6
    files = {
        "grey": jpeg(image.convert("L")),
        "cmyk": jpeg(image.convert("CMYK")),
        "rgb": jpeg(image, keep_rgb=True),
        "trailing bytes": jpeg(image) + b"appended by a camera",
        "many pictures": jpeg(image) + jpeg(image.resize((8, 8))),
    }
    for name, data in files.items():
        expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
        assert np.array_equal(np.asarray(decoding.decode(data, 3)), expected), name
    packet = b'http://ns.adobe.com/xap/1.0/\0<rdf:Description tiff:Orientation="6"/>'
    xmp = b"\xff\xe1" + (len(packet) + 2).to_bytes(2, "big") + packet
    upright = Image.open(io.BytesIO(jpeg(image))).rotate(-90, expand=True)
    plain = jpeg(image)
    for data in (jpeg(image, exif=exif), plain[:2] + xmp + plain[2:]):
        assert np.array_equal(np.asarray(decoding.decode(data, 3)), np.asarray(upright))


def test_a_jpeg_bomb_is_refused_before_it_is_decoded(monkeypatch) -> None:
    data = jpeg(Image.new("L", (40, 30)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1199)
    with pytest.raises(Image.DecompressionBombError, match="more than 1199 pixels"):
        decoding.decode(data, 3)


def test_the_crop_comes_first_and_resizing_sees_nothing_outside_it() -> None:
    pixels = np.full((40, 60), 255, np.uint8)
    pixels[10:30, 20:40] = 80
    image = Image.fromarray(pixels)
    assert np.unique(Framing(channels=1, size=8, crop=20)(image)).tolist() == [80]
    assert Framing(channels=1, crop=(0, 0, 60, 10))(image).shape == (1, 10, 60)


def test_images_too_small_to_crop_are_listed_or_refused(tmp_path) -> None:
    write(tmp_path, 150, side=16)
    Image.new("RGB", (40, 12)).save(tmp_path / "low.png")
    assert total(Folder(str(tmp_path), crop=13)) == 150
    sentence = unreadable(Folder(str(tmp_path), crop=13))
    assert (
        sentence is not None and "low.png (CropError: is 40x12, too small for crop=13" in sentence
    )
    assert Folder(str(tmp_path), crop=13).image_shape() == (3, 13, 13)
    with pytest.raises(UnreadableError, match="too small for crop=17"):
        Folder(str(tmp_path), crop=17).load()


def test_five_hundred_small_files_load_in_two_seconds(tmp_path) -> None:
    write(tmp_path, 500, side=32)
    start = time.process_time()
    total(Folder(str(tmp_path)))
    assert time.process_time() - start < 2.0
