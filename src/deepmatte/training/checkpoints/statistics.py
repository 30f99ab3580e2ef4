"""What each process of a run has of its own, and a checkpoint has to hold for all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
import torch
import torch.distributed as dist
from pytorch_lightning.utilities.rank_zero import rank_zero_only
from torch import Tensor

STATISTICS = ("running_mean", "running_var")
"""Ends of the names of what batch normalisation has learned of a process's own share of the batches."""

STATES = ("state_dict", "current_model_state")
"""A checkpoint's models: the one that is evaluated, and with averaged weights the one that is trained."""


def is_first_process() -> bool:
    """Return whether this process is rank 0, which alone writes the records."""
    return rank_zero_only.rank == 0  # type: ignore[attr-defined]  # Lightning sets it


class EpochMean:
    """The mean of a value over an epoch's samples on all processes; an interrupted epoch resumes its own."""

    def __init__(self) -> None:
        self.sums = torch.zeros(2)

    def reset(self) -> None:
        """Forget the earlier samples."""
        self.sums = torch.zeros_like(self.sums)

    def add(self, mean: Tensor, count: int) -> None:
        """Take in the mean of ``count`` samples, a scalar."""
        self.sums = self.sums.to(mean.device) + torch.stack(
            [mean.float() * count, torch.full_like(mean, count).float()]
        )

    def compute(self, device: torch.device) -> float:
        """Return the mean; NaN where there were no samples."""
        value, count = self.rows(device).sum(0)
        return float(value / count)

    def rows(self, device: torch.device) -> Tensor:
        """Return the state of all processes, (processes, 2)."""
        return gathered(self.sums.to(device))

    def restore(self, rows: Tensor, rank: int, world_size: int) -> None:
        """Take up `rows`; on another number of processes, the first one takes up all of them."""
        if len(rows) == world_size:
            self.sums = rows[rank].clone()
        else:
            self.sums = rows.sum(0) if rank == 0 else torch.zeros(2)


def gathered(own: Tensor) -> Tensor:
    """Return the tensors that all processes have under this name, one a row, in the order of the ranks."""
    if not (dist.is_available() and dist.is_initialized()):
        return own[None].clone()
    rows = [torch.empty_like(own) for _ in range(dist.get_world_size())]
    dist.all_gather(rows, own)
    return torch.stack(rows)


def average_statistics(model: torch.nn.Module, trainer: pl.Trainer) -> None:
    """Give all processes the same running statistics: each has seen only its own share of the batches."""
    if trainer.world_size > 1:
        for name, buffer in model.named_buffers():
            if name.endswith(STATISTICS):
                buffer.copy_(trainer.strategy.reduce(buffer.detach().clone(), reduce_op="mean"))


def save_statistics(checkpoint: dict[str, Any]) -> None:
    """Add the running statistics of every process to a checkpoint, which holds those of the first one."""
    parts = {
        key: [checkpoint[key][name].flatten() for name in _names(checkpoint.get(key, {}))] for key in STATES
    }
    checkpoint["statistics"] = {key: gathered(torch.cat(part)) for key, part in parts.items() if part}


def restore_statistics(checkpoint: dict[str, Any], rank: int, world_size: int) -> None:
    """Put the running statistics of the process ``rank`` into the states of a checkpoint."""
    for key, rows in checkpoint.get("statistics", {}).items():
        if len(rows) == world_size:
            names = _names(checkpoint[key])
            own = rows[rank].split([checkpoint[key][name].numel() for name in names])
            for name, part in zip(names, own, strict=True):
                checkpoint[key][name] = part.view_as(checkpoint[key][name])


def _names(state: Mapping[str, Tensor]) -> list[str]:
    return [name for name in state if name.endswith(STATISTICS)]
