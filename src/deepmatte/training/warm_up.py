"""What a run imports, compiles and loads only once it needs it, done before it is forked from a process."""

from __future__ import annotations

from io import BytesIO

from matplotlib.figure import Figure

from deepmatte.data import Composition


def warm_up(wandb: bool) -> None:
    """Load what the runs of this process's forks need: of samples and figures, and W&B if wanted.

    It starts no thread, which even a small computation with PyTorch does, touches no GPU, and draws no random
    number.
    """
    Composition().warm_up()
    figure = Figure()
    figure.text(0, 0, "loads the fonts")
    figure.savefig(BytesIO())
    if wandb:
        import deepmatte.training.tracking.wandb_run  # noqa: F401
