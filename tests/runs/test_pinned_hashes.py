"""A run keeps its identity: hashes as commit 0efe9c1 made them, of configurations whose meaning is unchanged.

A finished run is found again by its hash, and its directory and its W&B id are named after it. A change that
moves one of these loses every user's runs of that configuration; where that is right, because a run computes
something else now, replace the hash and say so in CHANGELOG.md. A new key that computes nothing new at its
default belongs in `deepmatte.runs.identity.ADDED_SINCE`.
"""

from __future__ import annotations

import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override
from omegaconf import OmegaConf
from tiny_run import compose

from deepmatte.config.places import conf_dir
from deepmatte.runs.identity import config_hash

PINNED: dict[tuple[str, ...], str] = {
    (): "26f93fd815c729c7",
    ("seed=1",): "36ccabb56d9d60f2",
    ("seed=2",): "73856c993e9b049c",
    ("loss=alpha",): "e0f9d2bb36d753a7",
    ("loss=dim",): "43d1aadd7bca8baa",
    ("loss=dice", "seed=1"): "ffc3cd827cec40d3",
    ("loss.dice.weight=0.5", "loss.focal.gamma=1"): "2a46997a34392e30",
    ("model=dim",): "1a8e4256f02ded12",
    ("model=vgg_segnet", "model.width=0.125"): "26c0cbaf08638c56",
    ("model.norm=group",): "9e6eb35753939c3a",
    ("data=folder", "data.root=x"): "a6dd675be5b56612",
    ("data=cutouts", "data.root=x"): "490958d9732f8900",
    ("data=aisegment", "data.root=x", "data.background=own"): "07bac7ff483a4763",
    ("data=procedural_small",): "50db1d988316fa93",
    ("data=composition1k", "data.root=x", "data.background=y", "budget=full"): "2ad9d4fdb8bd7376",
    ("budget=full",): "86b49445a146b06c",
    (
        "budget=full",
        "trainer=gpu",
        "trainer.precision=32-true",
        "trainer.matmul_precision=highest",
        "model=dim",
        "model.pretrained=imagenet",
    ): "1dce11982f7f8f73",
    ("budget=full", "composition=portrait"): "9fdbc5db7f0471f5",
    ("budget=full", "composition=degrade", "optimizer=adamw"): "4d0f24d0753c8d82",
    ("budget=full", "composition=none"): "37396301e208faa3",
    ("budget=full", "optimizer=sgd"): "e25d9e1485e193f9",
    ("trainer=ddp",): "26f93fd815c729c7",
    ("trainer.precision=bf16-mixed", "ema=0.999"): "72c5d9ca66cacac1",
    ("~budget",): "b6d8568c94df8a4c",
    ("debug=fast",): "d220ad2edb747750",
    ("debug=overfit",): "1a7af144de77f1a2",
    ("composition.affine.probability=0", "composition.erode=[1,9]"): "d259fb370db8467d",
    ("composition.linear_light=true", "optimizer.lr=0.001"): "d187abfaf20e73c3",
    ("laptop.epochs=2", "schedule.name=step", "validate_every=2"): "540246cc7fb021f2",
}
"""Overrides of a single run, and its hash."""

FIRST_JOBS: dict[str, str] = {
    "dim_two_stage": "f576bbe3cdaaca10",
    "focal_gamma": "4021adb0222da12e",
    "loss_combinations": "bc228b66883cf60e",
    "loss_weights": "fccf0088c68a7f90",
    "losses_for_mattes": "484bec3737c1a506",
    "portrait_vgg16": "5e213ddff6fad6cb",
    "portrait_vgg16_320": "3746e97447d685d9",
    "proper_vs_textbook": "c913d2ef4c9a27c5",
    "sad_against_seconds": "d0f8f6815e79bbba",
    "segmentation_losses": "73e19bd8d6d9b8c4",
    "stages": "c628b55b52c98a9e",
    "trimap_width": "d0f7b324ad59cb49",
}
"""Experiments, and the hash of the first job of each."""

WIDTHS: dict[str, str] = {
    "0.25": "d0f7b324ad59cb49",
    "0.5": "a7982d81926c4745",
    "1": "146ee274c23b4480",
    "4": "71b6ef08ccda36fc",
}
"""Widths of `experiments/trimap_width.yaml`, first loss and seed; 1 computes as null, but was hashed."""


@pytest.mark.parametrize("overrides", PINNED, ids=" ".join)
def test_a_run_keeps_its_hash(overrides: tuple[str, ...]) -> None:
    assert config_hash(compose("train", overrides)) == PINNED[overrides]


@pytest.mark.parametrize("name", FIRST_JOBS)
def test_the_first_job_of_an_experiment_keeps_its_hash(name: str) -> None:
    assert config_hash(compose("train", first_job(name))) == FIRST_JOBS[name]


def test_the_widths_of_trimap_width_keep_their_hashes() -> None:
    config = compose("train", first_job("trimap_width"))
    for width, pinned in WIDTHS.items():
        OmegaConf.update(config, "composition.widen", yaml.safe_load(width))
        assert config_hash(config) == pinned, width


def first_job(name: str) -> list[str]:
    """Return the overrides of the first job of ``experiments/NAME.yaml``, with each first swept value."""
    words = [f"{key}={value}" for key, value in swept(name).items()]
    parsed = OverridesParser.create().parse_overrides(words)
    return [
        f"experiments={name}",
        *(f"{override.get_key_element()}={first(override)}" for override in parsed),
    ]


def swept(name: str) -> dict[str, object]:
    """Return what the experiment sweeps, with what it inherits."""
    file = OmegaConf.load(conf_dir().parent / "experiments" / f"{name}.yaml")
    parents = [
        parent for parent in file.get("defaults", []) if isinstance(parent, str) and parent != "_self_"
    ]
    own = OmegaConf.to_container(file, resolve=False)["hydra"]["sweeper"]["params"]
    return {key: value for parent in parents for key, value in swept(parent).items()} | own | {"seed": 0}


def first(override: Override) -> object:
    if not override.is_sweep_override():
        return override.get_value_element_as_str()
    value = override.value()
    if isinstance(value, IntervalSweep):
        return value.start
    return next(iter(override.sweep_string_iterator()))
