"""The LightningModule: a matting network, its losses and its metrics, in one training stage."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    LambdaLR,
    LinearLR,
    LRScheduler,
    MultiStepLR,
    SequentialLR,
)
from torchmetrics import MeanMetric

from deepmatte.batch import Batch, Matte
from deepmatte.errors import InputError, RunError
from deepmatte.losses import LossTable
from deepmatte.metrics import PROTOCOLS, MattingDiagnostics, MattingMetrics
from deepmatte.metrics.functional.robustness import widen_unknown
from deepmatte.models import MattingModel
from deepmatte.ops.zones import impose_trimap, trivial_matte

STATISTICS = ("running_mean", "running_var")
"""Ends of the names of what batch normalisation has learned of a process's own share of the batches."""

STATES = ("state_dict", "current_model_state")
"""The keys of a checkpoint under which a model lies: the one that is evaluated, and with averaged weights the one that is trained."""


@dataclass(frozen=True)
class Stage:
    """What one stage of a run trains: which parts learn, whether the refiner runs, and when in the run it takes place.

    ``first_epoch`` counts over the whole run, so that curves and the sample stream go on from stage to stage;
    ``run_epochs`` is the length of all stages together, and ``start`` says which checkpoint of the stage
    before is taken over: last or best.
    """

    name: str = "joint"
    learn: tuple[str, ...] = ()
    refine: bool = True
    epochs: int = 1
    first_epoch: int = 0
    run_epochs: int = 1
    start: str = "last"

    @property
    def last_epoch(self) -> int:
        """The epoch at which the stage is over."""
        return self.first_epoch + self.epochs


@dataclass(frozen=True)
class Optimisation:
    """How the learning parts are optimised: a constructor of the optimiser, and the schedule's keys of ``conf/train.yaml``."""

    optimizer: Callable[..., torch.optim.Optimizer] | None = None
    schedule: Mapping[str, Any] = field(default_factory=lambda: {"name": "constant"})

    def check(self, model: nn.Module, place: str) -> None:
        """Refuse options that the optimiser or the schedule does not take; ``place`` names the stage for the message."""
        assert self.optimizer is not None
        try:
            schedule(self.optimizer(model.parameters()), 10, **self.schedule)
        except (TypeError, ValueError) as error:
            raise InputError(
                error if isinstance(error, InputError) else f"optimizer, schedule or {place}.lr: {error}"
            ) from error


