import hashlib
import pickle
import shutil
from itertools import chain

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from deepmatte.data import (
    Composition,
    CompositionDataset,
    EvalSampler,
    FixedCompositionDataset,
    FolderData,
    ImageDataset,
    StreamSampler,
    collate,
)
from deepmatte.errors import InputError

JITTER = {"brightness": 0.2, "contrast": 0.2, "saturation": 0.2, "hue": 0.05}
RECIPE = {
    "crop_sizes": (32, 48, 64),
    "size": 32,
    "erode": (1, 7),
    "dilate": (1, 7),
    "foreground_jitter": JITTER,
    "background_jitter": JITTER,
}


def training(root, seed: int = 0, **options) -> CompositionDataset:
    source = FolderData(root, val_fraction=0, test_fraction=0)
    return CompositionDataset(
        source.foregrounds("train"), source.backgrounds("train"), Composition(**RECIPE | options), seed
    )


def fixed(root, split="val", version="1", per_foreground=2, **options) -> FixedCompositionDataset:
    source = FolderData(root, val_fraction=0, test_fraction=0, version=version)
    layers = source.foregrounds("train"), source.backgrounds("train")
    recipe = Composition(**RECIPE | options)
    return FixedCompositionDataset(
        *layers,
        recipe,
        name="folder",
        version=version,
        split=split,
        backgrounds_per_foreground=per_foreground,
    )


def loaded(dataset, sampler, batch_size, workers=0):
    return DataLoader(
        dataset, batch_size, sampler=sampler, num_workers=workers, collate_fn=collate, drop_last=True
    )


def digest_of(batches) -> str:
    digest = hashlib.sha256()
    for batch in batches:
        for key in sorted(batch):
            value = batch[key]
            digest.update(
                value.numpy().tobytes() if isinstance(value, torch.Tensor) else repr(value).encode()
            )
    return digest.hexdigest()


def joined(parts):
    values = {key: [part[key] for part in parts] for key in parts[0]}
    return {
        key: torch.cat(value) if torch.is_tensor(value[0]) else list(chain.from_iterable(value))
        for key, value in values.items()
    }


