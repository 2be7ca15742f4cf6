"""Nifti: volumes of any orientation and scale become patches; every bad volume is named."""

import gzip
import os
import struct
from pathlib import Path
from threading import Thread

import nibabel
import numpy as np
import pytest

from datasets import volume_source, volumes
from datasets.nifti import Nifti
from datasets.options import InvalidOptionError
from datasets.patches import draw_patches, slices
from datasets.recent import Recent
from datasets.source import MissingFilesError, UnreadableError, gather
from datasets.splitting import TooFewImagesError
from datasets.volumes import InvalidVolumeError, MissingNibabelError, read_volume

SHAPE = (40, 44, 36)
SMALL = {"patch": 16, "train": 40, "validation": 8, "test": 8}


def save(path: Path, voxels: np.ndarray, affine: np.ndarray | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4) if affine is None else affine), path)
    return path


def head(value: int = 200) -> np.ndarray:
    """Return an ellipsoid of `value` in black."""
    axes = np.meshgrid(*(np.linspace(-1, 1, length) for length in SHAPE), indexing="ij")
    return np.where(sum(axis**2 for axis in axes) < 0.9, value, 0).astype(np.uint8)


def owners(pixels: np.ndarray) -> set[int]:
    """Return the values by which `head` marked the volumes that patches come from."""
    return {int(patch.max()) for patch in pixels}


def fill(folder: Path, names: list[str]) -> None:
    for number, name in enumerate(names):
        save(folder / name, head(100 + number))


def test_subfolders_are_the_splits_and_volumes_share_them_equally(tmp_path) -> None:
    splits = ["train", "train", "train", "val", "test", "test"]
    fill(tmp_path, [f"{split}/sub-{n:02}_T1w.nii.gz" for n, split in enumerate(splits)])
    images = Nifti(str(tmp_path), **SMALL).load()
    assert images.train.shape == (40, 1, 16, 16) and images.test.shape == (8, 1, 16, 16)
    assert owners(images.train) == {100, 101, 102} and owners(images.validation) == {103}
    counts = [sum(patch.max() == 100 + n for patch in images.train) for n in range(3)]
    assert sorted(counts) == [13, 13, 14]
    assert [sum(patch.max() == 104 + n for patch in images.test) for n in range(2)] == [4, 4]
    first = [int(patch.max()) for patch in images.train]
    assert first != sorted(first), "the first patches would all be of one volume"


