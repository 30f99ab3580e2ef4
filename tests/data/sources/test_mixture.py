"""Several data sets as one: shares of the samples, names, errors, and a file of one's own."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from small_pictures import photograph, soft_matte
from tiny_run import TINY, compose

from deepmatte.cli.data import composed_config
from deepmatte.data import Composition, CompositionDataset, FolderData, Mixture
from deepmatte.data.sources.mixture import turns
from deepmatte.data.sources.protocols import BackgroundSet, ForegroundSet, KnowsSizes
from deepmatte.errors import InputError


class Drawn:
    """A source of ``num`` foregrounds whose colours are all ``grey``."""

    version = "1"

    def __init__(self, name: str, num: int, grey: int) -> None:
        self.name, self.num, self.grey = name, num, grey
        self.names = [f"{name}{i}" for i in range(num)]

    def __len__(self) -> int:
        return self.num

    def foregrounds(self, split):
        return self

    def backgrounds(self, split):
        return _Backgrounds(self)

    def category(self, index):
        return self.name

    def size(self, index):
        return 40, 40

    def load(self, index):
        return np.full((40, 40, 3), self.grey, np.uint8), soft_matte(40, 40, index)


class _Backgrounds:
    def __init__(self, source):
        self.source, self.names = source, source.names

    def __len__(self):
        return len(self.names)

    def load(self, index):
        return photograph(40, 40, index)


def mixture(weights, **sizes) -> Mixture:
    return Mixture(
        {name: {"source": Drawn(name, num, 10 * i)} for i, (name, num) in enumerate(sizes.items())}, weights
    )


@pytest.mark.parametrize(
    ("weights", "shares"),
    [({"a": 3, "b": 1}, (0.75, 0.25)), ({"a": 0.1, "b": 0.9}, (0.1, 0.9)), ({}, (0.5, 0.5))],
)
def test_training_samples_are_shared_by_weight_and_show_every_foreground(weights, shares):
    source = mixture(weights, a=4, b=12)
    foregrounds = source.foregrounds("train")
    recipe = Composition(crop_sizes=[32], size=16, flip=0.0)
    dataset = CompositionDataset(foregrounds, source.backgrounds("train"), recipe, seed=0)
    names = [dataset[(0, i)]["name"].split(" over ")[0] for i in range(len(foregrounds))]
    counts = Counter(name.split("/")[0] for name in names)
    for part, share in zip("ab", shares, strict=True):
        assert counts[part] / len(names) == pytest.approx(share, abs=1 / len(names))
    assert len(set(names)) == 16
    assert [len(source.foregrounds(split)) for split in ("val", "test")] == [16, 16]


def test_turns_show_all_in_proportion():
    for counts, weights in (
        ({"a": 7, "b": 1000}, {"a": 1, "b": 1}),
        ({"a": 7, "b": 1000, "c": 3}, {"a": 5, "b": 1, "c": 0.5}),
    ):
        num = turns(counts, weights)
        assert all(num[part] >= counts[part] for part in counts)
        total, weight = sum(num.values()), sum(weights.values())
        assert all(abs(num[part] / total - weights[part] / weight) < 2 / total for part in counts)


def test_items_are_those_of_the_parts():
    source = mixture({"a": 1, "b": 1}, a=2, b=3)
    foregrounds = source.foregrounds("test")
    assert isinstance(foregrounds, ForegroundSet)
    assert isinstance(foregrounds, KnowsSizes)
    assert isinstance(source.backgrounds("test"), BackgroundSet)
    assert foregrounds.names == ["a/a0", "a/a1", "b/b0", "b/b1", "b/b2"]
    assert [int(foregrounds.load(i)[0][0, 0, 0]) for i in range(5)] == [0, 0, 10, 10, 10]
    assert [foregrounds.category(i) for i in (0, 4)] == ["a", "b"]
    assert foregrounds.digest() != mixture({}, a=2, b=4).foregrounds("test").digest()


def test_weights_of_nothing_negative_and_tiny_weights_are_refused():
    for weights, words in (
        ({"c": 1}, r"data\.weights\.c.*a, b"),
        ({"a": -1}, "0 or more"),
        ({"a": 0, "b": 0}, "every part"),
    ):
        with pytest.raises(InputError, match=words):
            mixture(weights, a=2, b=2)
    with pytest.raises(InputError, match=r"data\.weights\.b=1e-09: is too small for its 2 foregrounds"):
        mixture({"a": 1, "b": 1e-9}, a=2, b=2).foregrounds("train")
    assert len(mixture({"a": 0}, a=2, b=5).foregrounds("train")) == 5


def test_a_data_set_of_ones_own_is_ten_lines_of_yaml_in_the_working_folder(tree, monkeypatch):
    """And a mixture of it with another."""
    from deepmatte.training.building.from_config import build_data

    root = tree([f"n{i}" for i in range(12)], backgrounds=[f"b{i}" for i in range(12)], size=(40, 40))
    (root / "data").mkdir()
    (root / "data" / "mine.yaml").write_text(
        "root: null\n"
        "source:\n"
        "  _target_: deepmatte.data.FolderData\n"
        "  root: ${..root}\n"
        "  foreground: fg/n*.jpg\n"
        "  alpha: alpha/n*.png\n"
        "  background: bg\n"
        "  test: {foreground: fg/n1*.jpg, alpha: alpha/n1*.png}\n"
        "  name: mine\n"
    )
    (root / "data" / "both.yaml").write_text(
        "defaults: [mine@parts.mine, folder@parts.other, _self_]\n"
        "weights: {mine: 2}\n"
        "source: {_target_: deepmatte.data.Mixture, parts: '${..parts}', weights: '${..weights}'}\n"
    )
    monkeypatch.chdir(root)
    small = [
        "composition.crop_sizes=[32]",
        "composition.size=32",
        "composition.flip=0",
        "data.batch_size=4",
        "data.num_workers=0",
    ]
    data = build_data(
        composed_config(["data=mine", f"data.root={root}", "+data.source.val_fraction=0.3", *small])
    )
    train, test = (data.source.foregrounds(split) for split in ("train", "test"))
    assert len(train) + len(data.source.foregrounds("val")) == 9
    assert len(test) == 3  # n1, n10 and n11
    other = [f"data.parts.other.root={root}", "data.parts.other.source.test_fraction=0"]
    mixed = build_data(composed_config(["data=both", f"data.parts.mine.root={root}", *other, *small]))
    shares = Counter(name.split("/")[0] for name in mixed.source.foregrounds("train").names)
    assert shares["mine"] == pytest.approx(2 * shares["other"], abs=1)
    batch = next(iter(mixed.train_dataloader()))
    assert batch["image"].shape == (4, 3, 32, 32)


@pytest.mark.slow
def test_a_mixture_trains(tree, tmp_path: Path):
    """Drawn pictures and a folder's: a whole run, whose test split is that of both."""
    from deepmatte.training.run import train

    root = tree([f"n{i}" for i in range(12)], backgrounds=[f"b{i}" for i in range(12)])
    tiny = [override.replace("data.source.", "data.parts.drawn.source.") for override in TINY]
    shares = ["data.parts.own.source.val_fraction=0.2", "data.parts.own.source.test_fraction=0.2"]
    overrides = [
        "data=mixture",
        f"data.parts.own.root={root}",
        *shares,
        f"data.parts.drawn.source.cache_dir={tmp_path}",
        *tiny,
    ]
    result = train(compose("train", overrides), tmp_path / "run", overrides)
    assert result["status"] == "finished"
    images = {
        row.split(",")[0].split("/")[0]
        for row in (tmp_path / "run" / "per_image.csv").read_text().splitlines()[1:]
    }
    assert images == {"drawn", "own"}


def test_parts_that_have_finished_images_are_not_composited(tmp_path: Path, tree):
    root = tree(size=(40, 40))
    images = FolderData(
        root,
        foreground="fg",
        alpha="alpha",
        background="bg",
        test={"image": "fg/c*", "alpha": "alpha/c*"},
        val_fraction=0,
    )
    mixed = Mixture({"own": {"source": images}, "drawn": {"source": Drawn("drawn", 2, 0)}})
    assert {name.split("/")[0] for name in mixed.foregrounds("train").names} == {"own", "drawn"}
    assert mixed.foregrounds("test").names == ["drawn/drawn0", "drawn/drawn1"]
    with pytest.raises(InputError, match="no part has foregrounds for the test split"):
        Mixture({"own": {"source": images}}).foregrounds("test")