def stream(root, num=24, batch_size=6, epoch=1, world_size=1, workers=0, seed=0):
    """The first batches of an epoch as all processes see them together."""
    ranks = []
    for rank in range(world_size):
        sampler = StreamSampler(num, batch_size, rank, world_size)
        sampler.set_epoch(epoch)
        ranks.append(list(loaded(training(root, seed), sampler, batch_size // world_size, workers)))
    return [joined(parts) for parts in zip(*ranks, strict=True)]


@pytest.mark.parametrize("backend", ["opencv", "albumentations"])
def test_a_data_set_that_is_sent_to_another_process_has_the_same_samples(tree, backend: str):
    """Workers are no forks everywhere: on a Mac, and from Python 3.14 on unless forks are asked for."""
    dataset = training(tree(), backend=backend)
    sent = pickle.loads(pickle.dumps(dataset))
    assert digest_of([sent[(0, 3)]]) == digest_of([dataset[(0, 3)]])


def test_stream_is_the_same_for_any_number_of_workers_and_processes(tree):
    root = tree()
    expected = digest_of(stream(root))
    assert digest_of(stream(root, workers=2)) == expected
    assert digest_of(stream(root, world_size=2)) == expected
    assert digest_of(stream(root, world_size=3)) == expected
    np.random.seed(5)
    torch.manual_seed(5)
    assert digest_of(stream(root)) == expected


def test_stream_changes_with_seed_and_epoch(tree):
    root = tree()
    assert (
        len(
            {
                digest_of(stream(root, num=6)),
                digest_of(stream(root, num=6, seed=1)),
                digest_of(stream(root, num=6, epoch=2)),
            }
        )
        == 3
    )


def test_sample_does_not_depend_on_what_was_read_before(tree):
    root = tree()
    dataset, other = training(root), training(root)
    keys = [(epoch, index) for epoch in range(3) for index in (0, 7, 19)]
    samples = {key: dataset[key] for key in keys}
    for key in reversed(keys):
        assert digest_of([other[key]]) == digest_of([samples[key]])


def test_every_batch_composes_exactly(tree):
    for batch in stream(tree()):
        a, f, b = (batch[key].double() for key in ("alpha", "foreground", "background"))
        assert (batch["composite"] - (a * f + (1 - a) * b)).abs().max() <= 1e-6
        assert (batch["alpha"][batch["trimap"] == 0] == 0).all()
        assert (batch["alpha"][batch["trimap"] == 255] == 1).all()
        assert batch["image"].shape == (6, 3, 32, 32)
        assert batch["trimap"].shape == batch["alpha"].shape == (6, 1, 32, 32)
        assert batch["index"].dtype == torch.int64
        assert len(batch["name"]) == 6


def test_foregrounds_take_turns_and_backgrounds_are_all_used(tree):
    dataset = training(tree())
    names = [dataset[(0, index)]["name"].split(" over ") for index in range(40)]
    orders = [tuple(name for name, _ in names[start : start + 4]) for start in range(0, 40, 4)]
    assert all(sorted(order) == ["cat", "dog", "fern", "glass"] for order in orders)
    assert len(set(orders)) > 3
    assert {background for _, background in names} == {"sea", "wall", "wood"}


def test_global_generators_are_left_alone(tree):
    dataset, evaluation = training(tree()), fixed(tree())
    before = np.random.get_state()[1].tobytes(), torch.get_rng_state().tolist()
    dataset[(0, 3)], evaluation[1]
    assert (np.random.get_state()[1].tobytes(), torch.get_rng_state().tolist()) == before


def test_foreground_smaller_than_the_crop_is_refused_before_training(tree):
    with pytest.raises(InputError, match=r"fg/cat\.jpg: 128x96 pixels"):
        training(tree(), crop_sizes=(97, 200))


def test_another_word_for_what_to_do_with_bad_files_is_refused(tree):
    source = FolderData(tree(), val_fraction=0, test_fraction=0)
    with pytest.raises(InputError, match=r"^data\.on_error=ignore: is none of stop, skip"):
        CompositionDataset(
            source.foregrounds("train"),
            source.backgrounds("train"),
            Composition(**RECIPE),
            0,
            on_error="ignore",
        )


def test_validation_does_not_move(tree):
    root = tree()
    first = [digest_of([sample]) for sample in (fixed(root)[i] for i in range(8))]
    assert [digest_of([sample]) for sample in (fixed(root)[i] for i in reversed(range(8)))] == first[::-1]
    # Nothing of the training recipe reaches it, and each of its own numbers does.
    assert (
        digest_of([fixed(root, crop_sizes=(40,), size=24, flip=1.0, foreground_jitter=None)[3]]) == first[3]
    )
    assert digest_of([fixed(root, version="2")[3]]) != first[3]
    assert digest_of([fixed(root, split="test")[3]]) != first[3]


def test_validation_loaded_by_workers_and_processes_is_the_same(tree):
    dataset = fixed(tree())
    expected = {i: digest_of([collate([dataset[i]])]) for i in range(len(dataset))}
    found = {}
    for rank in range(3):
        for batch in loaded(dataset, EvalSampler(len(dataset), rank, 3), 1, workers=int(rank == 0)):
            found[int(batch["index"])] = digest_of([batch])
    assert found == expected


def test_records_name_the_layers_that_were_composed(tree):
    root = tree()
    dataset = fixed(root)
    assert len(dataset) == 8
    assert [dataset.record(i)["image"] for i in range(3)] == ["cat_0", "cat_1", "dog_0"]
    assert len({dataset.record(i)["image"] for i in range(8)}) == 8
    for i in range(8):
        record, sample = dataset.record(i), dataset[i]
        assert sample["name"] == record["image"]
        assert sample["index"] == i
        stored = np.asarray(Image.open(root / "alpha" / f"{record['foreground']}.png"))
        np.testing.assert_array_equal(np.round(sample["alpha"][0].numpy() * 255), stored)
        # The background is scaled by 1.28 to cover; its mean colour tells which it is.
        means = {
            name: np.asarray(Image.open(root / "bg" / f"{name}.png")).mean((0, 1))
            for name in ("sea", "wall", "wood")
        }
        colour = sample["background"].mean((1, 2)).numpy() * 255
        assert min(means, key=lambda name: np.abs(means[name] - colour).sum()) == record["background"]
    assert [fixed(root, per_foreground=1).record(i)["image"] for i in range(4)] == [
        "cat",
        "dog",
        "fern",
        "glass",
    ]


def test_backgrounds_of_a_foreground_differ_while_there_are_enough(tree):
    dataset = fixed(tree(), per_foreground=3)
    for start in range(0, 12, 3):
        assert {dataset.record(start + k)["background"] for k in range(3)} == {"sea", "wall", "wood"}


def test_digest_names_what_is_scored(tree, tmp_path):
    root = tree()
    digest = fixed(root).digest()
    assert len(digest) == 64
    assert fixed(root, crop_sizes=(64,)).digest() == digest
    changes = [
        {"split": "test"},
        {"version": "2"},
        {"per_foreground": 1},
        {"max_side": 50},
        {"erode": (2, 13)},
    ]
    assert len({digest, *(fixed(root, **change).digest() for change in changes)}) == 6
    moved = tmp_path / "moved"
    for folder in ("fg", "alpha", "bg"):
        shutil.copytree(root / folder, moved / folder)
    assert fixed(moved).digest() == digest
    (moved / "bg" / "sea.png").unlink()
    assert fixed(moved).digest() != digest


def test_triples_become_batches_without_layers(tmp_path):
    rng = np.random.default_rng(0)
    for folder, values in (("image", (0, 256, (20, 30, 3))), ("alpha", (0, 256, (20, 30)))):
        (tmp_path / folder).mkdir()
        Image.fromarray(rng.integers(*values, dtype=np.uint8)).save(tmp_path / folder / "a.png")
    (tmp_path / "trimap").mkdir()
    Image.fromarray(rng.choice(np.array([0, 102, 255], np.uint8), (20, 30))).save(
        tmp_path / "trimap" / "a.png"
    )
    dataset = ImageDataset(
        FolderData(tmp_path, image="image", trimap="trimap").images("test"),
        name="photos",
        version="1",
        split="test",
    )
    batch = collate([dataset[0]])
    assert set(batch) == {"image", "trimap", "alpha", "name", "index"}
    np.testing.assert_array_equal(
        np.round(batch["image"][0].numpy() * 255).transpose(1, 2, 0),
        np.asarray(Image.open(tmp_path / "image" / "a.png")),
    )
    assert set(batch["trimap"].unique().tolist()) == {0, 128, 255}
    assert dataset.record(0) == {"image": "a", "foreground": "a", "background": "", "category": ""}


@pytest.mark.parametrize("workers", [0, 1])
def test_errors_in_files_reach_the_user_as_one_line(tree, workers):
    root = tree()
    dataset = training(root)
    for file in (root / "alpha").iterdir():
        file.write_bytes(file.read_bytes()[:-100])
    message = failure_of(loaded(dataset, StreamSampler(8, 2), 2, workers))
    assert "\n" not in message
    assert message.startswith(str(root / "alpha"))
    assert "damaged" in message


def failure_of(loader) -> str:
    try:
        list(loader)
    except InputError as error:
        # The loader's re-raised error holds on to its own frames, and collecting that knot would wait five
        # seconds for the worker.
        error.__traceback__ = None
        return str(error)
    return "nothing was raised"


def test_files_that_vanish_are_named(tree):
    root = tree()
    dataset = fixed(root)
    (root / "bg" / "sea.png").unlink()
    with pytest.raises(InputError, match=r"sea\.png: there is no such file"):
        dataset[0]


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["dim", "gca", "degrade"])
def test_first_thousand_samples_are_the_same_however_they_are_loaded(tiny, recipe):
    """Workers 0, 1 and 4; one, two and three processes; an epoch that is resumed; another loss."""
    from tiny_run import compose

    from deepmatte.training.building.from_config import build_data

    sizes = ("data.samples_per_epoch=504", "data.batch_size=12", f"composition={recipe}")

    def batches(*overrides, rank=0, world_size=1, starts=((0, 0), (1, 0))):
        data = build_data(compose("train", tiny(*sizes, *overrides)))
        workers = data.num_workers
        for start in starts:
            sampler = StreamSampler(504, 12, rank, world_size, start=start)
            sampler.set_epoch(start[0])
            yield from loaded(data.train_dataset(), sampler, 12 // world_size, workers)

    expected = digest_of(batches())
    assert digest_of(batches("data.num_workers=1")) == expected
    assert digest_of(batches("data.num_workers=4", "loss=alpha")) == expected
    for world_size in (2, 3):
        ranks = [batches(rank=rank, world_size=world_size) for rank in range(world_size)]
        assert digest_of(joined(parts) for parts in zip(*ranks, strict=True)) == expected
    whole = [digest_of([batch]) for batch in batches()]
    assert [digest_of([batch]) for batch in batches("data.num_workers=1", starts=((1, 17),))] == whole[
        42 + 17 :
    ]


class Plates:
    """Images with the background captured beside them, as somebody's own set has them: plain tuples."""

    names = ("a", "b")
    offers = ("captured_background", "foreground")

    def __len__(self) -> int:
        return 2

    def load(self, index: int):
        image, plate, front = np.random.default_rng(index).integers(0, 256, (3, 6, 8, 3), np.uint8)
        alpha = np.full((6, 8), 10 * index, np.uint8)
        return image, np.full((6, 8), 128, np.uint8), alpha, front, None, plate


def test_what_a_set_of_images_offers_beside_the_matte_is_served_by_its_name() -> None:
    dataset = ImageDataset(Plates(), name="plates", version="1")
    assert dataset.serves[-2:] == ("captured_background", "foreground")
    batch = collate([dataset[0], dataset[1]])
    for index in (0, 1):
        image, _, alpha, front, _, plate = Plates().load(index)
        for key, pixels in {"image": image, "foreground": front, "captured_background": plate}.items():
            assert np.array_equal((batch[key][index] * 255).round().permute(1, 2, 0).numpy(), pixels)
        assert float(batch["alpha"][index].mean()) == pytest.approx(alpha[0, 0] / 255)
    assert set(dataset.serves) == set(dataset[0])