class MattingModule(pl.LightningModule):
    """Trains ``model`` with ``losses`` in ``stage``; validates and tests with the matting metrics.

    Validation and test impose the trimap's known zones on the matte first where ``impose`` is true. Their
    steps communicate nothing, so processes may see different numbers of images; the metrics are joined once
    at the end. ``radii`` are the widths in pixels by which a test also widens the unknown zone, to see how
    the error grows with it.
    """

    val_metrics: MattingMetrics
    test_metrics: MattingMetrics

    def __init__(
        self,
        model: MattingModel,
        losses: LossTable | None = None,
        stage: Stage | None = None,
        optimisation: Optimisation | None = None,
        protocol: str = "adobe",
        impose: bool = True,
        identity: Mapping[str, Any] | None = None,
        radii: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.model = model
        self.losses = losses
        self.stage = stage or Stage()
        self.optimisation = optimisation or Optimisation()
        self.impose = impose
        self.identity = dict(identity or {})
        if protocol not in PROTOCOLS:
            raise InputError(f"protocol={protocol}: choose one of {', '.join(PROTOCOLS)}")
        self.val_metrics = MattingMetrics(protocol=protocol)
        self.test_metrics = MattingMetrics(protocol=protocol)
        self.trivial_metrics = MattingMetrics(protocol=protocol)
        self.diagnostics = MattingDiagnostics(protocol=protocol)
        self.robustness = nn.ModuleDict({str(radius): MattingMetrics(protocol=protocol) for radius in radii})
        self.val_loss = MeanMetric()
        for part in model.parts:
            getattr(model, part).requires_grad_(part in self.stage.learn)

    # ---- what all phases share -------------------------------------------------------------------------------------

    def forward(self, batch: Batch) -> Matte:
        """Return the matte as evaluation sees it: the stage's output, with the known zones of the trimap imposed."""
        matte = self.model(batch, refine=self.stage.refine)
        if self.impose:
            matte.alpha = impose_trimap(matte.alpha, batch["trimap"])
        return matte

    # ---- training --------------------------------------------------------------------------------------------------

    def on_train_start(self) -> None:
        """Put the parts that do not learn in evaluation mode: their statistics have to stay as they are."""
        for part in self.model.parts:
            getattr(self.model, part).train(part in self.stage.learn)

    on_train_epoch_start = (
        on_train_start  # after a validation; Lightning leaves it out where it resumes in mid-epoch
    )

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the weighted sum of the losses; one that is not finite ends the run with the samples' names."""
        assert self.losses is not None
        matte = self.model(batch, refine=self.stage.refine)
        with torch.autocast(self.device.type, enabled=False):
            result = self.losses(matte, batch, progress=self._progress())
        if not torch.isfinite(result.total):
            values = ", ".join(f"{name} {float(value.detach()):.4g}" for name, value in result.terms.items())
            place = f"epoch {self.current_epoch}, step {self.global_step}"
            raise RunError(
                f"the loss is not finite in {place} ({values}); samples: {', '.join(batch['name'])}"
            )
        size = len(batch["alpha"])
        self.log(
            "train/loss", result.total.detach(), on_step=True, on_epoch=False, prog_bar=True, batch_size=size
        )
        self.log_dict(
            {f"train/loss/{name}": value.detach() for name, value in result.terms.items()}, batch_size=size
        )
        if self.losses.balance != "none":
            self.log_dict(
                {f"train/loss_factor/{name}": value for name, value in result.factors.items()},
                batch_size=size,
            )
        self.log_dict(
            {f"train/cosine/{name}": value for name, value in result.cosines.items()}, batch_size=size
        )
        return result.total

    def _progress(self) -> float:
        done = self.current_epoch + self.trainer.fit_loop.batch_idx / max(
            self.trainer.num_training_batches, 1
        )
        return min(1.0, done / self.stage.run_epochs)

    # ---- validation and test ---------------------------------------------------------------------------------------

    def on_validation_start(self) -> None:
        """Give all processes the same running statistics: each has seen only its own share of the training batches."""
        if self.trainer.world_size > 1:
            for name, buffer in self.model.named_buffers():
                if name.endswith(STATISTICS):
                    buffer.copy_(self.trainer.strategy.reduce(buffer.detach().clone(), reduce_op="mean"))

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Score one batch, without communication."""
        matte = self.model(batch, refine=self.stage.refine)
        if self.losses is not None and self.losses.fits(batch):
            self.val_loss.update(self.losses(matte, batch, progress=1.0).total, weight=len(batch["alpha"]))
        alpha = impose_trimap(matte.alpha, batch["trimap"]) if self.impose else matte.alpha
        self.val_metrics.update(alpha, batch["alpha"], batch["trimap"], batch["index"])

    def on_validation_epoch_end(self) -> None:
        """Log ``val/*`` of the joined images."""
        self._log_scores("val", self.val_metrics.compute())
        self.val_metrics.reset()
        loss = self.val_loss.compute()
        if torch.isfinite(loss):
            self.log("val/loss", loss, rank_zero_only=False)
        self.val_loss.reset()

    def test_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Score one batch and the trivial matte on it; return the alpha for those who draw it."""
        alpha = self(batch).alpha
        truth = batch["alpha"], batch["trimap"], batch["index"]
        self.test_metrics.update(alpha, *truth)
        self.diagnostics.update(alpha, *truth)
        trivial = trivial_matte(batch["trimap"]).to(alpha.dtype)
        self.trivial_metrics.update(trivial, *truth)
        for radius, metrics in self.robustness.items():
            trimaps = batch["trimap"].cpu().numpy()
            widened = torch.stack(
                [torch.from_numpy(widen_unknown(trimap[0], int(radius))[None]) for trimap in trimaps]
            )
            wide = Batch(**{**batch, "trimap": widened.to(batch["trimap"].device)})
            metrics.update(self(wide).alpha, wide["alpha"], wide["trimap"], wide["index"])
        return alpha

    def on_test_epoch_end(self) -> None:
        """Log ``test/*``, and ``trivial/test/*`` beside it."""
        self._log_scores("test", self.test_metrics.compute())
        self._log_scores("trivial/test", self.trivial_metrics.compute())
        for radius, metrics in self.robustness.items():
            self._log_scores(f"widened/{radius}/test", metrics.compute())

    def _log_scores(self, prefix: str, scores: Mapping[str, Any]) -> None:
        for name, value in scores.items():
            self.log(
                f"{prefix}/{name}",
                float(value),
                prog_bar=(prefix == "val" and name == "sad"),
                sync_dist=False,
            )

    # ---- optimisation ----------------------------------------------------------------------------------------------

    def configure_optimizers(self) -> dict[str, Any]:
        """Optimise the parameters that learn, with the schedule of the stage counted in optimiser steps."""
        assert self.optimisation.optimizer is not None
        optimizer = self.optimisation.optimizer([p for p in self.model.parameters() if p.requires_grad])
        # Lightning counts from the first epoch of the run; the schedule belongs to the stage alone.
        share = self.stage.epochs / max(self.stage.last_epoch, 1)
        steps = max(1, round(self.trainer.estimated_stepping_batches * share))
        return {
            "optimizer": optimizer,
            "lr_scheduler": {
                "scheduler": schedule(optimizer, steps, **self.optimisation.schedule),
                "interval": "step",
            },
        }

    # ---- checkpoints -----------------------------------------------------------------------------------------------

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Say in plain data what the checkpoint is of, how far it is, and what it scored."""
        progress = self.trainer.fit_loop.epoch_loop.batch_progress
        scores = {
            name: float(value)
            for name, value in self.trainer.callback_metrics.items()
            if name.startswith("val/")
        }
        checkpoint["deepmatte"] = {
            **self.identity,
            "stage": self.stage.name,
            "refine": self.stage.refine,
            "first_epoch": self.stage.first_epoch,
            "epochs_done": self.current_epoch
            + int(self.trainer.num_training_batches <= progress.current.completed),
            "scores": scores,
        }
        if self.trainer.world_size > 1:
            parts = {
                key: [checkpoint[key][name].flatten() for name in statistics(checkpoint.get(key, {}))]
                for key in STATES
            }
            checkpoint["statistics"] = {key: gathered(torch.cat(part)) for key, part in parts.items() if part}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Give each process its own running statistics; take over from an earlier stage, whose optimiser does not fit this one."""
        for key, rows in checkpoint.get("statistics", {}).items():
            if len(rows) == self.trainer.world_size:
                names = statistics(checkpoint[key])
                own = rows[self.trainer.global_rank].split([checkpoint[key][name].numel() for name in names])
                checkpoint[key] |= {
                    name: part.view_as(checkpoint[key][name]) for name, part in zip(names, own, strict=True)
                }
        if checkpoint.get("deepmatte", {}).get("stage") == self.stage.name:
            return
        checkpoint["optimizer_states"], checkpoint["lr_schedulers"] = [], []
        checkpoint["callbacks"] = {
            key: state
            for key, state in checkpoint["callbacks"].items()
            if not key.startswith("EarlyStopping")
        }
        if self.stage.start == "best":
            assert self.trainer.checkpoint_callback is not None
            best = Path(self.trainer.checkpoint_callback.dirpath) / "best.ckpt"
            checkpoint["state_dict"] = torch.load(best, map_location="cpu", weights_only=True)["state_dict"]
            checkpoint.pop("current_model_state", None)


def gathered(own: Tensor) -> Tensor:
    """Return the tensors that all processes have under this name, one a row, in the order of the ranks."""
    rows = [torch.empty_like(own) for _ in range(dist.get_world_size())]
    dist.all_gather(rows, own)
    return torch.stack(rows)


def statistics(state: Mapping[str, Tensor]) -> list[str]:
    """Return the names of the running statistics in a state dict."""
    return [name for name in state if name.endswith(STATISTICS)]


def schedule(
    optimizer: torch.optim.Optimizer,
    steps: int,
    name: str = "cosine",
    warmup: float = 0.0,
    final: float = 0.0,
    milestones: tuple[float, ...] = (0.5, 0.75),
    gamma: float = 0.1,
) -> LRScheduler:
    """Return a learning-rate schedule over ``steps`` optimiser steps, made of PyTorch's own schedulers.

    ``warmup``, ``milestones`` are fractions of the steps; ``final`` is the last rate of ``cosine`` as a
    fraction of the first.
    """
    warm = min(round(warmup * steps), steps - 1)
    rest = max(steps - warm, 1)
    after: LRScheduler
    if name == "cosine":
        after = CosineAnnealingLR(optimizer, rest, eta_min=final * optimizer.param_groups[0]["lr"])
    elif name == "step":
        after = MultiStepLR(
            optimizer, [round(fraction * steps) - warm for fraction in milestones], gamma=gamma
        )
    elif name == "constant":
        after = LambdaLR(optimizer, lambda _: 1.0)
    else:
        raise InputError(f"schedule.name={name}: give one of cosine, step, constant")
    if warm == 0:
        return after
    return SequentialLR(
        optimizer, [LinearLR(optimizer, 1 / (warm + 1), total_iters=warm), after], milestones=[warm]
    )


def load_weights(model: nn.Module, checkpoint: Mapping[str, Any], source: str) -> None:
    """Load the weights of ``model`` from a checkpoint of this module; one of another model is an error that names ``source``."""
    state = {
        key.removeprefix("model."): value
        for key, value in checkpoint["state_dict"].items()
        if key.startswith("model.")
    }
    own = model.state_dict()
    wrong = sorted(set(own) ^ set(state)) or [key for key in own if own[key].shape != state[key].shape]
    if wrong:
        raise InputError(
            f"{source}: holds weights of another model (first difference: {wrong[0]}); give the model that it was trained with"
        )
    model.load_state_dict(state)
