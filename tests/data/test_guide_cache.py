"""Guides: what names them in the cache, faults of its files, its limit, the part of a sample that is seen."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from deepmatte.data.guides import GuideCache, GuidedDataset, Solver, view
from deepmatte.data.samples import MattingDataset
from deepmatte.errors import InputError
from deepmatte.ops.zones import impose_trimap


class Noise(MattingDataset):
    """Samples by (epoch, index) that differ by their index alone."""

    def __init__(self, size: int = 24) -> None:
        super().__init__("noise", "1", "train")
        self.size = size

    def make(self, key):
        rng = np.random.default_rng(key[1])
        image = torch.from_numpy(rng.random((3, self.size, self.size), dtype=np.float32))
        trimap = torch.from_numpy(rng.choice(np.array([0, 128, 255], np.uint8), (1, self.size, self.size)))
        return {
            "image": image,
            "composite": image,
            "trimap": trimap,
            "alpha": image[:1],
            "name": "n",
            "index": 3,
        }


class Red:
    """A method whose matte is the red channel; counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, image: np.ndarray, trimap: np.ndarray) -> np.ndarray:
        self.calls += 1
        return image[..., 0]


def made(folder, max_gb=1.0, version="1", **options):
    red = Red()
    cache = GuideCache(folder, max_gb)
    return GuidedDataset(Noise(), [Solver("red", version, red)], cache, **options), cache, red


def expected(sample) -> torch.Tensor:
    return impose_trimap(sample["image"][:1], sample["trimap"])


def test_a_guide_is_the_methods_matte_with_the_zones_imposed_from_solver_and_cache_alike(tmp_path) -> None:
    dataset, cache, red = made(tmp_path)
    fresh = dataset[(0, 5)]
    torch.testing.assert_close(fresh["guide"], expected(fresh), rtol=0, atol=0.51 / 65535)
    assert "guide" in dataset.serves
    cache.prepare([(dataset.dataset, (0, 5))], dataset.solvers)
    assert len(list(tmp_path.iterdir())) == 1
    red.calls = 0
    assert torch.equal(dataset[(7, 5)]["guide"], fresh["guide"])
    assert red.calls == 0


def test_what_a_guide_is_made_of_names_it_and_nothing_else_does(tmp_path) -> None:
    dataset, cache, _ = made(tmp_path)
    sample = dataset.dataset[(0, 1)]

    def key(version="1", **changes):
        return cache.keys({**sample, **changes}, [Solver("any", version, Red())])[0]

    other = sample["image"].clone()
    other[2, 3, 4] = torch.nextafter(other[2, 3, 4], torch.tensor(2.0))
    zones = sample["trimap"].clone()
    zones[0, 0, 0] = 255 - zones[0, 0, 0]
    keys = [key(), key(version="2"), key(image=other), key(trimap=zones)]
    assert len(set(keys)) == 4
    assert key(name="another", index=9, alpha=1 - sample["alpha"]) == keys[0]
    turned = {name: sample[name].reshape(-1, 12, 48) for name in ("image", "trimap")}
    assert key(**turned) != keys[0]


def test_damaged_and_foreign_files_are_solved_again(tmp_path) -> None:
    dataset, cache, red = made(tmp_path)
    whole = dataset[(0, 0)]["guide"]
    cache.prepare([(dataset.dataset, (0, 0))], dataset.solvers)
    (file,) = tmp_path.iterdir()
    content = file.read_bytes()
    for damaged in (b"", content[:-1], b"\x93NUMPY" + bytes(40), content.replace(b"guide", b"quide")):
        file.write_bytes(damaged)
        red.calls = 0
        assert torch.equal(dataset[(0, 0)]["guide"], whole)
        assert red.calls == 1
    assert cache.prepare([(dataset.dataset, (0, 0))], dataset.solvers) == 1
    assert file.read_bytes() == content


def test_an_interrupted_preparation_goes_on_and_a_full_cache_drops_the_guides_of_others(tmp_path) -> None:
    dataset, cache, _ = made(tmp_path)
    jobs = [(dataset.dataset, (0, index)) for index in range(6)]
    assert cache.prepare(jobs[:4], dataset.solvers) == 4
    assert cache.prepare(jobs, dataset.solvers) == 2
    size = max(file.stat().st_size for file in tmp_path.iterdir())
    others, small, _ = made(tmp_path, max_gb=8.5 * size / 1e9, version="2")
    small.prepare(jobs, others.solvers)
    kept = [small.folder.size(key) for job in jobs for key in small.keys(job[0][job[1]], others.solvers)]
    assert all(kept)
    assert 6 <= len(list(tmp_path.iterdir())) <= 8
    none, off, _ = made(tmp_path / "none", max_gb=0)
    assert off.prepare(jobs, none.solvers) == 0
    assert not (tmp_path / "none").exists()


def test_errors_of_samples_stay_one_line_and_a_negative_size_is_refused(tmp_path) -> None:
    class Broken(Noise):
        def make(self, key):
            raise InputError("cat.png: can't be read")

    dataset, cache, _ = made(tmp_path)
    with pytest.raises(InputError, match=r"^cat\.png: can't be read$"):
        cache.prepare([(Broken(), (0, 0))], dataset.solvers)
    with pytest.raises(InputError, match=r"^data\.guides\.max_gb=-1"):
        GuideCache(tmp_path, -1)


def test_a_step_sees_another_part_in_each_epoch_the_same_in_every_process(tmp_path) -> None:
    dataset, _, _ = made(tmp_path, crop=12, seed=3)
    again, _, _ = made(tmp_path, crop=12, seed=3)
    parts = [dataset[(epoch, 2)] for epoch in range(4)]
    for epoch, part in enumerate(parts):
        assert part["image"].shape == (3, 12, 12)
        assert part["composite"] is part["image"]
        assert (part["trimap"] == 128).any()
        torch.testing.assert_close(part["guide"], expected(part), rtol=0, atol=0.51 / 65535)
        assert torch.equal(part["alpha"], part["image"][:1])
        assert torch.equal(again[(epoch, 2)]["image"], part["image"])
    assert len({part["image"].sum().item() for part in parts}) > 1
    whole = dataset.dataset[(0, 2)]["image"]
    windows = whole.unfold(1, 12, 1).unfold(2, 12, 1).permute(1, 2, 0, 3, 4).reshape(-1, 3, 12, 12)
    assert all(
        any((windows == seen).all((1, 2, 3)).any() for seen in (part["image"], part["image"].flip(-1)))
        for part in parts
    )


def test_a_part_larger_than_the_sample_is_refused() -> None:
    with pytest.raises(InputError, match=r"^data\.guides\.crop=25: is larger than the samples, 24x24"):
        view(Noise()[(0, 0)], 25, np.random.default_rng(0))
