"""A study as a user runs it: networks that train, baselines, scenes of several objects, the page."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_run import TINY

from deepmatte.studies.scenes import TRUTH, read_scores


def command_of(tmp_path: Path) -> list[str]:
    """Return the command of a small study that writes below ``tmp_path``."""
    small = [
        "data.source.size=128",
        "data.source.num_test=16",
        "laptop.samples_per_epoch=8",
        "losses=bce,focal_gamma_2",
        "seeds='0'",
        "num_pictures=2",
        "wandb.mode=disabled",
    ]
    small += [
        "study.baselines=['method=trivial']",
        "study.scenes={count: 2, size: 96, methods: ['method=trivial']}",
        f"output_root={tmp_path}/runs",
    ]
    words = [
        word for word in TINY if not word.startswith(("stages.", "data.source.num_test", "data.samples"))
    ]
    study = [
        sys.executable,
        "-c",
        "from deepmatte.cli.main import main; main()",
        "study",
        "segmentation_losses",
    ]
    return [*study, *words, *small, "--out", str(tmp_path)]


def processes_below(folder: Path) -> list[str]:
    """Return the processes that have ``folder`` in their command lines."""
    return subprocess.run(["pgrep", "-f", f"python.*{folder}"], capture_output=True, text=True).stdout.split()


@pytest.mark.slow
def test_a_study_that_is_killed_takes_its_sweep_with_it(tmp_path: Path) -> None:
    study = subprocess.Popen(command_of(tmp_path), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while not list(tmp_path.glob("runs/*/*/output.log")) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert len(processes_below(tmp_path)) >= 3  # the study, the launcher and a job
    study.kill()
    study.wait()
    deadline = time.monotonic() + 120
    while processes_below(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert processes_below(tmp_path) == []


@pytest.mark.slow
def test_a_study_ends_in_a_page_with_everything_on_it(tmp_path: Path) -> None:
    command = command_of(tmp_path)
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "segmentation_losses.md").read_text()
    assert "Seeds 0. 2 runs and 1 evaluation of methods without a network" in text
    assert re.search(r", \d+ minutes elapsed, \d+ minutes of machine time in all", text)
    rows = text.split("### Several objects")[1]
    assert {"bce", "focal_gamma_2", "trivial", "truth by class"} <= {
        line.split(" | ")[0].strip("| ") for line in rows.splitlines()
    }
    figures = {line.split("](")[1].removesuffix(")") for line in text.splitlines() if line.startswith("![")}
    assert {
        "segmentation_losses/scores.png",
        "segmentation_losses/mattes.png",
        "segmentation_losses/scenes.png",
    } <= figures
    assert all((tmp_path / figure).is_file() for figure in figures)
    (home,) = (tmp_path / "runs/segmentation_losses/scenes").iterdir()
    truth = read_scores(home / TRUTH)
    assert truth is not None
    assert truth["strayed"] == 0 < truth["objects"]
    again = subprocess.run([*command, "--page"], capture_output=True, text=True, timeout=600)
    assert again.returncode == 0, again.stderr
    assert "scenes    " not in again.stdout  # nothing is scored twice
    minutes = re.compile(r"\d+ minutes elapsed")  # this call's own seconds belong to them
    assert minutes.sub("", (tmp_path / "segmentation_losses.md").read_text()) == minutes.sub("", text)
