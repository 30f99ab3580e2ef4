"""A loss term with a failure in it, which strikes on rank 1 only."""

import os


def trap_loss(matte, batch):
    if os.environ.get("LOCAL_RANK") == "1" or os.environ.get("SLURM_PROCID") == "1":
        raise RuntimeError("planted on rank 1")
    return matte.alpha.mean() * 0
