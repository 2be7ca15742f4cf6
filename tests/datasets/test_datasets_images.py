"""The record every dataset yields, its hash and the seeded permutation."""

import hashlib

import numpy as np
import pytest

from datasets.images import Images, InvalidImagesError
from datasets.seeding import permutation


def splits() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    pixels = (np.arange(6 * 3 * 4 * 5) % 256).astype(np.uint8).reshape(6, 3, 4, 5)
    return pixels[:3], pixels[3:5], pixels[5:]


def build(train: np.ndarray, validation: np.ndarray, test: np.ndarray) -> Images:
    return Images.of(train, validation, test, description="d", licence="l")


def test_hash_is_golden_and_is_sha256_of_names_shapes_and_bytes() -> None:
    written = b""
    for name, pixels in zip(("train", "validation", "test"), splits(), strict=True):
        shape = f"({len(pixels)}, 3, 4, 5)"
        written += name.encode() + shape.encode() + bytes(pixels.ravel().tolist())
    expected = hashlib.sha256(written).hexdigest()
    assert build(*splits()).data_hash == expected
    assert expected == "5a48d38c396192c332458611e2da1c490767bf838b38b41f8b7a74d6985e5f3d"


def test_hash_sees_a_changed_byte_an_exchanged_split_and_a_changed_shape() -> None:
    train, validation, test = splits()
    changed = train.copy()
    changed[0, 0, 0, 0] += 1
    hashes = {
        build(train, validation, test).data_hash,
        build(changed, validation, test).data_hash,
        build(train, test, validation).data_hash,
        build(*(x.transpose(0, 1, 3, 2) for x in splits())).data_hash,
        build(*(x.reshape(len(x), 3, 5, 4) for x in splits())).data_hash,
    }
    assert len(hashes) == 5


def test_strided_arrays_become_contiguous_with_the_same_hash() -> None:
    strided = tuple(np.asfortranarray(x) for x in splits())
    images = build(*strided)
    assert images.train.flags.c_contiguous and images.data_hash == build(*splits()).data_hash


@pytest.mark.parametrize(
    "spoil",
    [lambda x: x.astype(np.float32), lambda x: x[:0], lambda x: x[0], lambda x: x[..., :2]],
)
def test_arrays_that_are_no_split_are_refused(spoil) -> None:
    train, validation, test = splits()
    with pytest.raises(InvalidImagesError, match="validation"):
        build(train, spoil(validation), test)


def test_permutation_is_golden_complete_and_depends_on_every_axis() -> None:
    assert permutation(8, 0, "train", "x").tolist() == [7, 0, 6, 2, 3, 1, 5, 4]
    assert sorted(permutation(1000, "a").tolist()) == list(range(1000))
    variants = [permutation(50, *axes).tolist() for axes in ((0, "a"), (1, "a"), (0, "b"), ("a",))]
    assert len({tuple(variant) for variant in variants}) == 4


def test_permutation_is_uniform() -> None:
    # the place of item 0 over many seeds: chi-squared with 4 degrees of freedom, 99.9 % is 18.5
    places = [permutation(5, seed).tolist().index(0) for seed in range(1000)]
    counts = np.bincount(places, minlength=5)
    assert ((counts - 200) ** 2 / 200).sum() < 18.5
