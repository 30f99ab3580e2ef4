"""Train a run from its configuration, from an empty directory or from where it stopped."""

from __future__ import annotations

import dataclasses
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from pytorch_lightning.callbacks import Callback, ModelCheckpoint
from rich.console import Console

from deepmatte.config.validation import check_own_keys
from deepmatte.data.inspection.leaks import joined_records, training_record
from deepmatte.errors import RunError
from deepmatte.files import check_folder
from deepmatte.losses import LossTable
from deepmatte.metrics import METRICS_VERSION
from deepmatte.models import MattingModel
from deepmatte.runs import interruption
from deepmatte.runs import summary as report
from deepmatte.runs.directory import FINISHED, RunDir, checked_run_dir
from deepmatte.runs.fingerprint import made_with, retrains
from deepmatte.runs.identity import config_hash
from deepmatte.runs.locks import locked
from deepmatte.runs.provenance import provenance
from deepmatte.training.acceleration import accelerate
from deepmatte.training.building import from_config
from deepmatte.training.building.optimisation import build_optimisation
from deepmatte.training.building.requirements import check_inputs, check_losses, check_sharding
from deepmatte.training.building.stages import Stage, plan_stages, without_idle_critics
from deepmatte.training.callbacks import Bar, EpochLines, Progress, StepSeeds
from deepmatte.training.checkpoints.callbacks import AveragedWeights, EarlyStoppingForGood, LastCheckpoint
from deepmatte.training.checkpoints.files import hand_over_best, newest_checkpoint, read_checkpoint, restoring
from deepmatte.training.checkpoints.initial import start_from
from deepmatte.training.checkpoints.statistics import is_first_process
from deepmatte.training.cost import over_ranks, peak_memory_mb
from deepmatte.training.datamodule import MattingData
from deepmatte.training.examine import examine
from deepmatte.training.failures import recorded
from deepmatte.training.module import check_protocol
from deepmatte.training.own_scores import OwnScores
from deepmatte.training.reuse import differences, fingerprint
from deepmatte.training.score import conditions, score
from deepmatte.training.tracking.tracker import Tracker
from deepmatte.training.warm_up import warm_up as warm_up  # of what jobs are forked from


def train(config: DictConfig, directory: Path, overrides: list[str]) -> dict[str, Any]:
    """Train the run of ``config`` in ``directory``, or resume it, and return its result.

    A run that is finished prints its table and is left alone. Every process of a DDP run comes through here;
    only rank 0 writes the records.

    Raises:
        InputError: the configuration, the data or the directory can't be used; found before training starts
            where it can be.
        RunError: the run broke off; ``result.json`` says why.
        KeyboardInterrupt: it was ended by Ctrl-C or SIGTERM, at a point from which the same call resumes
            exactly.
    """
    with interruption.caught():
        return _train(config, directory, overrides)


def _train(config: DictConfig, directory: Path, overrides: list[str]) -> dict[str, Any]:
    from_config.quieten()
    check_own_keys(config)
    run = checked_run_dir(directory, config_hash(config))
    if config.get("examine"):
        return examine(config, run, overrides)
    result, fresh = run.result() or {}, config.force
    if result.get("status") == FINISHED and is_first_process() and not fresh:
        others = differences(config, result)
        if not (fresh := retrains(config.reuse, others)):
            Console().print(report.summary(run.path, result), crop=False)
            print(f"{run.path} was finished before{made_with(others)}; force=true retrains it")
            return result
    job = _Job(config, run, fresh)
    with locked(run.path) if is_first_process() else nullcontext():
        if is_first_process() and fresh:
            run.clear()
        with recorded(run, job.fail):
            if is_first_process():
                run.remove_leftovers()
                run.write_config(config, overrides)
                job.begin(overrides)
                check_folder(run.pictures / "test")
            job.fit()
            result = job.finish()
    if is_first_process():
        Console().print(report.summary(run.path, result), crop=False)
    return result


