"""Every file in conf/data finds what its archive unpacks, and that can be trained on or scored."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from layout_trees import TREES
from omegaconf import OmegaConf

from deepmatte.config.places import conf_dir
from deepmatte.data import Mixture, PictureCache
from deepmatte.data.inspection.describe import describe
from deepmatte.data.inspection.sheet import contact_sheet
from deepmatte.data.inspection.verify import verify
from deepmatte.errors import InputError
from deepmatte.training.building.from_config import build_data
from deepmatte.training.datamodule import MattingData

COUNTS = {  # split: number of pictures, and of foregrounds that they show
    "composition1k": {"test": (4, 2)},
    "distinctions646": {"test": (2, 2)},
    "aisegment": {},
    "am2k": {"test": (2, 2)},
    "p3m10k": {"test": (1, 1)},
    "p3m10k_np": {"test": (1, 1)},
    "ppm100": {"val": (3, 3), "test": (3, 3)},
    "aim500": {"val": (3, 3), "test": (3, 3)},
    "alphamatting": {"val": (3, 3), "test": (3, 3)},
    "alphamatting_lowres": {"val": (3, 3), "test": (3, 3)},
    "captured": {"val": (3, 3), "test": (3, 3)},
    "videomatte": {"test": (3, 1)},
    "cutouts": {},
    "folder": {},
}
SCORED_ONLY = ("ppm100", "aim500", "alphamatting", "alphamatting_lowres", "captured")
TOTAL = {
    "composition1k": 7,
    "distinctions646": 8,
    "aisegment": 12,
    "am2k": 8,
    "p3m10k": 8,
    "p3m10k_np": 8,
    "videomatte": 27,
}
# Few files fall where the shares of a large set put hundreds; larger shares fill every split of a small one.
SHARES = {
    "composition1k": 0.3,
    "aisegment": (0.25, 0.25),
    "am2k": 0.3,
    "p3m10k": 0.3,
    "p3m10k_np": 0.3,
    "videomatte": 0.3,
}


def loaded(name: str) -> OmegaConf:
    """Return a file of conf/data with those that it builds on, as Hydra composes them."""
    own = OmegaConf.load(conf_dir() / "data" / f"{name}.yaml")
    bases = [loaded(base) for base in own.pop("defaults", []) if base != "_self_"]
    return OmegaConf.merge(*bases, own)


def data_of(name: str, root: Path, recipe: dict | None = None, **keys) -> MattingData:
    shares = SHARES.get(name, 0.25)
    val, test = shares if isinstance(shares, tuple) else (shares, 0.25)
    overlay = {
        "root": str(root),
        **TREES[name](root),
        "source": {"val_fraction": val, "test_fraction": test, **keys.pop("source", {})},
    }
    module = {"on_error": "stop", "batch_size": 4, "samples_per_epoch": 8, "num_workers": 0}
    data = OmegaConf.merge({"data": module}, {"data": loaded(name)}, {"data": overlay}, {"data": keys})
    small = {
        "_target_": "deepmatte.data.Composition",
        "crop_sizes": [24, 32],
        "size": 32,
        "flip": 0.0,
        "erode": [1, 5],
        "dilate": [1, 5],
    }
    return build_data(OmegaConf.create({"composition": {**small, **(recipe or {})}, **data}))


@pytest.mark.parametrize("name", TREES)
def test_each_layout_is_described_verified_and_trained_on(name: str, tmp_path: Path) -> None:
    data = data_of(name, tmp_path)
    lines, rows = describe(data.source, num_pictures=1)
    counts = {(line.split, line.what): (line.count, line.num_distinct) for line in lines}
    for split, expected in COUNTS[name].items():
        assert expected in (counts.get((split, "images")), counts.get((split, "foregrounds"))), counts
    sheet = contact_sheet(rows)
    assert sheet.std() > 20  # pictures, not paper
    verdict = verify(data.source, data.composition, processes=1)
    assert verdict.problems == []
    assert verdict.num_items == sum(
        line.count for line in lines if name not in SCORED_ONLY or line.split == "test"
    )
    if name in SCORED_ONLY:
        assert "no foregrounds to train on" in verdict.unavailable["train"]
        with pytest.raises(InputError, match="no foregrounds to train on"):
            data.train_dataset()
        sample = data.eval_dataset("test")[0]
        assert (sample["trimap"] == 128).any()
        return
    data.check(["train", "val", "test"])
    in_splits = [
        data.source.foregrounds(split).names
        for split in ("train", "val") + (("test",) if data.source.images("test") is None else ())
    ]
    assert sum(map(len, in_splits[: 2 if name in TOTAL and name != "aisegment" else 3])) == TOTAL.get(
        name, 12
    )
    assert len(set().union(*in_splits)) == sum(map(len, in_splits)) or name == "videomatte"
    batch = next(iter(data.train_dataloader()))
    a, f, b = (batch[key].double() for key in ("alpha", "foreground", "background"))
    assert (batch["composite"] - (a * f + (1 - a) * b)).abs().max() <= 1e-6
    assert ((batch["alpha"] > 0) & (batch["alpha"] < 1)).flatten(1).any(1).all()
    assert torch.isfinite(data.eval_dataset("test")[0]["image"]).all()


THREE_SPLITS = ("data.source.val_fraction=0.3", "data.source.test_fraction=0.3")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("aisegment", ("data", "verify", "composition.crop_sizes=[24]", "--processes", "2", *THREE_SPLITS)),
        ("alphamatting", ("evaluate", "method=knn", "data.num_workers=2")),
    ],
)
def test_compiled_solvers_work_in_the_workers_of_a_program_that_has_used_them(
    name: str, command: tuple[str, ...], tmp_path: Path
) -> None:
    """Numba's threads end every child forked after them; a process of its own has none of other tests."""
    keys = {"root": str(tmp_path), **TREES[name](tmp_path)}
    program = [sys.executable, "-c", "from deepmatte.cli.main import main; main()", *command, f"data={name}"]
    program += [f"data.{key}={value}" for key, value in keys.items()]
    done = subprocess.run(program, capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_every_data_set_file_has_a_tree() -> None:
    files = {file.stem for file in (conf_dir() / "data").glob("*.yaml")}
    drawn = {name for name in files if name.startswith("procedural")}
    assert files - drawn - {"mixture"} == set(TREES)


def test_composition1k_trains_on_the_backgrounds_of_the_list_and_takes_the_matte_of_the_foreground(
    tmp_path: Path,
) -> None:
    data = data_of("composition1k", tmp_path)
    names = [name for split in ("train", "val") for name in data.source.backgrounds(split).names]
    assert len(names) == 14
    assert "COCO_train2014_999999999999" not in names
    assert "Adobe-licensed images/boy-1" in [
        name for split in ("train", "val") for name in data.source.foregrounds(split).names
    ]
    images = data.eval_dataset("test")
    assert [(images.record(i)["image"], images.record(i)["foreground"]) for i in (0, 3)] == [
        ("dandelion_0", "dandelion"),
        ("light_1_1", "light_1"),
    ]


def test_frames_of_a_clip_are_never_in_two_splits(tmp_path: Path) -> None:
    source = data_of("videomatte", tmp_path).source
    clips = {
        split: {name.split("/")[0] for name in source.foregrounds(split).names} for split in ("train", "val")
    }
    assert clips["train"].isdisjoint(clips["val"])
    assert {
        len([n for n in source.foregrounds(s).names if n.startswith(f"{c}/")])
        for s in clips
        for c in clips[s]
    } == {3}


def test_frames_of_a_clip_are_scored_as_pictures_of_one_foreground_also_in_a_mixture(tmp_path: Path) -> None:
    """Statistics resample foregrounds: frames of one clip are not independent."""
    data = data_of("videomatte", tmp_path)
    assert [data.eval_dataset("test").record(i)["image"] for i in range(3)] == [
        f"0000/{i:05d}" for i in range(3)
    ]
    assert {data.eval_dataset("test").record(i)["foreground"] for i in range(3)} == {"0000"}
    data.cache = PictureCache(tmp_path / "cache", 1.0)
    shown = [data.eval_dataset("val").record(i) for i in range(len(data.eval_dataset("val")))]
    assert all(record["image"].split("/")[0] == record["foreground"] for record in shown)
    mixed = Mixture({"clips": {"source": data.source}}).foregrounds("test")
    assert [mixed.foreground(i) for i in range(3)] == ["clips/0000"] * 3


def test_the_colours_of_photographs_are_estimated_without_their_background(tmp_path: Path) -> None:
    """Where the matte is 1 the colours are the photograph's; where it is partial the green behind is gone."""
    import numpy as np
    from layout_trees import backgrounds, save
    from small_pictures import soft_matte

    share = soft_matte(60, 60, 1)[..., None] / 255
    photo = np.round(share * np.array([200, 40, 40]) + (1 - share) * np.array([0, 255, 0])).astype(np.uint8)
    save(tmp_path / "fg" / "x.png", photo)
    save(tmp_path / "alpha" / "x.png", soft_matte(60, 60, 1))
    backgrounds(tmp_path / "bg", ("y",))
    from deepmatte.data import FolderData

    options = {"val_fraction": 0, "test_fraction": 0}
    colours, alpha = FolderData(tmp_path, estimate_foreground=True, **options).foregrounds("train").load(0)
    plain = FolderData(tmp_path, **options).foregrounds("train")
    np.testing.assert_array_equal(colours[alpha == 255], photo[alpha == 255])
    partial = (alpha > 60) & (alpha < 200)
    assert (
        np.abs(colours[partial].astype(int) - [200, 40, 40]).mean()
        < 0.25 * np.abs(photo[partial].astype(int) - [200, 40, 40]).mean()
    )
    assert (
        plain.digest()
        != FolderData(tmp_path, estimate_foreground=True, **options).foregrounds("train").digest()
    )


def test_foregrounds_may_bring_trimaps_of_their_own(tmp_path: Path) -> None:
    import numpy as np
    from layout_trees import folder, trimap
    from PIL import Image

    from deepmatte.data import FolderData

    folder(tmp_path)
    for i in range(12):
        trimap(tmp_path / "trimap" / f"{i}.png", seed=i)
    options = {"val_fraction": 0, "test_fraction": 0}
    foregrounds = FolderData(tmp_path, trimap="trimap", **options).foregrounds("train")
    stored = np.asarray(Image.open(tmp_path / "trimap" / f"{foregrounds.names[3]}.png"))
    np.testing.assert_array_equal(foregrounds.trimap(3), stored)
    assert FolderData(tmp_path, **options).foregrounds("train").trimap(3) is None
    (tmp_path / "trimap" / "3.png").unlink()
    with pytest.raises(InputError, match=r"3\.jpg: there is no trimap of the same name"):
        FolderData(tmp_path, trimap="trimap", **options).foregrounds("train")


def test_photographs_over_their_own_background_are_trained_on_as_they_are(tmp_path: Path) -> None:
    """The sample is the photograph and its matte, resized by OpenCV; nothing is composited."""
    import cv2
    import numpy as np
    from PIL import Image

    data = data_of(
        "aisegment", tmp_path, background="own", recipe={"crop": "whole", "size": 20, "fixed_size": 20}
    )
    assert verify(data.source, data.composition, processes=1).num_items == 12
    assert {line.what for line in describe(data.source)[0]} == {"foregrounds"}
    data.check(["train", "val", "test"])
    batch = next(iter(data.train_dataloader()))
    assert {"foreground", "background", "composite"}.isdisjoint(batch)
    samples = [*zip(batch["name"], batch["image"], batch["alpha"], strict=True)]
    fixed = data.eval_dataset("test")
    samples += [(fixed[i]["name"], fixed[i]["image"], fixed[i]["alpha"]) for i in range(len(fixed))]
    for name, image, alpha in samples:
        date, clip, picture = name.removesuffix(" over its own background").split("/")
        photo = np.asarray(Image.open(tmp_path / "clip_img" / date / f"clip_{clip}" / f"{picture}.jpg"))
        matte = np.asarray(Image.open(tmp_path / "matting" / date / f"matting_{clip}" / f"{picture}.png"))[
            ..., 3
        ]
        for planes, pixels in ((image, photo), (alpha, matte)):
            expected = cv2.resize(pixels, (20, 20), interpolation=cv2.INTER_AREA).reshape(20, 20, -1)
            np.testing.assert_array_equal((planes * 255).round().to(torch.uint8).permute(1, 2, 0), expected)


@pytest.mark.parametrize("keys", [{}, {"background": "own"}])
def test_datasets_serve_the_keys_that_their_samples_have(keys: dict, tmp_path: Path) -> None:
    data = data_of("aisegment", tmp_path, **keys)
    data.check(["train", "val"])
    assert set(data.serves("train")) == set(next(iter(data.train_dataloader())))
    assert set(data.serves("val")) == set(next(iter(data.val_dataloader())))


def test_what_needs_layers_refuses_photographs_over_their_own_background(tmp_path: Path) -> None:
    from deepmatte.batch import Matte
    from deepmatte.data import FolderData
    from deepmatte.losses import LossTable

    batch = next(iter(data_of("aisegment", tmp_path, background="own").train_dataloader()))
    matte = Matte(batch["alpha"])
    assert LossTable({"alpha": {"weight": 1}})(matte, batch).total < 1e-5
    with pytest.raises(
        InputError, match=r"loss\.composition reads foreground, which this batch does not have"
    ):
        LossTable({"composition": {"weight": 1}})(matte, batch)
    for recipe, key in (
        ({"merge": 0.5}, "merge"),
        ({"shadow": {"probability": 0.1}}, "shadow"),
        ({"linear_light": True}, "linear_light"),
    ):
        with pytest.raises(InputError, match=rf"^composition\.{key}.*data\.background=own"):
            data_of("aisegment", tmp_path, background="own", recipe=recipe).check(["train"])
    with pytest.raises(InputError, match=r"^data\.background=own: .*data\.source\.alpha"):
        FolderData(tmp_path, "clip_img", alpha=None, background="own")
    mixed = Mixture({"a": {"source": data_of("aisegment", tmp_path, background="own").source}})
    with pytest.raises(InputError, match=r"^data\.parts\.a\.background=own: a mixture is composited"):
        mixed.backgrounds("train")
