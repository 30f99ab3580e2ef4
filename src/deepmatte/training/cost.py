"""What a run costs in memory."""

from __future__ import annotations

import sys

import torch
import torch.distributed as dist


def over_ranks(megabytes: float) -> float:
    """Return the peak memory of the GPU that used most, else of all processes together, in MB."""
    if not (dist.is_available() and dist.is_initialized()):
        return megabytes
    gpu = torch.cuda.is_available()
    total = torch.tensor(megabytes, device="cuda" if dist.get_backend() == "nccl" else "cpu")
    dist.all_reduce(total, dist.ReduceOp.MAX if gpu else dist.ReduceOp.SUM)
    return round(float(total), 1)


def peak_memory_mb() -> float:
    """Return the peak memory of the GPU where there is one, else the process's peak resident size, in MB."""
    if torch.cuda.is_available():
        return round(torch.cuda.max_memory_allocated() / 2**20, 1)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)
