"""Readers of what is in a run directory."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml

from campaigns.readers.reader import Reader, as_yaml, printed, spoilt, strange


def of_runs(folder: Path) -> dict[str, Reader]:
    """Return what reads the files of the run in ``folder``."""
    return {**_configurations(folder), **_records(folder), **_tables(folder)}


def _configurations(folder: Path) -> dict[str, Reader]:
    from deepmatte.runs.directory import RunDir

    config = yaml.safe_load((folder / ".hydra/config.yaml").read_text())
    config |= {
        "model": {"_target_": "deepmatte.models.DeepImageMatting", "width": 0.1},
        "wandb": {"mode": "offline"},
    }
    return {
        "run.config": strange(
            ".hydra/config.yaml",
            config,
            lambda run: RunDir(run).config("model"),
            lambda run: RunDir(run).resumed("offline", "model"),
            written=as_yaml,
        ),
        "run.overrides": strange(
            ".hydra/overrides.yaml",
            ["loss=alpha", "seed=0"],
            lambda run: RunDir(run).overrides(),
            _compared,
            written=as_yaml,
        ),
    }


def _records(folder: Path) -> dict[str, Reader]:
    from deepmatte.data.procedural import ProceduralData
    from deepmatte.runs.directory import RunDir
    from deepmatte.runs.locks import holder
    from deepmatte.scoring.known import known_images
    from deepmatte.sweeps.status import read_sweep, view

    def shown(run: Path) -> None:
        printed(view(read_sweep(run.parent)))

    source = ProceduralData(num_train=2, num_val=1, num_test=1, size=96, cache_dir=str(folder / "drawn"))
    data: Any = SimpleNamespace(source=source, on_error="stop", shown=lambda split: SimpleNamespace(names=[]))

    def known(run: Path) -> None:
        known_images(RunDir(run), data, "test")

    result = json.loads((folder / "result.json").read_text())
    progress = {"fraction": 0.5, "seconds_left": 3.0, "cost": {"seconds": 1.0}}
    trained_on = {"format": 1, "mattes": [["a", 9, 9, "ab", "00" * 144]], "drawn": [["a", "1", "ab"]]}
    return {
        "run.result": strange("result.json", result, _compared, shown, share=3),
        "run.progress": strange("progress.json", progress, lambda run: RunDir(run).progress()),
        "run.trained_on": strange("trained_on.json", trained_on, known),
        "run.lock": strange(".lock", {"host": "a", "pid": 1}, holder, share=0.5),
    }


def _tables(folder: Path) -> dict[str, Reader]:
    from deepmatte.training.tracking.curves import Curves

    scores = (folder / "per_image.csv").read_bytes()[:4000]
    return {
        "run.curves": spoilt(
            "metrics.csv",
            [b"epoch,step,train/loss\r\n0,0,0.5\r\n0,1,0.4\r\n1,2,0.3\r\n"],
            lambda run: Curves(run).keep_until(2),
            _curves,
        ),
        "run.per_image": spoilt("per_image.csv", [scores], _compared, share=2),
    }


def _compared(run: Path) -> None:
    from deepmatte.compare.records.grouping import group_settings
    from deepmatte.compare.records.reading import Run, read_run

    found = read_run(run)
    if isinstance(found, Run):
        group_settings([found])


def _curves(run: Path) -> None:
    from deepmatte.compare.records.reading import Run, read_run
    from deepmatte.reports.curves import read_curves

    found = read_run(run)
    if isinstance(found, Run):
        read_curves(found, ["train/loss", "val/sad"])