def test_missing_splits_keep_a_subject_on_one_side(tmp_path) -> None:
    sessions = [f"sub-{n // 2:02}/ses-{n % 2}/anat/sub-{n // 2:02}_T1w.nii" for n in range(20)]
    fill(tmp_path, sessions)
    for seed in range(3):
        images = Nifti(str(tmp_path), seed=seed, **SMALL).load()
        sides = [owners(split) for split in (images.train, images.validation, images.test)]
        people = [{(value - 100) // 2 for value in side} for side in sides]
        assert [len(side) for side in people] == [8, 1, 1] and len(set.union(*people)) == 10
        assert [len(side) for side in sides] == [16, 2, 2]


@pytest.mark.parametrize(
    ("names", "pattern", "expected"),
    [
        (["a/anat/x.nii", "b/anat/x.nii"], None, ["a", "b"]),
        (["all/a/x.nii", "all/b/x.nii"], None, ["a", "b"]),
        (["IXI002-Guys.nii.gz", "IXI012-HH.nii.gz"], None, ["IXI002-Guys", "IXI012-HH"]),
        (["IXI002-1.nii", "IXI002-2.nii"], r"^(IXI\d+)", ["IXI002", "IXI002"]),
        (["train/a/x.nii", "test/b/x.nii"], None, ["a", "b"]),
        (["g/sub-01/x.nii", "h/sub-01_T1w.nii"], None, ["sub-01", "sub-01"]),
    ],
)
def test_who_a_file_belongs_to(names, pattern, expected) -> None:
    from datasets.subjects import subjects

    assert list(subjects(names, pattern).values()) == expected


def test_only_t1_weighted_files_are_read_where_some_are_named_so(tmp_path) -> None:
    fill(tmp_path, [f"sub-{n}/anat/sub-{n}_T1w.nii.gz" for n in range(4)])
    save(tmp_path / "sub-0" / "func" / "sub-0_bold.nii.gz", np.zeros((4, 4, 4, 9), np.uint8))
    source = Nifti(str(tmp_path), **SMALL).open()
    assert len(source.files) == 4 and not any("bold" in file.path for file in source.files)


def test_positions_depend_on_seed_and_subject_alone(tmp_path) -> None:
    rng = np.random.default_rng(0)
    for n in range(5):
        voxels = rng.integers(20, 256, SHAPE, np.uint8)
        save(tmp_path / "one" / f"sub-{n}.nii", voxels)
        save(tmp_path / "two" / "deep" / f"sub-{n}.nii.gz", voxels)
    one = Nifti(str(tmp_path / "one"), **SMALL)
    assert one.load().data_hash == one.load().data_hash == gather(one.open()).data_hash
    other = Nifti(str(tmp_path / "one"), seed=1, **SMALL).load()
    assert not np.array_equal(other.train, one.load().train)
    added = Nifti(str(tmp_path / "one"), **(SMALL | {"validation": 3})).load()
    assert np.array_equal(np.sort(added.train.ravel()), np.sort(one.load().train.ravel()))
    (tmp_path / "three").mkdir()
    for path in (tmp_path / "two" / "deep").iterdir():
        (tmp_path / "three" / path.name).write_bytes(path.read_bytes())
    packed = Nifti(str(tmp_path / "two"), **SMALL).load().data_hash
    assert packed == Nifti(str(tmp_path / "three"), **SMALL).load().data_hash


def test_patches_are_windows_of_slices_that_cover_enough() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (3, 30, 26), np.uint8)
    picture[:, :, :13] = 12  # air
    found = draw_patches(picture, 8, 50, 0.7, 0, "someone")
    windows = np.lib.stride_tricks.sliding_window_view(picture, (1, 8, 8)).reshape(-1, 8, 8)
    allowed = {window.tobytes() for window in windows if (window > 12).mean() >= 0.7}
    assert found.shape == (50, 1, 8, 8) and {patch.tobytes() for patch in found} <= allowed
    assert len({patch.tobytes() for patch in found}) > 40
    fewer = draw_patches(picture, 8, 20, 0.7, 0, "someone")
    assert np.array_equal(fewer, found[:20])
    assert not np.array_equal(draw_patches(picture, 8, 50, 0.7, 0, "another"), found)


def test_every_position_is_equally_likely() -> None:
    pictures = (np.arange(4 * 9 * 9) % 200 + 50).astype(np.uint8).reshape(4, 9, 9)
    found = draw_patches(pictures, 8, 4000, 0.5, "uniform")
    _, counts = np.unique(found.reshape(4000, -1), axis=0, return_counts=True)
    assert len(counts) == 16  # 2 × 2 corners in each of 4 slices
    assert ((counts - 250) ** 2 / 250).sum() < 38  # chi-square, 15 degrees, p = 0.001


def test_air_is_darker_than_5_per_cent_of_white() -> None:
    assert 12 < 0.05 * 255 < 13
    assert draw_patches(np.full((1, 9, 9), 13, np.uint8), 8, 3, 1.0, 0).shape == (3, 1, 8, 8)
    with pytest.raises(InvalidVolumeError, match="brighter than air on 1% of its pixels"):
        draw_patches(np.full((1, 9, 9), 12, np.uint8), 8, 3, 0.01, 0)


def test_slices_show_front_or_crown_up_and_right_to_the_right() -> None:
    volume = np.zeros((4, 5, 6), np.uint8)
    volume[0, 4, 1] = 1  # left, front, low
    for plane, expected in (
        ("axial", (1, 0, 0)),  # slice from below, first row, first column
        ("coronal", (4, 4, 0)),  # slice from behind, one above the last row, first column
        ("sagittal", (0, 4, 4)),  # slice from the left, one above the last row, last column
    ):
        assert np.argwhere(slices(volume, plane)).tolist() == [list(expected)]


def test_any_orientation_is_turned_to_the_same_volume(tmp_path) -> None:
    ras = np.random.default_rng(2).integers(0, 256, (5, 6, 7), np.uint8)
    left = np.diag([-1.0, 1, 1, 1])
    mixed = np.array([[0, 1, 0, 0], [0, 0, -1, 5], [1, 0, 0, 0], [0, 0, 0, 1]], float)
    oblique = np.array([[0.8, 0.1, 0, 0], [-0.1, 0.8, 0, 0], [0, 0, 1.2, 0], [0, 0, 0, 1]])
    for name, voxels, affine in (
        ("ras", ras, np.eye(4)),
        ("las", ras[::-1], left),
        ("srp", ras.transpose(2, 0, 1)[:, :, ::-1], mixed),
        ("oblique", ras, oblique),
        ("frame", ras[..., None], np.eye(4)),  # four axes, the last of length 1
    ):
        path = save(tmp_path / f"{name}.nii.gz", np.ascontiguousarray(voxels), affine)
        assert np.array_equal(read_volume(path), ras), name


def test_eight_bits_are_kept_and_others_scaled_by_percentiles(tmp_path) -> None:
    rng = np.random.default_rng(3)
    brain = np.zeros(20**3)
    brain[:5000] = rng.gamma(9.0, 100.0, 5000)
    brain = brain.reshape(20, 20, 20)
    white = np.percentile(brain[brain > 0], 99.5)
    expected = np.clip(np.rint(brain / white * 255), 0, 255)
    found = read_volume(save(tmp_path / "float.nii", brain.astype(np.float32)))
    assert np.abs(found - expected).max() <= 1 and (found != expected).mean() < 1e-3
    doubled = read_volume(save(tmp_path / "double.nii", 2 * brain))
    assert (doubled != found).mean() < 1e-3
    eight = rng.integers(3, 99, (9, 9, 9), np.uint8)
    assert np.array_equal(read_volume(save(tmp_path / "eight.nii", eight)), eight)


def test_a_slope_is_applied_before_scaling(tmp_path) -> None:
    raw = np.random.default_rng(4).integers(-200, 1000, (12, 12, 12)).astype(np.int16)
    scaled = save(tmp_path / "scaled.nii", raw)
    content = bytearray(scaled.read_bytes())
    content[112:120] = struct.pack("<2f", 2.0, 400.0)  # scl_slope and scl_inter
    scaled.write_bytes(content)
    plain = read_volume(save(tmp_path / "plain.nii", (2.0 * raw + 400).astype(np.float32)))
    assert np.array_equal(read_volume(scaled), plain)
    assert plain.min() == 0 and plain.max() == 255


def test_a_standardised_volume_keeps_its_dark_half(tmp_path) -> None:
    normal = np.random.default_rng(5).normal(size=(20, 20, 20)).astype(np.float32)
    found = read_volume(save(tmp_path / "z.nii", normal))
    low = np.percentile(normal, 0.5)
    high = np.percentile(normal[normal > low], 99.5)
    assert found[normal < low].max() == 0 and found[normal > high].min() == 255
    assert np.median(found) == pytest.approx(255 * -low / (high - low), abs=3)


def bad(kind: str, path: Path) -> None:
    """Replace the volume at `path` by one that cannot be used."""
    voxels = head().astype(np.float32)
    if kind == "four":
        save(path, np.stack([voxels, voxels], -1))
    elif kind == "flat":
        save(path, voxels[:, :, 0])
    elif kind in ("nan", "inf"):
        voxels[20, 20, 20] = float(kind)
        save(path, voxels)
    elif kind == "constant":
        save(path, np.full(SHAPE, 7, np.int16))
    elif kind == "small":
        save(path, head()[:12])
    elif kind == "thin":
        save(path, np.where(np.arange(44)[:, None] == 3, head(), 0))
    elif kind == "colour":
        save(path, np.zeros(SHAPE, [("R", "u1"), ("G", "u1"), ("B", "u1")]))
    elif kind == "complex":
        save(path, voxels.astype(np.complex64))
    elif kind == "affine":
        header = bytearray(gzip.decompress(path.read_bytes()))
        header[280:296] = bytes(16)  # srow_x: no axis goes from left to right
        path.write_bytes(gzip.compress(header))
    elif kind == "text":
        path.write_bytes(gzip.compress(b"not a volume" * 99))
    elif kind == "cut":
        path.write_bytes(path.read_bytes()[:300])
    elif kind == "empty":
        path.write_bytes(b"")


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("four", "is 40x44x36x2 instead of three-dimensional"),
        ("flat", "is 40x44 instead of three-dimensional"),
        ("nan", "holds NaN or infinite voxels"),
        ("inf", "holds NaN or infinite voxels"),
        ("constant", "is 7 throughout"),
        ("small", "slices of 12x44 are smaller than a patch of 16x16"),
        ("thin", "no patch of 16x16 is brighter than air on 50% of its pixels"),
        ("colour", "not numbers"),
        ("complex", "not numbers"),
        ("affine", "has no orientation"),
        ("text", "cannot be read as NIfTI"),
        ("cut", "cannot be read as NIfTI"),
        ("empty", "cannot be read as NIfTI"),
    ],
)
def test_a_bad_volume_is_named_and_refused_or_skipped(tmp_path, kind, message) -> None:
    fill(tmp_path, [f"{split}/sub-{split}{n}.nii.gz" for split in ("train", "val", "test")
                    for n in range(3)])  # fmt: skip
    bad(kind, tmp_path / "train" / "sub-train1.nii.gz")
    with pytest.raises(UnreadableError, match=rf"beginning with train/sub-train1.*{message}") as e:
        Nifti(str(tmp_path), **SMALL).load()
    assert "\n" not in str(e.value)
    source = Nifti(str(tmp_path), **SMALL).open()
    source.tolerated = 0.3
    images = gather(source)
    assert owners(images.train) == {100, 102} and len(images.train) == 27


