"""Background matting and encoder-decoders: killed in mid-epoch they end in the same bits; processes agree."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import torch
from test_resume import assert_same_end, checkpoint, command, killed
from tiny_run import TINY

SHORT = (*(word for word in TINY if not word.startswith("stages.")), "wandb.mode=disabled")

MODELS = {
    "bgmv2": (
        "model=bgmv2_small",
        "model.refine_mode=sampling",
        "stages.base.epochs=1",
        "stages.joint.epochs=1",
    ),
    "lite0": ("model=encoder_decoder", "model.decoder_width=0.125", "stages.joint.epochs=2"),
    "resnet50": (
        *("model=encoder_decoder", "model.encoder=resnet50"),
        *("model.decoder_width=0.125", "stages.joint.epochs=2"),
    ),
}
"""Tiny runs of two epochs."""


def on(processes: int) -> tuple[str, ...]:
    return ("trainer=ddp", "trainer.accelerator=cpu", f"trainer.devices={processes}") if processes > 1 else ()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "processes"), [("bgmv2", 1), ("bgmv2", 2), ("lite0", 1), ("resnet50", 1)], ids=str
)
def test_a_model_that_is_killed_in_mid_epoch_ends_in_the_bits_of_one_that_was_not(
    tmp_path: Path, procedural_cache: Path, model: str, processes: int
) -> None:
    """With averaged weights and clipping; bgmv2 is killed after its refiner has begun to learn."""
    words = (
        *(*SHORT, *MODELS[model], *on(processes), f"data.source.cache_dir={procedural_cache}"),
        *("data.samples_per_epoch=16", "trainer.gradient_clip_val=0.5", "ema=0.9", "save_every.steps=1"),
    )
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    subprocess.run(command(whole, *words), check=True, capture_output=True, timeout=900)
    killed(broken, words, wait_for_step=4 + 1)
    assert checkpoint(broken)["deepmatte"]["stage"] == "joint"
    assert json.loads((broken / "result.json").read_text())["status"] != "finished"
    subprocess.run(command(broken, *words), check=True, capture_output=True, timeout=900)
    assert_same_end(whole, broken)
    result = json.loads((broken / "result.json").read_text())
    assert result["status"] == "finished"
    assert result["impose_trimap"] is (None if model == "bgmv2" else True)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["lite0", "resnet50"])
def test_two_gloo_processes_learn_and_score_what_one_does(
    tmp_path: Path, procedural_cache: Path, model: str
) -> None:
    """In double precision, by plain gradient descent: Adam turns the rounding of a gradient into a step.

    bgmv2 normalises by batch, as published, so that each process has statistics of its own, and is left out.
    """
    words = (
        *(*SHORT, *MODELS[model], f"data.source.cache_dir={procedural_cache}"),
        *("optimizer=sgd", "optimizer.lr=0.01", "trainer.precision=64-true"),
    )
    ends = []
    for processes in (1, 2):
        run = tmp_path / str(processes)
        subprocess.run(command(run, *words, *on(processes)), check=True, capture_output=True, timeout=900)
        ends.append((checkpoint(run)["state_dict"], json.loads((run / "result.json").read_text())["scores"]))
    (weights, scores), (others, theirs) = ends
    for name, value in weights.items():
        torch.testing.assert_close(others[name], value, rtol=1e-6, atol=1e-9)
    assert theirs == pytest.approx(scores, rel=1e-4)
