"""Stages of any model: which parts learn, and what the checks before a run leave alone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from omegaconf import OmegaConf
from pytorch_lightning import Trainer
from pytorch_lightning.demos.boring_classes import BoringModel
from pytorch_lightning.loggers import CSVLogger
from tiny_run import compose
from torch import nn

from deepmatte.errors import InputError
from deepmatte.models import MattingModel
from deepmatte.runs.directory import RunDir
from deepmatte.training.building.stages import Stage, plan_stages
from deepmatte.training.callbacks import Bar
from deepmatte.training.checkpoints.statistics import EpochMean


class Adversarial(MattingModel):
    """A network of somebody's own, with parts that no file here names."""

    parts: ClassVar[tuple[str, ...]] = ("encoder", "decoder", "discriminator")

    def __init__(self) -> None:
        super().__init__()
        for part in self.parts:
            setattr(self, part, nn.Linear(2, 2))


def learning(model: MattingModel) -> set[str]:
    return {name.partition(".")[0] for name, weight in model.named_parameters() if weight.requires_grad}


def test_a_model_of_other_parts_trains_all_of_them_in_one_stage() -> None:
    model = Adversarial()
    [stage] = plan_stages(compose("train", ["stages=joint"]), model)
    assert (stage.name, stage.epochs, stage.learn) == ("joint", 6, model.parts)
    stage.freeze_others(model)
    assert learning(model) == set(model.parts)


def test_stages_of_one_s_own_say_no_more_than_what_learns() -> None:
    """A generator alone, then both; keys that a stage leaves out have their defaults."""
    config = OmegaConf.create(
        {
            "stages": {
                "generator": {"epochs": 3, "learn": ["encoder", "decoder"]},
                "adversarial": {"epochs": 2, "learn": "all", "start": "best"},
            }
        }
    )
    model = Adversarial()
    first, second = plan_stages(config, model)
    first.freeze_others(model)
    assert learning(model) == {"encoder", "decoder"}
    second.freeze_others(model)
    assert learning(model) == set(model.parts)
    assert (first.last_epoch, second.first_epoch, second.last_epoch, second.run_epochs) == (3, 3, 5, 5)
    assert (first.start, second.start) == ("last", "best")


def test_the_bar_counts_epochs_over_all_stages_from_1_without_the_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich then takes a pipe for a terminal
    monkeypatch.setenv("COLUMNS", "140")
    Trainer(
        max_epochs=2,
        callbacks=[Bar(Stage(epochs=2, run_epochs=5))],
        logger=CSVLogger(tmp_path, version=7),
        enable_checkpointing=False,
        enable_model_summary=False,
        limit_train_batches=2,
        limit_val_batches=0,
        accelerator="cpu",
    ).fit(BoringModel())
    screen = re.sub("\x1b\\[[0-9;?]*[A-Za-z]", "", capsys.readouterr().out)
    assert set(re.findall(r"Epoch \d+/\d+", screen)) == {"Epoch 1/5", "Epoch 2/5"}
    assert "v_num" not in screen


def test_parts_that_the_model_has_not_are_named_with_the_cure() -> None:
    with pytest.raises(
        InputError, match=r"^stages\.joint\.learn: 'encoder_decoder' is no part .* stages=joint trains"
    ):
        plan_stages(compose("train", []), Adversarial())


def test_what_is_checked_before_a_run_changes_neither_the_network_nor_the_process(
    tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from deepmatte.training.run import _Job

    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        job = _Job(compose("train", tiny()), RunDir(tmp_path / "run"))
        assert torch.get_num_threads() == threads + 1
    finally:
        torch.set_num_threads(threads)
    assert learning(job.model) == set(job.model.parts)
    assert not (tmp_path / "run").exists()


def test_an_interrupted_mean_is_that_of_all_samples_on_any_number_of_processes() -> None:
    whole, device = EpochMean(), torch.device("cpu")
    batches = [(0.5, 4), (0.25, 4), (2.0, 2)]
    for value, count in batches:
        whole.add(torch.tensor(value), count)
    assert whole.compute(device) == pytest.approx(sum(value * count for value, count in batches) / 10)

    states = torch.tensor([[3.0, 8.0], [4.0, 2.0]])  # of two processes: sum and count
    same, fewer, other = EpochMean(), EpochMean(), EpochMean()
    same.restore(states, rank=1, world_size=2)
    fewer.restore(states, rank=0, world_size=1)
    other.restore(states, rank=2, world_size=3)
    assert (same.compute(device), fewer.compute(device)) == (2.0, pytest.approx(0.7))
    assert torch.equal(other.sums, torch.zeros(2))
