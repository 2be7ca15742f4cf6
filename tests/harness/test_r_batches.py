"""Batches: resident and streamed give the same bits, and a stopped stream leaves no thread."""

import itertools
import threading
import time
from pathlib import Path

import contract_losses as losses_
import numpy as np
import pytest
import tiny
import torch

from harness import batches as module
from harness import manifest, prepared
from harness.batches import Batches
from harness.errors import Interrupted

CPU = torch.device("cpu")


def made(resident: bool, count: int = 70, batch: int = 16) -> Batches:
    return Batches(tiny.images(count), batch, CPU, resident)


def gone(before: int) -> bool:
    """Wait a little for threads to end."""
    for _ in range(100):
        if threading.active_count() == before:
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("resident", [True, False])
def test_shuffled_yields_whole_batches_each_image_at_most_once(resident: bool) -> None:
    """70 images in batches of 16: four batches of different images, in [0, 1], as float32."""
    source = tiny.images(70)
    found = list(made(resident).shuffled(torch.Generator().manual_seed(3)))
    assert [tuple(batch.shape) for batch in found] == [(16, 1, 16, 16)] * 4
    assert all(batch.dtype == torch.float32 for batch in found)
    order = torch.randperm(70, generator=torch.Generator().manual_seed(3))[:64]
    expected = source[order.numpy()].astype(np.float32) / np.float32(255)
    assert np.array_equal(torch.cat(found).numpy(), expected)


@pytest.mark.parametrize("resident", [True, False])
def test_ordered_yields_every_image_once_in_order(resident: bool) -> None:
    """The last batch holds the rest."""
    found = list(made(resident).ordered())
    assert [len(batch) for batch in found] == [16, 16, 16, 16, 6]
    expected = tiny.images(70).astype(np.float32) / np.float32(255)
    assert np.array_equal(torch.cat(found).numpy(), expected)


@pytest.mark.parametrize("resident", [True, False])
@pytest.mark.parametrize("start", [0, 1, 3])
def test_an_epoch_entered_late_goes_on_with_the_same_batches(resident: bool, start: int) -> None:
    """What a resumed run sees is the rest of the permutation."""
    whole = list(made(resident).shuffled(torch.Generator().manual_seed(5)))
    late = list(made(resident).shuffled(torch.Generator().manual_seed(5), start=start))
    assert len(late) == 4 - start
    assert all(map(torch.equal, late, whole[start:]))


def drawn(resident: bool, seed: int = 5, start: int = 0) -> list[torch.Tensor]:
    found = Batches(tiny.images(70), 16, CPU, resident, stochastic=True)
    return list(found.shuffled(torch.Generator().manual_seed(seed), start))


def test_probabilities_are_drawn_the_same_resident_streamed_and_resumed() -> None:
    whole = drawn(True)
    assert all(map(torch.equal, whole, drawn(False)))
    for start in (1, 3):
        for resident in (True, False):
            late = drawn(resident, start=start)
            assert len(late) == 4 - start and all(map(torch.equal, late, whole[start:]))
    assert not torch.equal(torch.cat(whole), torch.cat(drawn(True, seed=6)))


def test_probabilities_become_zeros_and_ones_of_that_frequency() -> None:
    """One image of four levels at every place: each visit draws anew, 0 and 255 never change."""
    levels = np.array([0, 64, 191, 255], np.uint8)
    images = np.tile(levels.repeat(64).reshape(1, 1, 16, 16), (64, 1, 1, 1))
    found = Batches(images, 16, CPU, stochastic=True)
    values = torch.cat(list(found.shuffled(torch.Generator().manual_seed(1))))
    assert values.dtype == torch.float32 and set(values.unique().tolist()) == {0.0, 1.0}
    means = values.view(64, 4, 64).mean(dim=(0, 2))
    # 4,096 draws each: a standard deviation of 0.007
    assert torch.allclose(means, torch.from_numpy(levels / 255).float(), atol=0.03)
    assert (means[0], means[3]) == (0, 1)
    assert not torch.equal(values[0], values[1]) and not torch.equal(values[:16], values[16:32])
    # the same order as without, and evaluation sees the data as they are
    plain = torch.cat(list(Batches(images, 16, CPU).ordered()))
    assert torch.equal(torch.cat(list(found.ordered())), plain)


def test_what_a_stochastic_run_trains_on_is_never_grey() -> None:
    seen: list[torch.Tensor] = []

    class Noting(losses_.Plain):
        def forward(
            self, recon: torch.Tensor, target: torch.Tensor, *rest: torch.Tensor, **more: object
        ) -> torch.Tensor:
            seen.append(target.detach().clone())
            return super().forward(recon, target, *rest, **more)

    for stochastic, grey in ((True, False), (False, True)):
        seen.clear()
        tiny.trainer(Noting(), stochastic=stochastic).run()
        values = torch.cat(seen).unique()
        assert (len(values) > 2) == grey


