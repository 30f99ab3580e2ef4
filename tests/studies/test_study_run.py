"""A study as a user runs it: networks that train, methods beside them, scenes of several objects, the page."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tiny_run import TINY

from deepmatte.studies.scenes import TRUTH, read_scores


@pytest.mark.slow
def test_a_study_ends_in_a_page_with_everything_on_it(tmp_path: Path) -> None:
    small = ["data.source.num_test=16", "laptop.samples_per_epoch=8", "losses=bce,focal_gamma_2", "seeds='0'", "wandb.mode=disabled"]
    small += [
        "study.baselines=[method=trivial]",
        "study.scenes={count: 2, size: 96, methods: [method=trivial]}",
        f"output_root={tmp_path}/runs",
    ]
    words = [word for word in TINY if not word.startswith(("stages.", "data.source.num_test", "data.samples"))]
    command = [sys.executable, "-c", "from deepmatte.cli.main import main; main()", "study", "segmentation_losses", *words, *small]
    done = subprocess.run([*command, "--out", str(tmp_path)], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "segmentation_losses.md").read_text()
    assert "Seeds 0. 2 runs and 1 evaluations of methods without a network" in text
    rows = text.split("### Several objects")[1]
    assert {"bce", "focal_gamma_2", "trivial", "truth by class"} <= {line.split(" | ")[0].strip("| ") for line in rows.splitlines()}
    figures = {line.split("](")[1].removesuffix(")") for line in text.splitlines() if line.startswith("![")}
    assert {"segmentation_losses/scores.png", "segmentation_losses/mattes.png", "segmentation_losses/scenes.png"} <= figures
    assert all((tmp_path / figure).is_file() for figure in figures)
    (home,) = (tmp_path / "runs/segmentation_losses/scenes").iterdir()
    truth = read_scores(home / TRUTH)
    assert truth is not None
    assert truth["strayed"] == 0 < truth["objects"]
    again = subprocess.run([*command, "--page", "--out", str(tmp_path)], capture_output=True, text=True, timeout=600)
    assert again.returncode == 0, again.stderr
    assert "scenes    " not in again.stdout  # nothing is scored twice
    assert (tmp_path / "segmentation_losses.md").read_text() == text
