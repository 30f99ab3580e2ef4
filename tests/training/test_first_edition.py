"""A run that the first edition of the package left in mid-epoch is resumed by this one."""

from __future__ import annotations

import csv
import json
import tarfile
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from tiny_run import compose

from deepmatte.runs.identity import config_hash

ARCHIVE = Path(__file__).parent / "first_edition" / "run.tar.xz"
"""Written by commit 0efe9c1: its process died in its second epoch, at step 6 of a first stage of 8."""


@pytest.mark.slow
def test_a_run_of_the_first_edition_is_resumed_to_the_end(
    train_tiny, tiny, procedural_cache: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(run, filter="data")
    written = json.loads((run / "result.json").read_text())
    overrides = [word for word in written["overrides"] if "cache_dir" not in word]
    assert config_hash(compose("train", tiny(*overrides))) == written["config_hash"]
    assert config_hash(OmegaConf.load(run / ".hydra" / "config.yaml")) == written["config_hash"]

    resumed = train_tiny(run, *overrides)
    whole = train_tiny(tmp_path / "whole", *overrides)
    assert resumed["status"] == "finished"
    assert resumed["stages_done"] == ["encoder_decoder", "joint"]
    assert resumed["cost"]["steps"] == whole["cost"]["steps"] == 3 * 4
    curves = [list(csv.DictReader((path / "metrics.csv").open())) for path in (run, tmp_path / "whole")]
    # The archive's steps were made on another machine, perhaps, whose sums differ in the last digits. Adam
    # makes much of that in weights that hardly matter, the losses of the very same samples little.
    losses = [
        {
            (row["step"], key): float(text)
            for row in rows
            for key, text in row.items()
            if text and key.startswith(("train/loss", "val/loss"))
        }
        for rows in curves
    ]
    assert {("9", "train/loss/laplacian"), ("11", "train/loss_epoch"), ("11", "val/loss")} <= losses[1].keys()
    assert losses[0] == pytest.approx({key: losses[1][key] for key in losses[0]}, rel=0.01)
    assert losses[1].keys() - losses[0].keys() <= {("3", "train/loss_epoch")}  # lost with the old process
    ends = [
        torch.load(path / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for path in (run, tmp_path / "whole")
    ]
    assert ends[0].keys() == ends[1].keys()
