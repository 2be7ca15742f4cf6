"""Photos: disjoint splits, crops that lie where they say, and the options."""

import hashlib
import time

import numpy as np
import pytest
from PIL import Image

from datasets import bands, photos
from datasets.options import InvalidOptionError
from datasets.photos import PICTURES, Photos, block_mean
from datasets.wheels import MissingShippedFileError, shipped_file

SPLITS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def default():
    return Photos().load()


def test_default_has_the_promised_arrays(default) -> None:
    assert default.train.shape == (4096, 3, 32, 32)
    assert default.validation.shape == default.test.shape == (512, 3, 32, 32)
    assert Photos().image_shape() == (3, 32, 32)
    for split in SPLITS:
        pixels = getattr(default, split)
        assert pixels.dtype == np.uint8 and pixels.flags.c_contiguous
    assert "CC BY 2.0" in default.licence and "1/2 scale" in default.description


def test_two_loads_agree_and_another_seed_does_not(default) -> None:
    assert Photos().load().data_hash == default.data_hash
    assert Photos(seed=1).load().data_hash != default.data_hash


@pytest.mark.parametrize("options", [{}, {"size": 16}, {"size": 64}, {"size": 40, "scale": 2}])
def test_no_native_pixel_is_in_two_splits(options) -> None:
    dataset = Photos(train=3000, validation=2000, test=2000, **options)
    sizes = {picture.name: (picture.height, picture.width) for picture in dataset.pictures}
    seen = {name: np.zeros((3, *size), bool) for name, size in sizes.items()}
    for index, split in enumerate(SPLITS):
        for name, (left, top, right, bottom) in dataset.crop_boxes(split):
            height, width = sizes[name]
            assert 0 <= left < right <= width and 0 <= top < bottom <= height
            assert right - left == bottom - top == dataset.size * dataset.scale
            seen[name][index, top:bottom, left:right] = True
    for name, masks in seen.items():
        assert masks.any(axis=(1, 2)).all(), name
        assert masks.sum(axis=0).max() == 1, name


@pytest.mark.parametrize(("width", "height"), [(640, 427), (427, 640), (512, 512), (101, 7)])
def test_bands_cover_the_picture_once_in_shares_of_60_20_20(width, height) -> None:
    cover = np.zeros((height, width), int)
    area = {}
    for split in SPLITS:
        boxes = bands.bands(split, width, height)
        area[split] = sum((r - x) * (b - y) for x, y, r, b in boxes)
        for left, top, right, bottom in boxes:
            cover[top:bottom, left:right] += 1
    assert (cover == 1).all()
    shares = np.array([area[split] for split in SPLITS]) / (width * height)
    np.testing.assert_allclose(shares, [0.6, 0.2, 0.2], atol=1 / max(width, height))


def test_images_are_the_pixels_of_their_boxes() -> None:
    dataset = Photos(size=24, scale=2, train=60, validation=20, test=20)
    loaded = dataset.load()
    files = {picture.name: shipped_file(picture.package, picture.path) for picture in PICTURES}
    for split in SPLITS:
        boxes = dataset.crop_boxes(split)
        for image, (name, box) in zip(getattr(loaded, split), boxes, strict=True):
            # Pillow's own box average is the independent reduction
            with Image.open(files[name]) as picture:
                crop = np.asarray(picture.convert("RGB").crop(box).reduce(2), int)
            assert np.abs(crop.transpose(2, 0, 1) - image).max() <= 1


def test_block_mean_by_hand() -> None:
    pixels = np.array([[0, 1, 9], [2, 3, 9], [9, 9, 9]], np.uint8)[..., None]
    assert block_mean(pixels, 2).tolist() == [[[2]]]  # mean 1.5 rounds up; the rest is dropped
    assert np.array_equal(block_mean(pixels, 1), pixels)
    assert block_mean(np.full((6, 6, 3), 255, np.uint8), 3).min() == 255


def test_crop_boxes_are_golden() -> None:
    text = repr([Photos().crop_boxes(split) for split in SPLITS])
    assert (
        hashlib.sha256(text.encode()).hexdigest()
        == "50c630d9580fa12d9e617909c10f7b89efe200ae0e8ed4ec3b73f650f10d51f7"
    )