class _Job:
    """One training run. What can be checked is built, and so checked, before the directory changes."""

    def __init__(self, config: DictConfig, run: RunDir, fresh: bool = False) -> None:
        self.config, self.run = config, run
        self.start = time.monotonic()
        from_config.seed_process(config)
        self.model: MattingModel = from_config.build_model(config)
        self.stages: list[Stage] = plan_stages(config, self.model)
        self.losses: dict[str, LossTable] = {
            stage.name: from_config.build_losses(config, stage.name) for stage in self.stages
        }
        self.stages = without_idle_critics(self.stages, self.model, self.losses)
        self.data: MattingData = from_config.build_data(config)
        for stage in self.stages:
            build_optimisation(config, stage).check(self.model, f"stages.{stage.name}")
        check_protocol(config.protocol)
        self.world_size = from_config.num_processes(config)
        self.data.check(splits=("train", "val", "test"), world_size=self.world_size)
        self.data.guide_for(self.model)
        check_inputs(self.model, self.data, ("train", "val", "test"))
        OwnScores(config, self.data, "test")
        check_losses(self.losses, self.stages, self.model, self.data, config.objective)
        check_sharding(self.model, config)
        earlier = {} if fresh else run.result() or {}
        self.stages_done: list[str] = list(earlier.get("stages_done", []))
        self.earlier_cost: dict[str, float] = {} if fresh else run.progress().get("cost", {})
        self.first_report: tuple[float, float] | None = None
        self.resumes = run.last_checkpoint.exists() and not fresh
        self.data.guide_for(self.model, ("train", "val", "test"))
        self.initial = None if self.resumes else start_from(self.model, config)
        self.makers = from_config.build_loggers(config)
        from_config.build_callbacks(config)
        self.tracker: Tracker | None = None

    def begin(self, overrides: list[str]) -> None:
        """Record in ``result.json`` that the run has started."""
        self.run.update(
            status="running",
            config_hash=config_hash(self.config),
            experiment=self.config.name,
            overrides=overrides,
            seed=self.config.seed,
            protocol=self.config.protocol,
            metrics_version=METRICS_VERSION,
            stages_done=self.stages_done,
            error=None,
            fingerprint=fingerprint(self.config, self.data),
            **provenance(),
        )
        record = training_record(self.data.source, self.data.trained_on)
        if self.initial is not None:
            self.run.update(init={"file": self.config.init, **dataclasses.asdict(self.initial)})
            print("\n".join(self.initial.lines(self.config.init)))
        self.run.write_trained_on(joined_records(self.run.trained_on(), record) if self.resumes else record)
        for line in getattr(self.data.source, "notes", []):
            print(line)

    def fit(self) -> None:
        """Run the stages that are not done, one ``Trainer.fit`` each: DDP is set up for what learns."""
        resumed, earlier = None, False
        if self.resumes:
            resumed, earlier = newest_checkpoint(self.run.checkpoints, mend=is_first_process())
        checkpoint = resumed["deepmatte"] if resumed else None
        if resumed and earlier:  # what followed on it is done again
            names = [stage.name for stage in self.stages]
            self.stages_done = [
                name
                for name in self.stages_done
                if names.index(name) < names.index(resumed["deepmatte"]["stage"])
            ]
        self.tracker = Tracker(self.makers, self.config, self.run, resumed)
        for stage in self.stages:
            if stage.name in self.stages_done:
                continue
            same = checkpoint is not None and checkpoint["stage"] == stage.name
            if checkpoint is not None:
                stage = dataclasses.replace(
                    stage, first_epoch=checkpoint["first_epoch" if same else "epochs_done"]
                )
            if checkpoint is not None and not same and stage.start == "best" and is_first_process():
                hand_over_best(self.run.checkpoints, stage.name)
            self._fit_stage(stage, resume=checkpoint is not None)
            self.stages_done.append(stage.name)
            checkpoint = read_checkpoint(self.run.last_checkpoint)["deepmatte"]
            if is_first_process():
                self.run.update(stages_done=self.stages_done)

    def _fit_stage(self, stage: Stage, resume: bool) -> None:
        stage.freeze_others(self.model)
        trainer = from_config.build_trainer(
            self.config,
            max_epochs=stage.last_epoch,
            logger=self.tracker.loggers if self.tracker else False,
            callbacks=self._callbacks(stage),
            default_root_dir=self.run.path,
            log_every_n_steps=1 if self.config.loss.log_cosines else 10,
            check_val_every_n_epoch=self.config.validate_every,
            enable_progress_bar=sys.stdout.isatty(),
        )
        from_config.leave_cores_to_loaders(trainer, self.config.data.num_workers)
        accelerate(self.model, self.config, training=True)
        checkpoint = self.run.last_checkpoint if resume else None
        module = from_config.build_module(self.config, self.model, stage, self.losses[stage.name])
        with interruption.at_once_afterwards(), restoring(self.run.last_checkpoint):
            trainer.fit(module, self.data, ckpt_path=checkpoint, weights_only=True)
        if not self.run.last_checkpoint.exists():
            cure = "validate_every must not exceed the stage's epochs"
            raise RunError(f"stage {stage.name}: no checkpoint was written; {cure}")

    def _callbacks(self, stage: Stage) -> list[Callback]:
        config = self.config
        keep: dict[str, Any] = {"auto_insert_metric_name": False, "enable_version_counter": False}
        best = ModelCheckpoint(
            self.run.checkpoints, filename="best", monitor=config.objective, mode="min", **keep
        )
        last = LastCheckpoint(
            self.run.checkpoints, **(config.get("save_every") or {}), filename="last", **keep
        )
        progress = Progress(self._report, self.stages[-1].last_epoch)
        callbacks: list[Callback] = [
            *from_config.build_callbacks(config),
            StepSeeds(config.seed),
            EpochLines(stage),
            progress,
            best,
            last,
        ]
        if config.early_stopping:
            callbacks.append(
                EarlyStoppingForGood(config.objective, patience=config.early_stopping, mode="min")
            )
        if config.ema:
            callbacks.append(AveragedWeights(decay=config.ema))
        if sys.stdout.isatty():
            callbacks.append(Bar(stage))
        return callbacks

    def _report(self, fraction: float) -> None:
        """Write ``progress.json``: the share that is done, the seconds left, what the run has cost so far."""
        now = time.monotonic()
        then, first = self.first_report = self.first_report or (now, fraction)
        left = round((1 - fraction) * (now - then) / (fraction - first), 1) if fraction > first else None
        self.run.write_progress(
            fraction=round(fraction, 4), seconds_left=left, cost=self._cost(peak_memory_mb())
        )

    def _cost(self, peak_memory_mb: float) -> dict[str, float]:
        """Return what the run has cost, the parts before an interruption included."""
        seconds, earlier = time.monotonic() - self.start, self.earlier_cost
        return {
            "seconds": round(earlier.get("seconds", 0.0) + seconds, 1),
            "device_seconds": round(earlier.get("device_seconds", 0.0) + seconds * self.world_size, 1),
            "peak_memory_mb": max(earlier.get("peak_memory_mb", 0.0), peak_memory_mb),
        }

    def finish(self) -> dict[str, Any]:
        """Score the best checkpoint once on the test split and write the records; return ``result.json``."""
        best = read_checkpoint(self.run.checkpoints / "best.ckpt")
        assert self.tracker is not None
        loggers, pictures = self.tracker.loggers, self.run.pictures / "test"
        last = read_checkpoint(self.run.last_checkpoint)
        scored = score(
            self.config, self.model, self.data, "test", best, pictures, loggers=loggers, trained=last
        )
        cost = self._cost(over_ranks(peak_memory_mb())) | {"steps": int(last["global_step"])}
        if not is_first_process():
            return {}
        self.run.write_per_image(scored.rows)
        scored.draw(self.run.pictures, self.run.path.name)
        result = self.run.update(
            status=FINISHED,
            stage=best["deepmatte"]["stage"],
            best_epoch=int(best["epoch"]),
            dataset=scored.dataset,
            metrics=scored.metrics or None,
            **conditions(self.config, self.model.reads),
            scores=best["deepmatte"]["scores"] | scored.scores,
            cost=cost,
        )
        self.tracker.finish(result, scored.rows)
        return result

    def fail(self) -> None:
        """Tell the loggers, if there are any yet, that the run broke off."""
        if self.tracker is not None:
            self.tracker.fail()
