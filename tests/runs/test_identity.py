"""What identifies a run is one list: hash, label and the factors of a comparison agree."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from simulated_runs import write_run

from deepmatte.compare.records.grouping import group_settings
from deepmatte.compare.records.reading import read_records
from deepmatte.runs.identity import NOT_IDENTITY, config_hash, identifies, label

ELSEWHERE = [
    "trainer=gpu",
    "trainer.devices=2",
    "data.num_workers=7",
    "hydra/launcher=joblib",
    "output_root=other",
    "save_every.minutes=3",
    "data.source.cache_dir=cache",
    "+wandb.tags=[late]",
]
"""Overrides that change where and how a run is carried out."""


def test_half_a_sweep_on_another_machine_makes_no_factor(tmp_path: Path) -> None:
    for number, loss in enumerate(("alpha", "dice")):
        for seed in range(4):
            machine = ELSEWHERE if seed > 1 else []
            write_run(tmp_path / f"{number}{seed}", [f"loss={loss}", *machine], seed, np.arange(8.0) + number)
    settings = group_settings(read_records([tmp_path]).runs)
    assert [setting.levels for setting in settings] == [{"loss": "alpha"}, {"loss": "dice"}]
    assert [setting.seeds for setting in settings] == [[0, 1, 2, 3]] * 2


@pytest.mark.parametrize("override", ELSEWHERE)
def test_what_is_no_factor_is_not_in_the_label_either(override: str) -> None:
    assert label(["loss=dice", override, "seed=1"]) == "loss=dice seed=1"


@pytest.mark.parametrize("key", NOT_IDENTITY)
def test_keys_that_do_not_identify_a_run_change_no_hash(key: str) -> None:
    config: dict = {"seed": 0}
    below = config
    *path, last = key.split(".")
    for word in path:
        below = below.setdefault(word, {"kept": 1})
    before = config_hash(config)
    below[last] = {"any": "thing"}
    assert config_hash(config) == before
    assert not identifies(key)
    assert not identifies(f"{key}.deeper")


@pytest.mark.parametrize("key", ["seed", "loss", "trainer.precision", "data.source.size", "forced", "name"])
def test_everything_else_identifies_it(key: str) -> None:
    assert identifies(key)
    assert identifies(f"+{key}", given=True)


@pytest.mark.parametrize("key", ["laptop.epochs", "length.epochs", "stages.refine.share"])
def test_a_length_is_a_factor_though_the_hash_reads_it_where_it_is_used(tmp_path: Path, key: str) -> None:
    for epochs in (2, 6):
        write_run(tmp_path / str(epochs), [f"{key}={epochs}"], 0, np.arange(8.0))
    settings = group_settings(read_records([tmp_path]).runs)
    assert [setting.levels for setting in settings] == [{key: "2"}, {key: "6"}]