def test_a_memory_map_gives_the_same_batches(tmp_path: Path) -> None:
    """Also a map of the first images of a file, as `limit` makes them."""
    np.save(tmp_path / "a.npy", tiny.images(70))
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")[:40]
    for resident in (True, False):
        found = torch.cat(list(Batches(mapped, 16, CPU, resident).ordered()))
        assert torch.equal(found, torch.cat(list(made(True).ordered()))[:40])


@pytest.mark.parametrize("damaged", [False, True])
def test_a_dataset_has_the_same_layout_prepared_now_or_before(
    tmp_path: Path, damaged: bool
) -> None:
    """Strides decide which kernel runs, and so the bits: also where a kept file is damaged."""
    component = tiny.tiny_cell().dataset
    first = prepared.load(component, tmp_path)
    if damaged:
        place = manifest.target(component, tmp_path)
        content = (place / "train.npy").read_bytes()
        (place / "train.npy").unlink()  # the first map keeps the old file
        (place / "train.npy").write_bytes(content[:5000])
    second = prepared.load(component, tmp_path)
    for split in manifest.SPLITS:
        arrays = [getattr(found, split) for found in (first, second)]
        assert arrays[0].strides == arrays[1].strides == (256, 256, 16, 1)
        assert np.array_equal(*arrays)


def test_training_is_the_same_resident_and_streamed() -> None:
    """Two epochs with every hook, bit by bit; the mark shows that both ways were taken."""
    trainers = [
        tiny.trainer(losses_.Adversarial(), keys={"epochs": 2}, resident=resident)
        for resident in (True, False)
    ]
    results = [trainer.run() for trainer in trainers]
    assert [trainer.batches.resident for trainer in trainers] == [True, False]
    assert tiny.same(*(tiny.state_of(trainer.model) for trainer in trainers))
    assert tiny.same(*(tiny.state_of(trainer.loss) for trainer in trainers))
    assert results[0].curve_energy == results[1].curve_energy


@pytest.mark.parametrize("taken", [0, 1, 2, 4])
def test_the_thread_ends_when_the_consumer_stops_early(taken: int) -> None:
    """Closing the iterator after some batches leaves nothing behind."""
    before = threading.active_count()
    stream = made(False, 640).shuffled(torch.Generator())
    assert len(list(itertools.islice(stream, taken))) == taken
    stream.close()
    assert gone(before)


def test_the_thread_ends_when_training_is_interrupted() -> None:
    """The exception leaves the loop within an epoch."""
    before = threading.active_count()
    trainer = tiny.trainer(losses_.Plain(), resident=False, stop=tiny.stop_after(2))
    with pytest.raises(Interrupted):
        trainer.run()
    assert gone(before)


class Broken(np.ndarray):
    """Fails at the third gathered batch, as a disk would."""

    reads = 0

    def __getitem__(self, index: object) -> np.ndarray:
        Broken.reads += 1
        if Broken.reads == 3:
            raise OSError("the disk is gone")
        return np.asarray(super().__getitem__(index))


def test_an_error_in_the_thread_reaches_the_consumer() -> None:
    """After the batches before it, with its own type and words."""
    Broken.reads = 0
    before = threading.active_count()
    stream = Batches(tiny.images(160).view(Broken), 16, CPU, False).ordered()
    assert [len(next(stream)) for _ in range(2)] == [16, 16]
    with pytest.raises(OSError, match="the disk is gone"):
        next(stream)
    assert gone(before)


def test_the_thread_reads_at_most_a_few_batches_ahead() -> None:
    """A slow consumer does not make it hold the whole set."""
    Broken.reads = 10
    stream = Batches(tiny.images(640).view(Broken), 16, CPU, False).ordered()
    next(stream)
    time.sleep(0.1)
    assert Broken.reads - 10 <= 1 + 2 + 1  # taken, in the queue, in hand
    stream.close()


def test_a_cpu_keeps_all_images_and_a_gpu_those_that_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """At most 40 % of the free memory of a GPU goes to images."""
    source = tiny.images(64)
    assert module.fits(source, CPU)
    free = [int(source.nbytes / 0.41)]
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free[0], 0))
    assert not module.fits(source, torch.device("cuda"))
    free[0] = int(source.nbytes / 0.39)
    assert module.fits(source, torch.device("cuda"))