def test_a_split_without_a_usable_volume_is_refused(tmp_path) -> None:
    fill(tmp_path, [f"{split}/sub-{split}.nii.gz" for split in ("train", "val", "test")])
    bad("nan", tmp_path / "val" / "sub-val.nii.gz")
    source = Nifti(str(tmp_path), **SMALL).open()
    source.tolerated = 1.0
    with pytest.raises(TooFewImagesError, match="no volume of split validation can be read"):
        gather(source)


def test_a_volume_larger_than_memory_is_refused_by_its_header(tmp_path) -> None:
    header = nibabel.Nifti1Header()
    header.set_data_shape((30_000, 30_000, 30_000))
    path = tmp_path / "huge.nii"
    path.write_bytes(header.binaryblock + bytes(400))
    with pytest.raises(InvalidVolumeError, match="says it is 30000x30000x30000"):
        read_volume(path)


def test_a_volume_is_read_once_for_all_threads(tmp_path, monkeypatch) -> None:
    fill(tmp_path, [f"{split}/sub-{split}.nii.gz" for split in ("train", "val", "test")])
    seen: list[str] = []
    real = read_volume
    monkeypatch.setattr(
        volume_source, "read_volume", lambda path: seen.append(path.name) or real(path)
    )
    gather(Nifti(str(tmp_path), **(SMALL | {"train": 2000})).open())
    assert sorted(seen) == ["sub-test.nii.gz", "sub-train.nii.gz", "sub-val.nii.gz"]


