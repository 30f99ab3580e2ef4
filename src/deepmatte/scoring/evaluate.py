"""Evaluate a trained run, or a classical method, on a data set."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict
from pytorch_lightning.utilities.rank_zero import rank_zero_only
from rich.console import Console

from deepmatte.classical import METHODS, ClassicalMethod
from deepmatte.config.build import build
from deepmatte.config.validation import check_own_keys
from deepmatte.data.parallel import num_cores
from deepmatte.errors import InputError
from deepmatte.files import check_folder
from deepmatte.metrics import METRICS_VERSION
from deepmatte.metrics.functional.robustness import RADII
from deepmatte.models import MattingModel
from deepmatte.runs import summary as report
from deepmatte.runs.directory import FINISHED, PER_IMAGE_FILE, RunDir
from deepmatte.runs.provenance import provenance
from deepmatte.scoring.baselines import ClassicalMatting, SolvedDataset
from deepmatte.scoring.known import known_images, warning
from deepmatte.scoring.names import evaluation_name, free_name
from deepmatte.training.building import from_config
from deepmatte.training.building.requirements import check_inputs
from deepmatte.training.datamodule import MattingData
from deepmatte.training.own_scores import OwnScores
from deepmatte.training.score import conditions, model_of_run, score

MOST_NOTES = 5
"""How many of a method's warnings are printed; all are recorded."""


@dataclass(frozen=True)
class Evaluation:
    """An evaluation that is ready to be made, or made: see `prepare` and `carry_out`.

    ``home`` is the directory of the run, or of the method.
    """

    config: DictConfig
    settings: DictConfig
    method: ClassicalMethod | None
    data: MattingData
    home: Path
    output: RunDir

    def reusable(self) -> dict[str, Any] | None:
        """Return the earlier result if the same images were scored in the same way; None otherwise."""
        before = self.output.result()
        wanted = {
            **conditions(self.settings, ("trimap",), self.config.split),
            "status": FINISHED,
            "protocol": self.settings.protocol,
            "metrics_version": METRICS_VERSION,
            "metrics": OwnScores(self.settings, self.data, self.config.split).declared or None,
            **_who(self.config, self.settings, self.method),
        }
        unknown = {"data_root", "run", "overrides"}
        if before is not None and before.get("impose_trimap") is None:  # the model reads none
            unknown.add("impose_trimap")
        compared = [key for key in wanted if key not in unknown]
        if before is None or any(before.get(key) != wanted[key] for key in compared):
            return None
        if (before.get("dataset") or {}).get("digest") != self.data.eval_dataset(self.config.split).digest():
            return None
        curve = (self.output.path / "robustness.csv").is_file()
        complete = (self.output.path / PER_IMAGE_FILE).is_file() and (curve or not self.config.robustness)
        return before if complete else None


def evaluate(config: DictConfig) -> dict[str, Any]:
    """Score ``config.run`` or ``config.method``; write ``result.json`` and ``per_image.csv``.

    Returns the result, and prints it.

    Raises:
        InputError: neither or both are given, the run has no checkpoint, or the data can't be used.
    """
    evaluation = prepare(config)
    result, known = carry_out(evaluation)
    if result:
        _print(evaluation.output, result)
        if known:
            print(warning(known, evaluation.home, result["dataset"]))
    return result


def prepare(config: DictConfig) -> Evaluation:
    """Check what is to be evaluated on what, and decide where the results go.

    Raises:
        InputError: neither run nor method is given, or both, or the data can't be used.
    """
    from_config.quieten()
    check_own_keys(config)
    if (config.run is None) == (config.method is None):
        raise InputError(
            f"give either a run (deepmatte evaluate RUN) or method=NAME (one of {', '.join(METHODS)})"
        )
    method: ClassicalMethod | None = None
    if config.run is not None:
        settings, home = _settings_of_run(config, config.run, "model"), Path(config.run)
        usual = RunDir(home).config()
        RunDir(home).check_links()
    else:
        method = build(config.method, "method")
        if config.tile:
            raise InputError(f"tile={config.tile}: methods solve whole pictures; leave it out")
        settings = _settings_of_method(config, method)
        home = Path("runs/evaluations") / re.sub(r"[^\w=.-]+", "_", method.label)
        own = {"impose_trimap": method.sees_trimap}
        usual = OmegaConf.create(own if config.like is not None else own | {"protocol": "adobe"})
    data = from_config.build_data(settings)
    data.check(splits=(config.split,))
    if config.output is not None:
        return Evaluation(config, settings, method, data, home, RunDir(Path(config.output)))
    above = home / "evaluations" if method is None else home
    name = config.name
    if name is None:
        name = evaluation_name(config, settings, usual, data.source.name)
        name = free_name(above, name, data.eval_dataset(config.split).digest())
    return Evaluation(config, settings, method, data, home, RunDir(above / name))