def test_positions_do_not_depend_on_other_pictures_or_counts(monkeypatch) -> None:
    def of_china(dataset: Photos) -> set:
        return {box for name, box in dataset.crop_boxes("test") if name == "china"}

    all_seven, larger = of_china(Photos(test=70)), of_china(Photos(test=140))
    monkeypatch.setattr(photos, "PICTURES", tuple(p for p in PICTURES if p.name == "china"))
    assert of_china(Photos(test=10)) == all_seven
    assert all_seven < larger


def test_positions_are_used_once_before_any_is_repeated() -> None:
    boxes = [(10, 20, 14, 23), (30, 20, 33, 23)]  # 3 x 2 + 2 x 2 corners of size 2
    corners = [tuple(corner) for corner in bands.crop_corners(boxes, 2, 25, "axis").tolist()]
    expected = {(x, y) for x in (10, 11, 12, 30, 31) for y in (20, 21)}
    assert set(corners[:10]) == expected
    assert corners[10:20] == corners[:10] and corners[20:] == corners[:5]


@pytest.mark.parametrize("total", [1, 6, 7, 512, 4096])
def test_every_picture_gives_the_same_number_of_crops(total) -> None:
    counts = bands.shares(total, 7)
    assert sum(counts) == total and max(counts) - min(counts) <= 1


def test_the_first_images_of_a_split_are_a_fair_subset() -> None:
    names = [name for name, _ in Photos().crop_boxes("train")[:700]]
    counts = np.array([names.count(picture.name) for picture in PICTURES])
    # hypergeometric: mean 100, standard deviation 8.4
    assert counts.min() > 60 and counts.max() < 140


def test_pictures_with_a_narrow_band_are_left_out_of_all_splits() -> None:
    assert len(Photos().pictures) == len(Photos(size=64).pictures) == 7
    large = Photos(size=128)
    assert {p.name for p in large.pictures} == {"china", "flower", "motorcycle", "rocket"}
    names = {name for split in SPLITS for name, _ in large.crop_boxes(split)}
    assert names == {p.name for p in large.pictures}
    assert not bands.fits(159, 100, 32) and bands.fits(160, 32, 32)
    assert not bands.fits(160, 31, 32)


@pytest.mark.parametrize(("size", "scale"), [(16, 4), (32, 2), (48, 1), (64, 1), (128, 1)])
def test_scale_left_out_keeps_a_span_of_64_pixels(size, scale) -> None:
    assert Photos(size=size).scale == scale


@pytest.mark.parametrize(
    "options",
    [
        {"size": 15},
        {"size": 129},
        {"size": 32.0},
        {"size": True},
        {"train": 0},
        {"test": -1},
        {"seed": -1},
        {"scale": 0},
        {"size": 128, "scale": 2},
    ],
)
def test_bad_options_are_refused_by_the_constructor(options) -> None:
    (name, value), *_ = options.items()
    with pytest.raises(InvalidOptionError, match=f"{name}={value}"):
        Photos(**options)


def test_a_missing_or_changed_file_is_one_clear_sentence(monkeypatch) -> None:
    with pytest.raises(MissingShippedFileError, match=r"skimage/data/none\.png is not in"):
        shipped_file("skimage", "data/none.png")
    with pytest.raises(MissingShippedFileError, match="reinstall no_such_package"):
        shipped_file("no_such_package", "x.png")
    wrong = photos.Picture("rocket", "skimage", "data/rocket.jpg", 600, 400, "")
    monkeypatch.setattr(photos, "PICTURES", (wrong,))
    with pytest.raises(MissingShippedFileError, match="is 640x427 instead of 600x400"):
        Photos().load()


def test_recognisable_structure_is_in_every_split(default) -> None:
    # plain sky or blur has a luminance deviation below 3 of 255
    for split in SPLITS:
        plain = getattr(default, split).mean(axis=1).std(axis=(1, 2)) < 3
        assert plain.mean() < 0.2, (split, plain.mean())


def test_loading_the_default_takes_less_than_a_second() -> None:
    seconds = []
    for _ in range(3):
        start = time.process_time()
        Photos().load()
        seconds.append(time.process_time() - start)
    assert min(seconds) < 1.0
