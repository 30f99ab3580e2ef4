"""Evaluate a trained run, or a classical method, on a data set."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf, open_dict
from pytorch_lightning.utilities.rank_zero import rank_zero_only
from rich.console import Console

from deepmatte import build, report
from deepmatte.batch import Batch, Matte
from deepmatte.classical import METHODS
from deepmatte.errors import InputError
from deepmatte.metrics import METRICS_VERSION
from deepmatte.metrics.functional.robustness import RADII
from deepmatte.models import MattingModel
from deepmatte.rundir import FINISHED, RunDir, provenance
from deepmatte.scoring import model_of_run, score


class ClassicalMatting(MattingModel):
    """A classical method in the place of a network, so that both are scored on one path."""

    def __init__(self, method: str) -> None:
        super().__init__()
        if method not in METHODS:
            raise InputError(f"method={method}: there is none of that name; choose one of {', '.join(METHODS)}")
        self.method = METHODS[method]

    def forward(self, batch: Batch, refine: bool = True) -> Matte:
        """Solve one image after the other, in double precision on the CPU."""
        images = batch["image"].permute(0, 2, 3, 1).double().cpu().numpy()
        trimaps = batch["trimap"][:, 0].cpu().numpy()
        alphas = [torch.from_numpy(np.asarray(self.method(image, trimap))) for image, trimap in zip(images, trimaps, strict=True)]
        return Matte(alpha=torch.stack(alphas)[:, None].to(batch["image"]))


def evaluate(config: DictConfig) -> dict[str, Any]:
    """Score ``config.run`` or ``config.method`` and write ``result.json`` and ``per_image.csv``; return the result.

    Raises:
        InputError: neither or both are given, the run has no checkpoint, or the data can't be used.
    """
    build.quieten()
    start = time.monotonic()
    if (config.run is None) == (config.method is None):
        raise InputError("give either run=RUN (a run directory) or method=NAME (one of " + ", ".join(METHODS) + ")")
    model: MattingModel
    if config.run is not None:
        settings = _settings_of_run(config)
        model, checkpoint, source = model_of_run(RunDir(Path(config.run)), settings, config.checkpoint)
    else:
        settings = _settings_of_method(config)
        model, checkpoint, source = ClassicalMatting(config.method), None, ""
    data = build.build_data(settings)
    data.check(splits=(config.split,))
    name = config.name or f"{data.source.name}_{config.split}"
    home = Path(config.run) if config.run is not None else Path("runs/evaluations") / config.method
    output = RunDir(Path(config.output) if config.output is not None else home / ("evaluations" if config.run is not None else "") / name)
    scored = score(
        settings,
        model,
        data,
        config.split,
        checkpoint,
        output.pictures / config.split,
        source=source,
        radii=RADII if config.robustness else (),
    )
    if rank_zero_only.rank != 0:
        return {}
    output.write_config(settings, [])
    output.write_per_image(scored.rows)
    scored.draw(output.pictures, home.name)
    result = output.update(
        status=FINISHED,
        run=None if config.run is None else str(config.run),
        method=config.method or f"{Path(config.run).name}, {config.checkpoint}",
        protocol=settings.protocol,
        metrics_version=METRICS_VERSION,
        impose_trimap=settings.impose_trimap,
        dataset=scored.dataset,
        scores=scored.scores,
        cost={"seconds": round(time.monotonic() - start, 1)},
        error=None,
        **provenance(),
    )
    Console().print(report.summary(output.path, result))
    return result


def _settings_of_run(config: DictConfig) -> DictConfig:
    """Return the run's configuration with what the command line says laid over it."""
    settings = RunDir(Path(config.run)).config()
    with open_dict(settings):
        if "source" in config.data:
            settings.data = OmegaConf.merge({key: value for key, value in settings.data.items() if key != "source"}, config.data)
        if config.get("composition") is not None:
            settings.composition = config.composition
        for key in ("protocol", "impose_trimap"):
            if config[key] is not None:
                settings[key] = config[key]
        settings.trainer = config.trainer
        settings.num_pictures = config.num_pictures
    return settings


def _settings_of_method(config: DictConfig) -> DictConfig:
    """Return settings for a method that no run describes."""
    if "source" not in config.data:
        raise InputError(f"method={config.method}: say on which data, for instance data=procedural")
    settings = OmegaConf.create({"seed": 0, "data": config.data, "composition": config.get("composition"), "trainer": config.trainer})
    settings.protocol = config.protocol or "adobe"
    settings.impose_trimap = True if config.impose_trimap is None else config.impose_trimap
    settings.num_pictures = config.num_pictures
    if settings.composition is None:
        settings.composition = {"_target_": "deepmatte.data.Composition"}
    return settings