def carry_out(evaluation: Evaluation) -> tuple[dict[str, Any], dict[str, str] | None]:
    """Score and write the records; return the result and what `known_images` found.

    The result is empty on other ranks than the first.
    """
    config, settings, method = evaluation.config, evaluation.settings, evaluation.method
    data, output = evaluation.data, evaluation.output
    start = time.monotonic()
    model: MattingModel
    if method is None:
        model, checkpoint, source = model_of_run(RunDir(evaluation.home), settings, config.checkpoint)
    else:
        model, checkpoint, source = ClassicalMatting(method), None, ""
    data.guide_for(model)
    check_inputs(model, data, [config.split])
    known: dict[str, str] | None = {}
    if method is None and _is_rank_zero():
        known = known_images(RunDir(evaluation.home), data, config.split)
    if method is not None:
        _prepare(method, data, config)
    if _is_rank_zero():  # before the work, not after it
        check_folder(output.path, "make room, or give output=DIR, a folder that can be written")
        (output.pictures / config.split).mkdir(parents=True, exist_ok=True)
    scored = score(
        settings,
        model,
        data,
        config.split,
        checkpoint,
        output.pictures / config.split,
        source=source,
        radii=RADII if config.robustness else (),
        tile=config.tile,
    )
    if not _is_rank_zero():
        return {}, known
    output.write_config(settings, [])
    output.write_per_image(scored.rows)
    scored.draw(output.pictures, evaluation.home.name)
    result = output.update(
        status=FINISHED,
        **_who(config, settings, method),
        notes=model.notes if isinstance(model, ClassicalMatting) else {},
        protocol=settings.protocol,
        metrics_version=METRICS_VERSION,
        **conditions(settings, model.reads, config.split),
        dataset=scored.dataset,
        metrics=scored.metrics or None,
        trained_on=None if known is None else list(known),
        scores=scored.scores,
        cost={"seconds": round(time.monotonic() - start, 1)},
        error=None,
        **provenance(),
    )
    return result, known


def _is_rank_zero() -> bool:
    return int(rank_zero_only.rank) == 0  # type: ignore[attr-defined]


def _print(output: RunDir, result: dict[str, Any]) -> None:
    """Print the table, and the first of a method's warnings."""
    console = Console()
    console.print(report.summary(output.path, result), crop=False)
    for image, note in list(result["notes"].items())[:MOST_NOTES]:
        console.print(f"{image}: {note}", style="yellow", markup=False)
    if len(result["notes"]) > MOST_NOTES:
        console.print(
            f"... and {len(result['notes']) - MOST_NOTES} more images; result.json lists all warnings",
            style="yellow",
        )


def _prepare(method: ClassicalMethod, data: MattingData, config: DictConfig) -> None:
    """Load what the method needs before the loader's processes are forked, and let those solve the images."""
    with Console(stderr=True).status(
        f"loading {method.name}; the first use on a machine may take a minute to compile"
    ):
        method.prepare()
    if not config.robustness:  # trimaps are widened after loading; there the model solves
        data.wrap(config.split, lambda dataset: SolvedDataset(dataset, method))


def _who(config: DictConfig, settings: DictConfig, method: ClassicalMethod | None) -> dict[str, Any]:
    """Return what made the mattes, under the keys by which `compare` distinguishes runs."""
    if method is None:
        run = RunDir(Path(config.run))
        label = f"{run.path.name}, {config.checkpoint}"
        who = {"run": str(config.run), "method": label, "seed": settings.seed, "overrides": run.overrides()}
        return who | {"tile": config.tile or None}
    options = [f"method.{key}={value}" for key, value in method.changed_options().items()]
    mode = "trimap given" if method.sees_trimap else "trimap-free"
    return {
        "run": None,
        "method": method.label,
        "mode": mode,
        "seed": 0,
        "overrides": [f"method={method.name}", *options],
    }


def _settings_of_run(config: DictConfig, run: str, *sections: str) -> DictConfig:
    """Return the run's configuration, checked for ``sections``, with the command line's settings on top."""
    settings = RunDir(Path(run)).config("data", "composition", *sections)
    with open_dict(settings):
        if "source" in config.data:
            config.data.num_workers = 1 if config.data.num_workers is None else config.data.num_workers
            settings.data = OmegaConf.merge(
                {key: value for key, value in settings.data.items() if key != "source"}, config.data
            )
        if config.get("composition") is not None:
            settings.composition = config.composition
        if config.get("metrics"):
            settings.metrics = OmegaConf.merge(settings.get("metrics") or {}, config.metrics)
        for key in ("protocol", "impose_trimap"):
            if config[key] is not None:
                settings[key] = config[key]
        settings.trainer = config.trainer
        settings.num_pictures = config.num_pictures
    return settings


def _settings_of_method(config: DictConfig, method: ClassicalMethod) -> DictConfig:
    """Return settings for a method, which has no run to take them from."""
    if config.data.num_workers is None:
        config.data.num_workers = num_cores()
    if config.like is not None:
        settings = _settings_of_run(config, config.like)
        settings.data.num_workers = config.data.num_workers
        settings.impose_trimap = method.sees_trimap if config.impose_trimap is None else config.impose_trimap
        return settings
    if "source" not in config.data:
        raise InputError(f"method={method.name}: needs data, for instance data=procedural, or like=RUN")
    settings = OmegaConf.create(
        {"seed": 0, "data": config.data, "composition": config.get("composition"), "trainer": config.trainer}
    )
    settings.metrics = config.get("metrics")
    settings.protocol = config.protocol or "adobe"
    settings.impose_trimap = method.sees_trimap if config.impose_trimap is None else config.impose_trimap
    settings.num_pictures = config.num_pictures
    if settings.composition is None:
        settings.composition = {"_target_": "deepmatte.data.Composition"}
    return settings