def test_recent_forgets_the_oldest_and_never_hangs() -> None:
    calls: list[int] = []

    def compute(key: int) -> int:
        calls.append(key)
        if key < 0:
            raise KeyboardInterrupt
        return key * 10

    recent = Recent(compute, size=2, workers=1)
    assert [recent(key) for key in (1, 2, 1, 3, 1, 2)] == [10, 20, 10, 30, 10, 20]
    assert calls == [1, 2, 3, 2]
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            recent(-1)
    results: list[int] = []
    threads = [Thread(target=lambda: results.append(recent(7))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    assert results == [70] * 8 and calls.count(7) == 1


def test_what_is_not_there_is_one_clear_sentence(tmp_path, monkeypatch) -> None:
    with pytest.raises(MissingFilesError, match=r"no folder .*none: give the path"):
        Nifti(str(tmp_path / "none")).open()
    with pytest.raises(MissingFilesError, match=r"no \.nii or \.nii\.gz file below"):
        Nifti(str(tmp_path)).open()
    fill(tmp_path, ["a.nii", "b.nii"])
    with pytest.raises(TooFewImagesError, match="too few subjects, 2, to cut test and validation"):
        Nifti(str(tmp_path)).open()
    with pytest.raises(InvalidOptionError, match=r"subject='x\+' finds nothing in a\.nii"):
        Nifti(str(tmp_path), subject="x+").open()
    monkeypatch.setattr(volumes, "find_spec", lambda name: None)
    with pytest.raises(MissingNibabelError, match="pip install nibabel"):
        Nifti(str(tmp_path)).open()


@pytest.mark.parametrize(
    "options",
    [{"path": ""}, {"patch": 7}, {"patch": 64.0}, {"slices": "oblique"}, {"coverage": 1.1},
     {"coverage": True}, {"coverage": float("nan")}, {"train": 0}, {"subject": "("},
     {"subject": 3}, {"seed": -1}],
)  # fmt: skip
def test_bad_options_are_refused_before_any_file_is_read(options) -> None:
    with pytest.raises(InvalidOptionError):
        Nifti(**{"path": "does-not-exist", **options})


def test_real_brains_are_split_by_subject_and_look_like_brains() -> None:
    folder = os.environ.get("HARNESS_DATA")
    if not folder or not Path(folder, "brain_t1").is_dir():
        pytest.skip("HARNESS_DATA has no brain_t1 folder")
    source = Nifti(str(Path(folder, "brain_t1")), train=1000, validation=100, test=200).open()
    assert "train 14, validation 2, test 4" in source.description and len(source.files) == 20
    images = gather(source)
    assert len(images.train) == 1000 and images.train.shape[1:] == (1, 64, 64)
    covered = (images.train > 12).mean(axis=(1, 2, 3))
    assert covered.min() >= 0.5 and covered.mean() > 0.8
    assert 90 < images.train.mean() < 170 and images.train.std(axis=(1, 2, 3)).min() > 10
