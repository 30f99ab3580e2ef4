"""Training end to end on tiny data: what a run directory holds, stages, resuming, refusals."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_run import compose

from deepmatte.errors import InputError, RunError
from deepmatte.runs.identity import config_hash


def weights(path: Path) -> dict[str, torch.Tensor]:
    return torch.load(path, weights_only=True)["state_dict"]


def result(run: Path) -> dict:
    return json.loads((run / "result.json").read_text())


def test_a_run_directory_describes_itself(trained: Path) -> None:
    record = result(trained)
    assert record["status"] == "finished"
    assert record["protocol"] == "adobe"
    assert record["dataset"]["name"] == "procedural"
    assert (record["dataset"]["split"], record["dataset"]["num_images"]) == ("test", 3)
    assert {
        "val/sad",
        "test/sad",
        "test/mse",
        "test/grad",
        "test/conn",
        "test/miou",
        "trivial/test/sad",
    } <= set(record["scores"])
    assert record["cost"]["steps"] == 3 * 2
    rows = list(csv.DictReader((trained / "per_image.csv").open()))
    assert list(rows[0])[:4] == ["image", "foreground", "background", "category"]
    for metric in ("sad", "mse", "grad", "conn", "miou"):
        assert np.mean([float(row[metric]) for row in rows]) == pytest.approx(
            record["scores"][f"test/{metric}"], rel=1e-5
        )
    assert {file.name for file in (trained / "pictures").iterdir()} == {
        "epoch_0000.png",
        "epoch_0001.png",
        "epoch_0002.png",
        "diagnostics.png",
        "test",
    }
    assert len(list((trained / "pictures" / "test").glob("*_matte.png"))) == 2


def test_checkpoints_are_plain_data_and_one_set_of_curves_spans_the_stages(trained: Path) -> None:
    for name in ("best", "last"):
        checkpoint = torch.load(trained / "checkpoints" / f"{name}.ckpt", weights_only=True)
        assert checkpoint["deepmatte"]["config_hash"] == result(trained)["config_hash"]
    curves = list(csv.DictReader((trained / "metrics.csv").open()))
    assert [row["epoch"] for row in curves if row["val/sad"]] == ["0", "1", "2"]
    steps = [int(row["step"]) for row in curves if row["val/sad"]]
    assert steps == sorted(set(steps))
    (tested,) = [row for row in curves if row["test/sad"]]
    assert (tested["epoch"], tested["step"]) == ("2", "6")  # three epochs of two steps are behind it


def test_each_stage_trains_its_parts_only(train_tiny, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train_tiny(run)
    first = weights(run / "checkpoints" / "last.ckpt")
    shutil.rmtree(run)
    train_tiny(run, "stages.refine.epochs=1")
    second = weights(run / "checkpoints" / "last.ckpt")
    shutil.rmtree(run)
    train_tiny(run, "stages.refine.epochs=1", "stages.joint.epochs=1")
    third = weights(run / "checkpoints" / "last.ckpt")

    def changed(before: dict, after: dict, part: str) -> bool:
        return any(not torch.equal(before[key], after[key]) for key in before if part in key)

    assert changed(first, second, "refiner")
    assert not changed(first, second, "encoder_decoder")
    assert changed(second, third, "refiner")
    assert changed(second, third, "encoder_decoder")


@pytest.mark.parametrize("ema", [pytest.param("null", marks=pytest.mark.slow), "0.5"])
def test_a_run_resumed_after_an_epoch_ends_in_the_weights_of_one_that_was_not_interrupted(
    train_tiny, tmp_path: Path, ema: str
) -> None:
    overrides = ("stages.encoder_decoder.epochs=2", "stages.joint.epochs=2", f"ema={ema}")
    train_tiny(tmp_path / "whole", *overrides)
    interrupted = tmp_path / "interrupted"
    _train_until(train_tiny, interrupted, overrides, epoch=2)
    record = train_tiny(interrupted, *overrides)
    assert record["status"] == "finished"
    whole, resumed = (
        weights(tmp_path / "whole" / "checkpoints" / "last.ckpt"),
        weights(interrupted / "checkpoints" / "last.ckpt"),
    )
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)
    rows = [list(csv.DictReader((run / "metrics.csv").open())) for run in (tmp_path / "whole", interrupted)]
    assert [row["val/sad"] for row in rows[0]] == [row["val/sad"] for row in rows[1]]


@pytest.mark.slow
def test_a_run_interrupted_in_mid_epoch_goes_on_with_the_next_batch(train_tiny, tmp_path: Path) -> None:
    overrides = ("stages.encoder_decoder.epochs=2", "data.samples_per_epoch=16")
    train_tiny(tmp_path / "whole", *overrides)
    interrupted = tmp_path / "interrupted"
    _train_until(train_tiny, interrupted, overrides, epoch=1, batch=2)
    assert result(interrupted)["status"] == "interrupted"
    train_tiny(interrupted, *overrides)
    whole, resumed = (
        weights(tmp_path / "whole" / "checkpoints" / "last.ckpt"),
        weights(interrupted / "checkpoints" / "last.ckpt"),
    )
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)


def _train_until(train_tiny, run: Path, overrides: tuple[str, ...], epoch: int, batch: int = 0) -> None:
    """Train, and press Ctrl-C at the start of a batch."""
    from deepmatte.training.module import MattingModule

    original = MattingModule.training_step

    def step(module, samples, batch_idx):
        if module.current_epoch == epoch and batch_idx == batch:
            raise KeyboardInterrupt
        return original(module, samples, batch_idx)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MattingModule, "training_step", step)
        with pytest.raises(KeyboardInterrupt):
            train_tiny(run, *overrides)


def test_a_finished_run_is_left_alone_and_force_trains_it_anew(
    train_tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train_tiny(tmp_path / "run")
    before = (tmp_path / "run" / "checkpoints" / "last.ckpt").stat().st_mtime_ns
    capsys.readouterr()
    train_tiny(tmp_path / "run")
    printed = capsys.readouterr().out
    assert "force=true" in printed
    assert "trivial" in printed
    assert (tmp_path / "run" / "checkpoints" / "last.ckpt").stat().st_mtime_ns == before
    train_tiny(tmp_path / "run", "force=true")
    assert (tmp_path / "run" / "checkpoints" / "last.ckpt").stat().st_mtime_ns > before


def test_a_directory_of_another_configuration_is_refused_and_untouched(train_tiny, tmp_path: Path) -> None:
    train_tiny(tmp_path / "run")
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "run").rglob("*") if file.is_file()}
    with pytest.raises(InputError, match="another configuration"):
        train_tiny(tmp_path / "run", "seed=1")
    assert {
        file: file.stat().st_mtime_ns for file in (tmp_path / "run").rglob("*") if file.is_file()
    } == before


def test_the_hand_over_can_take_the_best_checkpoint(train_tiny, tmp_path: Path) -> None:
    """With a learning rate of zero in the second stage, it ends in the weights that it began with."""
    train_tiny(
        tmp_path / "run",
        "stages.encoder_decoder.epochs=3",
        "stages.joint.epochs=1",
        "stages.joint.start=best",
        "stages.joint.lr=0.0",
        "model.norm=none",
    )
    best = torch.load(tmp_path / "run" / "checkpoints" / "best.ckpt", weights_only=True)
    last = weights(tmp_path / "run" / "checkpoints" / "last.ckpt")
    assert best["deepmatte"]["stage"] == "encoder_decoder"
    assert all(torch.equal(best["state_dict"][key], last[key]) for key in last)


def test_averaged_weights_are_what_is_validated_and_kept(train_tiny, tmp_path: Path) -> None:
    """An average that never moves always scores the same, while the trained weights move."""
    train_tiny(tmp_path / "run", "ema=1.0", "stages.encoder_decoder.epochs=3", "optimizer.lr=0.01")
    checkpoint = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    curves = list(csv.DictReader((tmp_path / "run" / "metrics.csv").open()))
    assert len({row["val/sad"] for row in curves if row["val/sad"]}) == 1
    assert any(
        not torch.equal(checkpoint["state_dict"][key], value)
        for key, value in checkpoint["current_model_state"].items()
    )


def test_a_run_with_averaged_weights_scores_the_same_when_it_is_loaded_again(
    train_tiny, tmp_path: Path
) -> None:
    """To the digit: the average of constants, such as the mean colour, is not the constant."""
    from deepmatte.scoring.evaluate import evaluate

    trained = train_tiny(tmp_path / "run", "ema=0.9999", "num_pictures=0", "data.samples_per_epoch=32")
    again = evaluate(
        compose("evaluate", [f"run={tmp_path / 'run'}", f"output={tmp_path / 'again'}", "robustness=false"])
    )
    assert again["scores"] == {name: value for name, value in trained["scores"].items() if "test/" in name}
    assert (tmp_path / "again" / "per_image.csv").read_text() == (
        tmp_path / "run" / "per_image.csv"
    ).read_text()


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_samples(train_tiny, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"not finite in epoch 0.*samples: .* over "):
        train_tiny(
            tmp_path / "run",
            "optimizer.lr=1e30",
            "schedule.name=constant",
            "trainer.gradient_clip_val=null",
            "data.samples_per_epoch=16",
        )
    record = result(tmp_path / "run")
    assert record["status"] == "failed"
    assert "not finite" in record["error"]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["stages.encoder_decoder.epochs=0"], "stages: every stage has epochs: 0"),
        (["stages.encoder_decoder.epochs=some"], "stages.encoder_decoder.epochs=some: give a whole number"),
        (["length.shares={joint:1,refin:1}"], "length.shares.refin: is no stage of the model; it has"),
        (["stages.encoder_decoder.learn=[encoder]"], "stages.encoder_decoder.learn: 'encoder'"),
        (
            [
                f"loss.{name}.weight=0"
                for name in ("alpha", "alpha_known", "alpha_squared", "laplacian", "composition")
            ],
            "all loss weights are 0",
        ),
        (["seed=x"], "seed=x: has to be a whole number"),
        (["seed=-1"], "seed=-1: has to be from 0 to 4294967295"),
        (["validate_every=0"], "validate_every=0: has to be 1 or more"),
        (["ema=2"], "ema=2: has to be from 0 to 1"),
        (["early_stopping=soon"], "early_stopping=soon: has to be a whole number or null"),
        (["save_every.minutes=ten"], "save_every.minutes=ten: has to be a number or null"),
        (["impose_trimap=maybe"], "impose_trimap=maybe: has to be true or false"),
        (["num_pictures=-1"], "num_pictures=-1: has to be 0 or more"),
        (["objective=val/miou"], "objective=val/miou: has to be val/sad,"),
        (["schedule.warmup=some"], "schedule.warmup=some: has to be a number"),
        (["wandb.mode=on"], "wandb.mode=on: give one of online, offline"),
        (["data.batch_size=0"], "data.batch_size=0"),
        (["data.samples_per_epoch=3"], "data.samples_per_epoch=3"),
        (["composition.crop_sizes=[4000]"], "too few for a crop of 4000"),
        (["schedule.name=sine"], "schedule.name=sine"),
        (["trainer.precision=3"], "trainer: "),
        (["protocol=matlab"], "matlab"),
        (["+stages.encoder_decoder.loss.dcie.weight=1"], "dcie"),
        (["optimizer.lr=-1"], "learning rate"),
        (["optimizer.lr=abc"], "optimizer.lr=abc: has to be a number"),
        (["optimizer.betas=[0.9]"], "optimizer.betas=[0.9]: has to be 2 numbers"),
        (["stages.encoder_decoder.lr=fast"], "stages.encoder_decoder.lr=fast: has to be a number"),
        (["schedule.warmup=long"], "schedule.warmup=long: has to be a number"),
    ],
)
def test_bad_configuration_is_one_line_before_anything_is_written(
    tiny, tmp_path: Path, overrides: list[str], message: str
) -> None:
    from deepmatte.training.run import train

    config = compose("train", [*tiny(), *overrides])
    with pytest.raises(InputError, match="(?i)" + re.escape(message)) as error:
        train(config, tmp_path / "run", overrides)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


def test_the_temporal_loss_trains_on_clips_alone_and_they_are_cut_by_no_batch(
    train_tiny, tmp_path: Path
) -> None:
    loss = "loss=alpha_temporal"
    with pytest.raises(
        InputError, match=r"^loss\.temporal reads previous, .*clip\.frames=2 \(validation has st"
    ):
        train_tiny(tmp_path / "stills", loss)
    with pytest.raises(InputError, match=r"^data\.batch_size=4: has to be a multiple of .*frames=3, so that"):
        train_tiny(tmp_path / "cut", loss, "composition.clip.frames=3", "data.batch_size=4")
    train_tiny(tmp_path / "run", loss, "composition.clip.frames=2", "loss.log_cosines=true")
    rows = list(csv.DictReader((tmp_path / "run" / "metrics.csv").open()))
    values = [float(row["train/loss/temporal"]) for row in rows if row.get("train/loss/temporal")]
    assert len(values) == 2
    assert all(0 < value < 1 for value in values)


def test_the_sample_stream_does_not_depend_on_the_loss_or_the_number_of_workers(tiny) -> None:
    """Two runs that differ in their loss see the very same pixels."""
    from deepmatte.training.building.from_config import build_data

    def first_batches(*more: str) -> list[torch.Tensor]:
        data = build_data(compose("train", tiny(*more)))
        return [batch["image"] for batch in data.train_dataloader()]

    reference = first_batches("loss=alpha")
    for other in (first_batches("loss=composition"), first_batches("loss=alpha", "data.num_workers=2")):
        assert all(torch.equal(a, b) for a, b in zip(reference, other, strict=True))
    assert not torch.equal(reference[0], first_batches("seed=1")[0])


def test_config_hash_in_the_record_is_that_of_the_saved_configuration(trained: Path) -> None:
    from omegaconf import OmegaConf

    assert config_hash(OmegaConf.load(trained / ".hydra" / "config.yaml")) == result(trained)["config_hash"]
