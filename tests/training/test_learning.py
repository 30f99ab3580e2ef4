"""The small network learns: fixed crops by heart, and from true mattes more than from shuffled ones."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from deepmatte.batch import Batch
from deepmatte.data import Composition, CompositionDataset, collate
from deepmatte.data.procedural import ProceduralData
from deepmatte.models import DeepImageMatting


def crops(procedural_cache, split: str, num: int, kind: str = "", size: int = 96) -> Batch:
    """Crops of one kind of foreground (or of all), drawn for this test alone."""
    source = ProceduralData(size=256, num_train=48, cache_dir=procedural_cache)
    dataset = CompositionDataset(
        source.foregrounds(split),
        source.backgrounds(split),
        Composition(crop_sizes=[size], size=size, erode=(1, 15), dilate=(1, 15)),
        seed=0,
        name=source.name,
        version=source.version,
    )
    samples, index = [], 0
    while len(samples) < num:
        sample = dataset[(0, index)]
        samples += [sample] if sample["name"].startswith(kind) else []
        index += 1
    return collate(samples)


def small_network() -> DeepImageMatting:
    torch.manual_seed(0)
    return DeepImageMatting(width=0.125, norm="batch", skips=True, channels_last=True)


def descend(
    model: DeepImageMatting, batches: Iterator[Batch], steps: int, loss: Callable[[Tensor, Tensor], Tensor]
) -> None:
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, total_steps=steps)
    for batch in itertools.islice(batches, steps):
        unknown = batch["trimap"] == 128
        optimizer.zero_grad()
        loss(model(batch).alpha[unknown], batch["alpha"][unknown]).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()


@pytest.mark.slow
def test_the_small_network_learns_eight_hair_crops_by_heart(procedural_cache) -> None:
    batch = crops(procedural_cache, "train", 8, "hair")
    model = small_network()
    descend(model, itertools.repeat(batch), 900, F.mse_loss)
    unknown = batch["trimap"] == 128
    with torch.no_grad():
        assert float(F.mse_loss(model(batch).alpha[unknown], batch["alpha"][unknown])) < 0.002


def shares(batch: Batch, size: int, seed: int) -> Iterator[Batch]:
    """Batches of ``size`` samples of ``batch``, for ever."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        for some in torch.randperm(len(batch["alpha"]), generator=generator).split(size):
            yield Batch(**{key: value[some] for key, value in batch.items() if isinstance(value, Tensor)})


@pytest.mark.slow
def test_true_mattes_teach_and_shuffled_ones_do_not(procedural_cache) -> None:
    """On unseen foregrounds; errors are relative to the trivial matte's, alpha = 1/2 where unknown."""
    pool, unseen = crops(procedural_cache, "train", 480), crops(procedural_cache, "test", 64)
    unknown = unseen["trimap"] == 128
    trivial = float((0.5 - unseen["alpha"][unknown]).abs().mean())
    order = torch.randperm(len(pool["alpha"]), generator=torch.Generator().manual_seed(1))
    error = {}
    for name, alpha in (("true", pool["alpha"]), ("shuffled", pool["alpha"][order])):
        model = small_network()
        descend(model, shares(Batch(**{**pool, "alpha": alpha}), 8, seed=2), 600, F.binary_cross_entropy)
        model.eval()
        with torch.no_grad():
            error[name] = float((model(unseen).alpha - unseen["alpha"])[unknown].abs().mean()) / trivial
    print(error)
    assert error["true"] < 0.75
    assert error["shuffled"] > 0.9
