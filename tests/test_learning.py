"""The small network learns: fixed crops by heart, and from true mattes more than from shuffled ones."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from deepmatte.batch import Batch
from deepmatte.data import Composition, CompositionDataset, collate
from deepmatte.data.procedural import ProceduralData
from deepmatte.models import DeepImageMatting


def crops(procedural_cache, num: int, kind: str, size: int = 96) -> Batch:
    """Crops of one kind of foreground, drawn for this test alone."""
    source = ProceduralData(size=256, num_train=24, cache_dir=procedural_cache)
    foregrounds = source.foregrounds("train")
    dataset = CompositionDataset(
        foregrounds,
        source.backgrounds("train"),
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


@pytest.mark.slow
def test_the_small_network_learns_eight_hair_crops_by_heart(procedural_cache) -> None:
    batch = crops(procedural_cache, 8, "hair")
    unknown = batch["trimap"] == 128
    torch.manual_seed(0)
    model = DeepImageMatting(width=0.125, norm="batch", channels_last=True)
    steps = 900
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, total_steps=steps)
    for _ in range(steps):
        optimizer.zero_grad()
        F.mse_loss(model(batch).alpha[unknown], batch["alpha"][unknown]).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        assert float(F.mse_loss(model(batch).alpha[unknown], batch["alpha"][unknown])) < 0.002
